//! The parts of a configuration, by which a reload knows what it need not make anew.

use super::{Change, flat::values};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use toml::{Table, Value};

/// A file that a configuration names is not larger than this; what is larger is none that is read into memory.
const LARGEST_FILE: u64 = 16 << 20;

/// A digest for each table of the file: of what stands there, and of the files that it names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parts {
    tables: BTreeMap<String, Vec<u8>>,
    /// The same of what stands in them, by table and key.
    inner: BTreeMap<(String, String), Vec<u8>>,
    /// By key: what stands there, and a digest of the files that it names.
    files: BTreeMap<String, (String, Vec<u8>)>,
}

impl Parts {
    /// Of a text without mistakes. Paths are relative to `folder`.
    pub fn of(text: &str, folder: &Path) -> Self {
        let mut files = BTreeMap::new();
        for (key, value) in values(text) {
            let content = content(&value, folder);
            if !content.is_empty() {
                files.insert(key, (value.to_string(), content));
            }
        }
        let table = text.parse::<Table>().unwrap_or_default();
        let digest = |value: &Value| Sha256::digest([value.to_string().as_bytes(), &content(value, folder)].concat());
        let within = |(name, value): (&String, &Value)| {
            let inner = value.as_table().into_iter().flatten();
            inner.map(|(part, value)| ((name.clone(), part.clone()), digest(value).to_vec())).collect::<Vec<_>>()
        };
        let inner = table.iter().flat_map(within).collect();
        let tables = table.iter().map(|(name, value)| (name.clone(), digest(value).to_vec())).collect();
        Self { tables, inner, files }
    }

    /// Whether these tables, and the files that they name, are the same in both.
    pub fn agree(&self, other: &Self, tables: &[&str]) -> bool {
        tables.iter().all(|name| self.tables.get(*name) == other.tables.get(*name))
    }

    /// What stands in this table and is the same in both, by key.
    pub fn unchanged(&self, other: &Self, table: &str) -> BTreeSet<String> {
        let mine = self.inner.iter().filter(|((name, _), _)| name == table);
        mine.filter(|(key, digest)| other.inner.get(*key) == Some(*digest)).map(|((_, key), _)| key.clone()).collect()
    }

    /// Keys that name the same files as `before`, with other content.
    pub fn changed_files(&self, before: &Self) -> Vec<Change> {
        let changed = self.files.iter().filter(|(key, (text, content))| {
            before.files.get(*key).is_some_and(|(before, other)| before == text && other != content)
        });
        let change = |(key, (text, _)): (&String, &(String, _))| Change {
            key: key.clone(),
            before: Some(text.clone()),
            after: Some(format!("{text}, with other content")),
        };
        changed.map(change).collect()
    }
}

/// The digests of all files that are named in it.
fn content(value: &Value, folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
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
    all
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
        assert_eq!(of(text).unchanged(&before, "a"), ["x".to_owned()].into(), "the file of the other one has changed");
        let changed: Vec<_> = of(text).changed_files(&before).iter().map(ToString::to_string).collect();
        assert_eq!(changed, ["a.secret: \"file:key\" → \"file:key\", with other content"]);
        assert!(of(text).changed_files(&of(text)).is_empty());
        assert!(of("[a]\nsecret = \"file:./key\"").changed_files(&before).is_empty(), "another file");
    }
}
