//! Finds services in `.proto` files, and compiles the files that are needed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use protox::Compiler;
use protox::file::File;

use crate::Error;

/// A service as its file declares it.
#[derive(Debug)]
pub(crate) struct Service {
    /// The file's name, relative to its folder.
    pub(crate) file: String,
    pub(crate) methods: BTreeMap<String, Method>,
}

#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) takes_stream: bool,
}

/// All services by their full names.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) services: BTreeMap<String, Service>,
}

impl Sources {
    /// Parses every file, without its imports: an import that this plugin does not need may be missing.
    pub(crate) fn parse(folders: &[PathBuf]) -> Result<Self, Error> {
        let mut services = BTreeMap::new();
        for folder in folders {
            let mut files = Vec::new();
            find(folder, &mut files)?;
            for path in files {
                let name = import_name(folder, &path);
                let source = fs::read_to_string(&path).map_err(|error| Error::file(&path, error))?;
                let file = File::from_source(&name, &source).map_err(|error| parse_error(folder, &error))?;
                declare(file.file_descriptor_proto(), &mut services);
            }
        }
        Ok(Self { services })
    }

    /// Compiles the files that declare these services, with all that they import.
    pub(crate) fn compile<'a>(
        &self,
        folders: &[PathBuf],
        services: impl Iterator<Item = &'a str>,
    ) -> Result<FileDescriptorSet, Error> {
        let compile_error = |error: protox::Error| Error::new(explained(&error));
        let mut compiler = Compiler::new(folders).map_err(compile_error)?;
        compiler.include_imports(true).include_source_info(true);
        for service in services.filter_map(|name| self.services.get(name)) {
            compiler.open_file(&service.file).map_err(compile_error)?;
        }
        Ok(compiler.file_descriptor_set())
    }
}

/// The descriptors as bytes, without the comments.
pub(crate) fn encode(mut descriptors: FileDescriptorSet) -> Vec<u8> {
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    descriptors.encode_to_vec()
}

fn parse_error(folder: &Path, error: &protox::Error) -> Error {
    Error::new(format!("{}/{}", folder.display(), explained(error)))
}

/// protox tells the position only in its `Debug` form.
fn explained(error: &protox::Error) -> String {
    format!("{error:?}")
}

/// All `.proto` files, in the order of their names.
fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let entries = fs::read_dir(folder).map_err(|error| Error::file(folder, error))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(|error| Error::file(folder, error))?.path());
    }
    paths.sort();
    for path in paths {
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}

/// As an `import` names it: relative, with `/`.
fn import_name(folder: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(folder).unwrap_or(path);
    let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

fn declare(file: &FileDescriptorProto, services: &mut BTreeMap<String, Service>) {
    for service in &file.service {
        let name = match file.package() {
            "" => service.name().to_owned(),
            package => format!("{package}.{}", service.name()),
        };
        let methods = service
            .method
            .iter()
            .map(|method| (method.name().to_owned(), Method { takes_stream: method.client_streaming() }));
        // A file in an earlier folder hides one of the same name, as with imports.
        services.entry(name).or_insert_with(|| Service { file: file.name().to_owned(), methods: methods.collect() });
    }
}
