//! Walks all keys that a reader of a file asks for, and tries each with values that nobody can mean.
//!
//! Which keys there are is learnt from the reader itself, so that none can be forgotten here.

/// A value of each kind that means something, and such as are of the same kind and absurd.
const KINDS: [(&str, &[&str]); 5] = [
    ("\"1s\"", &["\"366d\"", "\"1e400s\"", "\"99999999999999999999d\"", "\"584554049254y\""]),
    ("\"1MiB\"", &["\"1025GiB\"", "\"99999999999999999999GiB\"", "9223372036854775807", "-1"]),
    ("\"1/s\"", &["\"0/s\"", "\"1000000001/s\"", "\"4294967295/h\"", "\"99999999999/s\""]),
    ("10", &["9223372036854775807", "-1", "99999999999999999999999999"]),
    ("2.5", &["inf", "-inf", "nan", "1e300"]),
];

const UNKNOWN: &str = "zzzzzzzzzzzz";

/// No file of ours has tables so deep.
const DEEPEST: usize = 8;

/// Reads files made of a table's head and one key.
pub(crate) struct Walk<'a> {
    pub(crate) mistakes: &'a dyn Fn(&str) -> Vec<String>,
    /// What has to stand before a table, by how its path begins: the head and the keys of another.
    pub(crate) before: &'a [(&'a str, &'a str)],
    /// What stands for the name of a table that the file's writer names.
    pub(crate) named: &'a [(&'a str, &'a str)],
}

/// The path of a table, and which parts of it are lists.
#[derive(Clone, Default)]
struct Path {
    parts: Vec<String>,
    lists: Vec<usize>,
}

impl Path {
    fn with(&self, part: &str) -> Self {
        let mut path = self.clone();
        path.parts.push(part.to_owned());
        path
    }

    fn list(mut self) -> Self {
        self.lists.push(self.parts.len());
        self
    }

    fn text(&self) -> String {
        self.parts.join(".")
    }
}

impl Walk<'_> {
    /// All keys that take a number of something; each was refused with every absurd value.
    pub(crate) fn all(&self) -> Vec<String> {
        self.through(&Path::default())
    }

    fn through(&self, path: &Path) -> Vec<String> {
        assert!(path.parts.len() < DEEPEST, "{}", path.text());
        if let Some((_, name)) = self.named.iter().find(|(parent, _)| *parent == path.text()) {
            return self.through(&path.with(name));
        }
        let mut walked = Vec::new();
        for key in self.keys(path) {
            let inner = path.with(&key);
            let told = self.says(path, &key, "1").unwrap_or_default();
            if told.contains("expected a table") {
                walked.extend(self.through(&inner));
            } else if told.contains("expected a list of tables") {
                walked.extend(self.through(&inner.list()));
            } else if self.is_tried(path, &key) {
                walked.push(inner.text());
            }
        }
        walked
    }

    /// The lines above a key of this table.
    fn head(&self, path: &Path) -> String {
        let text = path.text();
        let before = self.before.iter().find(|(parent, _)| text.starts_with(parent));
        let mut head = before.map_or_else(String::new, |(_, before)| (*before).to_owned());
        for count in &path.lists {
            let list = path.parts.iter().take(*count).cloned().collect::<Vec<_>>().join(".");
            head += &format!("[[{list}]]\n");
        }
        let stands = path.lists.last() == Some(&path.parts.len()) || before.is_some_and(|(parent, _)| *parent == text);
        if !stands && !text.is_empty() {
            head += &format!("[{text}]\n");
        }
        head
    }

    fn is_tried(&self, path: &Path, key: &str) -> bool {
        // What takes any text takes no number of anything.
        if self.says(path, key, "\"x\"").is_none() {
            return false;
        }
        let mut is_tried = false;
        for (sane, absurd) in KINDS {
            let is_of_kind = self.says(path, key, sane).is_none_or(|text| text.contains("a value from"));
            for value in absurd.iter().filter(|_| is_of_kind) {
                assert!(self.says(path, key, value).is_some(), "{}: {key} = {value} is accepted", path.text());
                is_tried = true;
            }
        }
        is_tried
    }

    fn keys(&self, path: &Path) -> Vec<String> {
        let told = self.says(path, UNKNOWN, "1");
        let known = told.as_deref().and_then(|text| text.split_once("expected one of: ")).map(|(_, known)| known);
        known.into_iter().flat_map(|known| known.split(", ")).map(str::to_owned).collect()
    }

    /// What is said of this key, if anything is wrong with it.
    fn says(&self, path: &Path, key: &str, value: &str) -> Option<String> {
        let text = format!("{}{key} = {value}\n", self.head(path));
        let line = text.lines().count();
        (self.mistakes)(&text)
            .into_iter()
            .find(|mistake| mistake.contains(&format!(":{line}: ")) && mistake.contains(key))
    }
}
