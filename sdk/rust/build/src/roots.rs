//! The folders that imports are relative to, and the files in them.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use prost_types::FileDescriptorProto;
use protox::file::{File, FileResolver, GoogleFileResolver};

use crate::Error;

#[derive(Debug, Clone)]
pub(crate) struct Roots {
    folders: Vec<PathBuf>,
    /// What is odd about files, each told once however often a file is opened.
    warnings: Arc<Mutex<BTreeSet<String>>>,
}

/// A file as it is found in a root.
#[derive(Debug)]
pub(crate) struct Proto {
    name: String,
    path: PathBuf,
    source: String,
}

/// Why a file can't be read.
#[derive(Debug)]
pub(crate) struct Fault(String);

impl Fault {
    pub(crate) fn in_one_line(&self) -> String {
        self.0.replace('\n', " ")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Proto {
    /// Whether one of these services may be declared in it.
    pub(crate) fn names(&self, services: &[&str]) -> bool {
        self.source.contains("service") && services.iter().any(|name| self.source.contains(name))
    }

    /// The folder below which this file would be what the import names.
    pub(crate) fn below(&self, import: &str) -> Option<PathBuf> {
        let folder = self.path.ancestors().nth(Path::new(import).components().count())?;
        (folder.join(import) == self.path).then(|| folder.to_owned())
    }

    pub(crate) fn parse(&self) -> Result<FileDescriptorProto, Fault> {
        // Positions are told relative to the root, so the root goes before.
        let above = self.path.to_string_lossy();
        let above = above.strip_suffix(&self.name).unwrap_or_default();
        match File::from_source(&self.name, &self.source) {
            Ok(file) => Ok(file.file_descriptor_proto().clone()),
            Err(error) => Err(edition(&self.path, &self.source).unwrap_or_else(|| Fault(format!("{above}{error:?}")))),
        }
    }
}

/// What the parser doesn't know, if the file is written in it.
fn edition(path: &Path, source: &str) -> Option<Fault> {
    let begins =
        |line: &str| line.trim_start().strip_prefix("edition").is_some_and(|rest| rest.trim_start().starts_with('='));
    let line = source.lines().position(begins)? + 1;
    Some(Fault(format!(
        "{}:{line}: editions are not understood: write the file as syntax = \"proto3\", with `optional` before each field that is neither \
         repeated nor in a oneof; where an edition has no `features`, that is the same",
        path.display()
    )))
}

impl Roots {
    pub(crate) fn new(folders: &[PathBuf]) -> Result<Self, Error> {
        let real = |folder: &PathBuf| fs::canonicalize(folder).map_err(|error| Error::file(folder, error));
        folders.iter().map(real).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { folders: folders.to_vec(), warnings: Arc::default() })
    }

    pub(crate) fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// All files, each once: one in a root inside a root belongs to the inner one.
    pub(crate) fn files(&self) -> Result<Vec<Proto>, Error> {
        let roots: BTreeSet<PathBuf> = self.folders.iter().filter_map(|root| fs::canonicalize(root).ok()).collect();
        let mut files = Vec::new();
        for root in &self.folders {
            let mut paths = Vec::new();
            find(root, &roots, &mut paths)?;
            for path in paths {
                let source = read(&path).map_err(|error| Error::file(&path, error))?;
                files.push(Proto { name: import_name(root, &path), path, source });
            }
        }
        Ok(files)
    }

    /// Why a file that is there can't be read.
    pub(crate) fn unreadable(&self, name: &str) -> Option<Fault> {
        let (_, path) = self.locate(name)?;
        let source = read(&path).ok()?;
        Proto { name: name.to_owned(), path, source }.parse().err()
    }

    /// The file that an import means, under the name that it has in the innermost root.
    pub(crate) fn locate(&self, import: &str) -> Option<(String, PathBuf)> {
        let path = self.folders.iter().map(|root| root.join(import)).find(|path| path.is_file())?;
        let real = fs::canonicalize(&path).ok()?;
        let inner = self.folders.iter().filter_map(|root| {
            let rest = real.strip_prefix(fs::canonicalize(root).ok()?).ok()?;
            let name = import_name(Path::new(""), rest);
            // An earlier root may hide it under that name.
            let hidden = self.folders.iter().map(|root| root.join(&name)).find(|path| path.is_file());
            (fs::canonicalize(hidden?).ok()? == real).then_some(name)
        });
        let name = inner.min_by_key(String::len).unwrap_or_else(|| import.to_owned());
        Some((name, path))
    }
}

impl FileResolver for Roots {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let Some((_, path)) = self.locate(name) else {
            return GoogleFileResolver::new().open_file(name);
        };
        let file = File::from_source(name, &read(&path).map_err(protox::Error::new)?)?;
        let mut descriptor = file.file_descriptor_proto().clone();
        for import in &mut descriptor.dependency {
            if let Some((name, _)) = self.locate(import) {
                *import = name;
            }
        }
        let warnings = distinct_json_names(&mut descriptor);
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).extend(warnings);
        // With its source, faults are told with their lines.
        Ok(if descriptor == *file.file_descriptor_proto() {
            file
        } else {
            File::from_file_descriptor_proto(descriptor)
        })
    }
}

