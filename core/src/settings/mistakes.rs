//! What was found wrong in a file, collected.

use std::{cell::RefCell, fmt, sync::Arc};

/// One thing wrong in a file, for a person to mend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Mistake {
    pub file: Arc<str>,
    /// 1-based; 0 where the whole file is meant.
    pub line: usize,
    /// Dotted: `backend.films.timeout`. Empty where no key is meant.
    pub key: String,
    /// What is wrong, and what was expected.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        f.write_str(": ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// All that was found wrong so far. Shared by the tables of all files of one check.
#[derive(Debug, Default)]
pub struct Mistakes {
    list: RefCell<Vec<Mistake>>,
    /// Secrets that are not there, where that is no mistake.
    away: Option<RefCell<Vec<Mistake>>>,
}

impl Mistakes {
    pub fn new() -> Self {
        Self::default()
    }

    /// For a check on a machine that need not have the secrets of the one that will serve.
    pub fn without_secrets() -> Self {
        Self { away: Some(RefCell::default()), ..Self::default() }
    }

    /// Notes a secret that is not there; says no where that is a mistake.
    pub(super) fn lets_be_away(&self, secret: Mistake) -> bool {
        self.away.as_ref().is_some_and(|away| {
            away.borrow_mut().push(secret);
            true
        })
    }

    /// Secrets that were not there.
    pub fn away(&self) -> Vec<Mistake> {
        let mut list = self.away.as_ref().map(|away| away.borrow().clone()).unwrap_or_default();
        list.sort();
        list
    }

    pub fn add(&self, mistake: Mistake) {
        let Mistake { file, line, key, message } = mistake;
        self.list.borrow_mut().push(Mistake { file, line, key: visible(key), message: visible(message) });
    }

    pub fn is_empty(&self) -> bool {
        self.list.borrow().is_empty()
    }

    /// In the order of file and line.
    pub fn sorted(&self) -> Vec<Mistake> {
        let mut list = self.list.borrow().clone();
        list.sort();
        list.dedup();
        list
    }

    /// As [`Mistakes::sorted`].
    pub fn into_sorted(self) -> Vec<Mistake> {
        self.sorted()
    }
}

/// Of a reason that somebody else gave, this much is told, in bytes.
const LONGEST_REASON: usize = 1_000;

/// The beginning of a reason: what others answer may be quoted in it, and have any length.
pub fn brief(reason: &str) -> &str {
    reason.get(..reason.floor_char_boundary(LONGEST_REASON)).unwrap_or(reason)
}

/// What ends a line or commands a terminal, written as an escape: the file may come from somebody who is not trusted.
pub fn visible(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let write = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(write).collect()
}
