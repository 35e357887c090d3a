//! Selected members, one inside of the other.

use std::collections::BTreeMap;

/// Members by name; one without members is there as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Node {
    pub(crate) members: BTreeMap<String, Node>,
}

impl Node {
    pub(crate) fn of(path: &str) -> Self {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        let inner = if rest.is_empty() { Self::default() } else { Self::of(rest) };
        Self { members: [(name.to_owned(), inner)].into() }
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.members.is_empty()
    }

    /// One more path; this node is not there as a whole.
    pub(crate) fn add(&mut self, path: &str) {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        match self.members.get_mut(name) {
            None => self.members.extend(Self::of(path).members),
            Some(inner) if rest.is_empty() => inner.members.clear(),
            Some(inner) if inner.is_whole() => {}
            Some(inner) => inner.add(rest),
        }
    }

    pub(crate) fn list(&self, before: &str, paths: &mut Vec<String>) {
        for (name, inner) in &self.members {
            let path = if before.is_empty() { name.clone() } else { format!("{before}.{name}") };
            if inner.is_whole() { paths.push(path) } else { inner.list(&path, paths) }
        }
    }
}