/// In proto2 two fields may have one JSON name, about which protoc only warns. The later ones go by their own names then.
fn distinct_json_names(file: &mut FileDescriptorProto) -> Vec<String> {
    let mut warnings = Vec::new();
    if file.syntax() != "proto3" {
        let mut messages: Vec<_> = file.message_type.iter_mut().collect();
        while let Some(message) = messages.pop() {
            let mut taken = BTreeSet::new();
            for field in &mut message.field {
                let name = field.json_name.clone().unwrap_or_else(|| lower_camel(field.name()));
                if taken.insert(name.clone()) {
                    continue;
                }
                let place = field.number();
                let own = field.name().to_owned();
                let other = if taken.contains(&own) { format!("{own}_{place}") } else { own };
                warnings.push(format!(
                    "{}: `{}` of {} has the JSON name `{name}` of another field; it goes by `{other}`",
                    file.name.as_deref().unwrap_or_default(),
                    field.name(),
                    message.name.as_deref().unwrap_or_default()
                ));
                taken.insert(other.clone());
                field.json_name = Some(other);
            }
            messages.extend(message.nested_type.iter_mut());
        }
    }
    warnings
}

/// As protoc makes a JSON name: without `_`, and what follows one in capitals.
fn lower_camel(name: &str) -> String {
    let mut camel = String::new();
    let mut upper = false;
    for letter in name.chars() {
        match letter {
            '_' => upper = true,
            letter if std::mem::take(&mut upper) => camel.push(letter.to_ascii_uppercase()),
            letter => camel.push(letter),
        }
    }
    camel
}

/// As text, whatever old editor wrote it: UTF-8 with or without a mark, or Latin-1, which can only stand in comments and strings.
fn read(path: &Path) -> std::io::Result<String> {
    let text = match String::from_utf8(fs::read(path)?) {
        Ok(text) => text,
        Err(error) => error.into_bytes().into_iter().map(char::from).collect(),
    };
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// All `.proto` files, in the order of their names, but for those in other roots.
fn find(folder: &Path, roots: &BTreeSet<PathBuf>, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(|error| Error::file(&folder, error))?;
        let mut paths = Vec::new();
        for entry in entries {
            paths.push(entry.map_err(|error| Error::file(&folder, error))?.path());
        }
        for path in paths {
            if path.is_dir() {
                let inner = fs::canonicalize(&path).is_ok_and(|real| roots.contains(&real));
                if !inner && !path.is_symlink() {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "proto") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(())
}

/// As an `import` names it: relative, with `/`.
fn import_name(folder: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(folder).unwrap_or(path);
    let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_json_name_of_two_fields_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = "syntax = \"proto2\"; message Q { optional string foo_bar = 1; optional string fooBar = 2; }";
        fs::write(folder.path().join("a.proto"), file).unwrap();
        let roots = Roots::new(&[folder.path().to_owned()]).unwrap();
        for roots in [&roots, &roots.clone(), &roots] {
            roots.open_file("a.proto").unwrap();
        }
        assert_eq!(
            roots.warnings(),
            ["a.proto: `fooBar` of Q has the JSON name `fooBar` of another field; it goes by `fooBar_2`"]
        );
    }
}
