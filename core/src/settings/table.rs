//! A TOML table that knows where it stands and notes what is wrong with it.

use super::{FromValue, Mistake, Mistakes, Secret, depth, value::describe};
use std::{cell::RefCell, collections::BTreeSet, ops::Range, path::Path, sync::Arc};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A parsed file. Keep it while its tables are read.
#[derive(Debug)]
pub struct Document<'t> {
    source: Source,
    root: Spanned<DeTable<'t>>,
}

#[derive(Debug)]
struct Source {
    file: Arc<str>,
    /// Byte offset at which each line begins.
    lines: Vec<usize>,
}

impl Source {
    fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset)
    }
}

/// Where a value stands, kept for checks that come later than reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub file: Arc<str>,
    pub line: usize,
    pub key: String,
}

impl Place {
    pub fn mistake(&self, message: impl Into<String>) -> Mistake {
        Mistake { file: self.file.clone(), line: self.line, key: self.key.clone(), message: message.into() }
    }
}

impl<'t> Document<'t> {
    /// Parses as much as can be parsed; every syntax error is noted.
    pub fn parse(file: &Path, text: &'t str, mistakes: &Mistakes) -> Self {
        let source = Source {
            file: file.display().to_string().into(),
            lines: std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect(),
        };
        if let Some(offset) = depth::too_deep(text) {
            let message = format!("expected tables and lists in one another {} deep at most", depth::DEEPEST);
            mistakes.add(Mistake { file: source.file.clone(), line: source.line(offset), key: String::new(), message });
            return Self { source, root: Spanned::new(0..0, DeTable::new()) };
        }
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let line = error.span().map_or(0, |span| source.line(span.start));
            let message = error.message().replace('\n', ", ");
            mistakes.add(Mistake { file: source.file.clone(), line, key: String::new(), message });
        }
        Self { source, root }
    }

    /// The whole file as a table.
    pub fn table<'a>(&'a self, mistakes: &'a Mistakes) -> Table<'a> {
        Table::new(&self.source, mistakes, Some(self.root.get_ref()), 0..0, String::new())
    }
}

/// One table of a file. Keys that were never asked for are reported when it is dropped.
#[derive(Debug)]
pub struct Table<'a> {
    source: &'a Source,
    mistakes: &'a Mistakes,
    entries: Option<&'a DeTable<'a>>,
    span: Range<usize>,
    path: String,
    asked: RefCell<BTreeSet<String>>,
}

impl<'a> Table<'a> {
    fn new(
        source: &'a Source,
        mistakes: &'a Mistakes,
        entries: Option<&'a DeTable<'a>>,
        span: Range<usize>,
        path: String,
    ) -> Self {
        Self { source, mistakes, entries, span, path, asked: RefCell::default() }
    }

    fn find(&self, key: &str) -> Option<(Range<usize>, &'a Spanned<DeValue<'a>>)> {
        self.asked.borrow_mut().insert(key.to_owned());
        let (name, value) = self.entries?.get_key_value(key)?;
        Some((name.span(), value))
    }

    fn full_key(&self, key: &str) -> String {
        match (self.path.as_str(), key) {
            ("", key) => key.to_owned(),
            (path, "") => path.to_owned(),
            (path, key) if key.contains(|c: char| !c.is_alphanumeric() && c != '-' && c != '_') => {
                format!("{path}.\"{key}\"")
            }
            (path, key) => format!("{path}.{key}"),
        }
    }

    /// Whether the file has this table at all.
    pub fn exists(&self) -> bool {
        self.entries.is_some()
    }

    pub fn has(&self, key: &str) -> bool {
        self.entries.is_some_and(|entries| entries.contains_key(key))
    }

    /// Where `key` stands; with an empty or absent key, where the table stands.
    pub fn place(&self, key: &str) -> Place {
        let span = self.entries.and_then(|e| e.get_key_value(key)).map_or(self.span.clone(), |(name, _)| name.span());
        let line = if self.path.is_empty() && span.end == 0 { 0 } else { self.source.line(span.start) };
        Place { file: self.source.file.clone(), line, key: self.full_key(key) }
    }

    /// Notes that `key` is wrong for a reason that its type can't tell.
    pub fn mistake(&self, key: &str, message: impl Into<String>) {
        self.mistakes.add(self.place(key).mistake(message));
    }

    /// The secret that `key` names, which has to be there; where it need not be, what stands in for it.
    pub fn at_hand(&self, key: &str, secret: Secret) -> Secret {
        match secret.read() {
            Ok(_) => secret,
            Err(reason) if secret.is_away() && self.mistakes.lets_be_away(self.place(key).mistake(&*reason)) => {
                Secret::StandIn
            }
            Err(reason) => {
                self.mistake(key, reason);
                secret
            }
        }
    }

