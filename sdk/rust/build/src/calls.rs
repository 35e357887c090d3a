//! `[calls]` of `plugin.toml`: what the plugin may call.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use toml::de::DeTable;

use crate::Error;
use crate::protos::Sources;

/// A `"pkg.v1.Service" = ["Method"]` as it is written.
#[derive(Debug)]
pub(crate) struct Wanted {
    line: usize,
    service: String,
    methods: Vec<String>,
}

impl Wanted {
    pub(crate) fn service(&self) -> &str {
        &self.service
    }
}

/// What is granted, and is there.
#[derive(Debug)]
pub(crate) struct Granted(BTreeMap<String, BTreeSet<String>>);

impl Granted {
    pub(crate) fn services(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The method's place in the table, if it is granted.
    pub(crate) fn number(&self, service: &str, method: &str) -> Option<usize> {
        let name = format!("{service}/{method}");
        self.names().binary_search(&name).ok()
    }

    /// The method table: full names, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .0
            .iter()
            .flat_map(|(service, methods)| methods.iter().map(move |method| format!("{service}/{method}")))
            .collect();
        names.sort();
        names
    }

    /// The method table as a Rust expression.
    pub(crate) fn table(&self) -> String {
        let mut table = String::from("&[\n");
        for name in self.names() {
            let _ = writeln!(table, "    {name:?},");
        }
        table.push_str("]\n");
        table
    }
}

pub(crate) fn read(manifest: &Path) -> Result<Vec<Wanted>, Error> {
    let text = fs::read_to_string(manifest).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::file(manifest, "not found: a plugin says there what it may call, under [calls]")
        }
        _ => Error::file(manifest, error),
    })?;
    let table = DeTable::parse(&text).map_err(|error| Error::file(manifest, error))?;
    let line = |position: usize| text.get(..position).unwrap_or_default().matches('\n').count() + 1;
    let wrong =
        |position: usize, message: &str| Error::new(format!("{}:{}: {message}", manifest.display(), line(position)));

    let Some(calls) = table.get_ref().get("calls") else { return Ok(Vec::new()) };
    let Some(calls_table) = calls.get_ref().as_table() else {
        return Err(wrong(calls.span().start, "[calls] is a table of services"));
    };
    let mut wanted = Vec::new();
    for (service, methods) in calls_table {
        let start = service.span().start;
        let example = "expected a list of methods, as in \"catalog.v1.Films\" = [\"GetFilm\"] (with the quotes)";
        let array = methods.get_ref().as_array().ok_or_else(|| wrong(start, example))?;
        let names = array.iter().map(|method| method.get_ref().as_str().map(str::to_owned));
        let methods = names.collect::<Option<Vec<_>>>().ok_or_else(|| wrong(start, example))?;
        wanted.push(Wanted { line: line(start), service: service.get_ref().to_string(), methods });
    }
    Ok(wanted)
}

/// Looks up what is wanted, and reports everything that is not there.
pub(crate) fn resolve(manifest: &Path, wanted: Vec<Wanted>, sources: &Sources) -> Result<Granted, Error> {
    let mut granted = BTreeMap::new();
    let mut faults = Vec::new();
    for Wanted { line, service, methods } in wanted {
        let mut fault = |message: String| faults.push(format!("{}:{line}: [calls] {message}", manifest.display()));
        let Some(known) = sources.services.get(&service) else {
            let known = sources.services.keys().map(String::as_str);
            fault(format!("\"{service}\": no proto has this service{}", hint(&service, known)));
            continue;
        };
        let mut names = BTreeSet::new();
        for method in methods {
            match known.methods.get(&method) {
                None => {
                    let known = known.methods.keys().map(String::as_str);
                    fault(format!("\"{service}\" has no method \"{method}\"{}", hint(&method, known)));
                }
                Some(method_type) if method_type.takes_stream => {
                    fault(format!("\"{service}\": \"{method}\" takes a stream, which a plugin can't send"));
                }
                Some(_) if !names.insert(method.clone()) => fault(format!("\"{service}\" has \"{method}\" twice")),
                Some(_) => {}
            }
        }
        granted.insert(service, names);
    }
    if faults.is_empty() { Ok(Granted(granted)) } else { Err(Error::all(faults)) }
}

/// What may have been meant: the nearest name, and all there are if they are few.
fn hint<'a>(wanted: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let near = known.clone().map(|name| (distance(wanted, name), name)).min();
    let mut hint = match near {
        Some((distance, name)) if distance <= wanted.len().div_ceil(3) => format!(". Did you mean \"{name}\"?"),
        _ => ".".to_owned(),
    };
    let all: Vec<&str> = known.collect();
    match all.len() {
        0 => hint.push_str(" There are none."),
        1..=20 => {
            let _ = write!(hint, " There are {}.", all.join(", "));
        }
        _ => {}
    }
    hint
}

/// How many letters differ, ignoring case.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.to_lowercase().chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let best = (diagonal + usize::from(x != *y)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = best;
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distances() {
        for (a, b, expected) in
            [("", "", 0), ("a", "", 1), ("", "ab", 2), ("GetFlim", "GetFilm", 2), ("film", "films", 1)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
        assert_eq!(distance("GETFILM", "getfilm"), 0);
    }
}
