//! How an entry is written in the shared tier.

use bytes::{BufMut, Bytes, BytesMut};
use std::time::{Duration, SystemTime};

/// First byte of an entry: the version of its form.
const VERSION: u8 = 2;
/// Version, kind, and two times.
const HEADER: usize = 18;

/// A reply, or that there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// NOT_FOUND is `None`.
    pub(super) reply: Option<Bytes>,
    pub(super) stored_at: SystemTime,
    pub(super) fresh_for: Duration,
}

impl Entry {
    pub(super) fn write(&self) -> Bytes {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let reply = self.reply.as_deref().unwrap_or_default();
        let mut out = BytesMut::with_capacity(HEADER + reply.len());
        out.put_u8(VERSION);
        out.put_u8(u8::from(self.reply.is_some()));
        out.put_u64(millis(self.stored_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()));
        out.put_u64(millis(self.fresh_for));
        out.extend_from_slice(reply);
        out.freeze()
    }

    /// `None` for what another version has written, or anybody else.
    pub(super) fn read(bytes: &Bytes) -> Option<Self> {
        let (header, _) = bytes.split_first_chunk::<HEADER>()?;
        let [VERSION, kind @ (0 | 1), times @ ..] = header else { return None };
        let (stored, fresh) = times.split_first_chunk::<8>()?;
        let stored_at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(u64::from_be_bytes(*stored)))?;
        let fresh_for = Duration::from_millis(u64::from_be_bytes(fresh.try_into().ok()?));
        Some(Self { reply: (*kind == 1).then(|| bytes.slice(HEADER..)), stored_at, fresh_for })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn entries_come_back_as_they_were_written(reply in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..100)), stored in 0..1u64 << 40, fresh in 0..1u64 << 40) {
            let entry = Entry {
                reply: reply.map(Bytes::from),
                stored_at: SystemTime::UNIX_EPOCH + Duration::from_millis(stored),
                fresh_for: Duration::from_millis(fresh),
            };
            prop_assert_eq!(Entry::read(&entry.write()), Some(entry));
        }

        #[test]
        fn anything_else_is_nobodys(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Entry::read(&Bytes::from(bytes));
        }
    }
}