    /// Notes a mistake that stands somewhere else.
    pub fn note(&self, mistake: Mistake) {
        self.mistakes.add(mistake);
    }

    /// The value of `key`, or `None` where it is absent or wrong; wrong is noted.
    pub fn optional<T: FromValue>(&self, key: &str) -> Option<T> {
        let (_, value) = self.find(key)?;
        match T::from_value(value.get_ref()) {
            Some(Ok(parsed)) => return Some(parsed),
            Some(Err(reason)) => self.mistake(key, reason),
            None => self.mistake(key, format!("expected {}, found {}", T::expected(), describe(value.get_ref()))),
        }
        None
    }

    pub fn or<T: FromValue>(&self, key: &str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    /// As [`Table::optional`], but absence is noted too.
    pub fn required<T: FromValue>(&self, key: &str) -> Option<T> {
        if !self.has(key) {
            self.asked.borrow_mut().insert(key.to_owned());
            self.mistakes.add(self.place("").mistake(format!("`{key}` is missing: expected {}", T::expected())));
            return None;
        }
        self.optional(key)
    }

    /// A value no smaller and no larger than the bounds.
    pub fn within<T: FromValue + PartialOrd + std::fmt::Debug>(&self, key: &str, default: T, least: T, most: T) -> T {
        match self.optional(key) {
            Some(value) if value >= least && value <= most => value,
            Some(value) => {
                self.mistake(key, format!("expected a value from {least:?} to {most:?}, found {value:?}"));
                default
            }
            None => default,
        }
    }

    /// As [`Table::within`], for a key without a default.
    pub fn optional_within<T: FromValue + PartialOrd + std::fmt::Debug + Clone>(
        &self,
        key: &str,
        least: T,
        most: T,
    ) -> Option<T> {
        self.has(key).then(|| self.within(key, least.clone(), least, most))
    }

    /// A table inside this one; an empty one where it is absent.
    pub fn table(&self, key: &str) -> Table<'a> {
        let found = self.find(key);
        let entries = found.as_ref().and_then(|(_, value)| {
            let table = value.get_ref().as_table();
            if table.is_none() {
                self.mistake(key, format!("expected a table, found {}", describe(value.get_ref())));
            }
            table
        });
        let span = found.map_or(self.span.clone(), |(name, _)| name);
        Table::new(self.source, self.mistakes, entries, span, self.full_key(key))
    }

    /// An array of tables: `[[client]]`.
    pub fn tables(&self, key: &str) -> Vec<Table<'a>> {
        let Some((_, value)) = self.find(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            self.mistake(key, format!("expected a list of tables, found {}", describe(value.get_ref())));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (at, item) in items.iter().enumerate() {
            match item.get_ref().as_table() {
                Some(entries) => {
                    let path = format!("{}[{at}]", self.full_key(key));
                    tables.push(Table::new(self.source, self.mistakes, Some(entries), item.span(), path));
                }
                None => self.mistake(key, format!("item {at}: expected a table, found {}", describe(item.get_ref()))),
            }
        }
        tables
    }

    /// The names in this table, in the order of the file. Each counts as asked for.
    pub fn names(&self) -> Vec<String> {
        let Some(entries) = self.entries else { return Vec::new() };
        let mut names: Vec<_> = entries.keys().map(|key| (key.span().start, key.get_ref().to_string())).collect();
        names.sort();
        self.asked.borrow_mut().extend(names.iter().map(|(_, name)| name.clone()));
        names.into_iter().map(|(_, name)| name).collect()
    }

    /// The tables in this table, by name, in the order of the file.
    pub fn named_tables(&self) -> Vec<(String, Table<'a>)> {
        self.names().into_iter().map(|name| (name.clone(), self.table(&name))).collect()
    }
}

impl Drop for Table<'_> {
    fn drop(&mut self) {
        let asked = self.asked.borrow();
        for (name, _) in self.entries.into_iter().flatten() {
            let key = name.get_ref().as_ref();
            if !asked.contains(key) {
                let near = nearest(key, asked.iter().map(String::as_str));
                let hint = match near {
                    Some(near) => format!("unknown key; did you mean `{near}`?"),
                    None if asked.is_empty() => "unknown key".to_owned(),
                    None => {
                        let known: Vec<_> = asked.iter().map(String::as_str).collect();
                        format!("unknown key; expected one of: {}", known.join(", "))
                    }
                };
                self.mistake(key, hint);
            }
        }
    }
}

/// The known name that is nearest to `name`, of which at most two letters differ.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.map(|known| (distance(known, name), known)).min()?;
    (near.0 <= 2).then_some(near.1)
}

/// How many letters differ.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(&b) {
            let cost = (diagonal + usize::from(x != *y)).min(left + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, cost);
            left = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
