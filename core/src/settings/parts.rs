//! The parts of a configuration, by which a reload knows what it need not make anew.

use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, path::Path};
use toml::{Table, Value};

/// A file that a configuration names is not larger than this; what is larger is none that is read into memory.
const LARGEST_FILE: u64 = 16 << 20;

/// A digest for each table of the file: of what stands there, and of the files that it names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parts(BTreeMap<String, Vec<u8>>);

impl Parts {
    /// Of a text without mistakes. Paths are relative to `folder`.
    pub fn of(text: &str, folder: &Path) -> Self {
        let table = text.parse::<Table>().unwrap_or_default();
        Self(table.into_iter().map(|(name, value)| (name, digest(&value, folder))).collect())
    }

    /// Whether these tables, and the files that they name, are the same in both.
    pub fn agree(&self, other: &Self, tables: &[&str]) -> bool {
        tables.iter().all(|name| self.0.get(*name) == other.0.get(*name))
    }
}

fn digest(value: &Value, folder: &Path) -> Vec<u8> {
    // Tables are sorted by their keys, so the same settings are the same text.
    let mut all = value.to_string().into_bytes();
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => {
                let path = folder.join(text.strip_prefix("file:").unwrap_or(text));
                let is_file = path.metadata().is_ok_and(|file| file.is_file() && file.len() <= LARGEST_FILE);
                if let (true, Ok(bytes)) = (is_file, std::fs::read(&path)) {
                    all.extend_from_slice(&Sha256::digest(&bytes));
                }
            }
            Value::Array(items) => open.extend(items),
            Value::Table(table) => open.extend(table.values()),
            _ => {}
        }
    }
    Sha256::digest(&all).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_what_it_says_and_what_the_files_say_that_it_names() {
        let folder = tempfile::tempdir().unwrap();
        let of = |text: &str| Parts::of(text, folder.path());
        let text = "[a]\nsecret = \"file:key\"\nx = 1\n[b]\ny = [\"z\"]\n";
        std::fs::write(folder.path().join("key"), "one").unwrap();
        let before = of(text);
        assert_eq!(before, of("[b]\ny = ['z'] # the same\n[a]\nx = 1\nsecret = \"file:key\""));
        assert!(!before.agree(&of("[a]\n[b]\ny = [\"z\"]"), &["a"]));
        std::fs::write(folder.path().join("key"), "two").unwrap();
        assert!(!before.agree(&of(text), &["a", "b"]));
        assert!(before.agree(&of(text), &["b", "c"]));
    }
}
