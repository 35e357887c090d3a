//! Keys of many parts, as one digest.

use crate::model::Digest;

/// Parts behind their lengths, so that none runs into the next.
#[derive(Debug, Default)]
pub(super) struct Parts(Vec<u8>);

impl Parts {
    pub(super) fn add(&mut self, part: &[u8]) {
        self.count(part.len());
        self.0.extend_from_slice(part);
    }

    pub(super) fn pairs(&mut self, pairs: &[(String, String)]) {
        self.count(pairs.len());
        for (name, value) in pairs {
            self.add(name.as_bytes());
            self.add(value.as_bytes());
        }
    }

    /// What writes bytes that are not the beginning of others of its kind.
    pub(super) fn with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.0);
    }

    pub(super) fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }

    fn count(&mut self, count: usize) {
        self.0.extend_from_slice(&(count as u64).to_be_bytes());
    }
}
