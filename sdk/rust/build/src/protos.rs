//! Finds services in `.proto` files, and compiles the files that are needed.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use protox::Compiler;

use crate::Error;
use crate::imports;
use crate::roots::{Fault, Proto, Roots};

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

/// The services that may be meant, by their full names.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) services: BTreeMap<String, Service>,
    roots: Roots,
    passed_over: Vec<String>,
}

impl Sources {
    /// Reads the files that may declare these services, without their imports; all files, where one of the services is not found, so
    /// that it can be said what there is.
    pub(crate) fn find(folders: &[PathBuf], wanted: &[&str]) -> Result<Self, Error> {
        let mut sources = Self { services: BTreeMap::new(), roots: Roots::new(folders)?, passed_over: Vec::new() };
        if wanted.is_empty() {
            return Ok(sources);
        }
        let simple: Vec<&str> = wanted.iter().filter_map(|name| name.rsplit('.').next()).collect();
        let (near, far): (Vec<_>, Vec<_>) = sources.roots.files()?.into_iter().partition(|file| file.names(&simple));
        let unreadable = sources.declare_all(near);
        if wanted.iter().all(|name| sources.services.contains_key(*name)) {
            sources.pass_over(&unreadable);
            return Ok(sources);
        }
        // What can't be read may declare what is missing.
        if !unreadable.is_empty() {
            return Err(Error::all(unreadable.iter().map(ToString::to_string).collect()));
        }
        let unreadable = sources.declare_all(far);
        sources.pass_over(&unreadable);
        Ok(sources)
    }

    fn pass_over(&mut self, unreadable: &[Fault]) {
        let told = unreadable
            .iter()
            .map(|fault| format!("passed over, since nothing that is granted needs it: {}", fault.in_one_line()));
        self.passed_over.extend(told);
    }

    fn declare_all(&mut self, files: Vec<Proto>) -> Vec<Fault> {
        let mut unreadable = Vec::new();
        for file in files {
            match file.parse() {
                Ok(parsed) => declare(&parsed, &mut self.services),
                Err(fault) => unreadable.push(fault),
            }
        }
        unreadable
    }

    /// What is odd about the files that were opened.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.passed_over.iter().cloned().chain(self.roots.warnings()).collect()
    }

    /// Compiles the files that declare these services, with all that they import.
    pub(crate) fn compile<'a>(&self, services: impl Iterator<Item = &'a str>) -> Result<FileDescriptorSet, Error> {
        let files: Vec<&str> =
            services.filter_map(|name| self.services.get(name)).map(|service| service.file.as_str()).collect();
        imports::check(&self.roots, &files)?;
        guarded("read", || {
            let mut compiler = Compiler::with_file_resolver(self.roots.clone());
            compiler.include_imports(true).include_source_info(true);
            for file in files {
                // protox tells the position only in its `Debug` form.
                compiler.open_file(file).map_err(|error| Error::new(format!("{error:?}")))?;
            }
            Ok(compiler.file_descriptor_set())
        })
    }
}

/// Runs a library that may panic on what it has not thought of, so that the author is told what to do about it.
pub(crate) fn guarded<T>(doing: &str, run: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
        Err(Error::new(format!(
            "these protos can't be {doing}: {text}\nThis is a limit of a library that weft-build uses: change what it names, or \
             take the service out of [calls]."
        )))
    })
}

/// The descriptors as bytes, without the comments.
pub(crate) fn encode(mut descriptors: FileDescriptorSet) -> Vec<u8> {
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    descriptors.encode_to_vec()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_a_library_is_told_with_a_sentence() {
        let told = guarded::<()>("written as Rust", || panic!("no {}", "idea")).unwrap_err().to_string();
        assert!(told.starts_with("these protos can't be written as Rust: no idea\n"), "{told}");
        assert!(told.contains("a limit of a library"), "{told}");
    }
}
