//! What a plugin in another language than Rust is granted: `weft build` has clients made of it.

use std::path::{Path, PathBuf};

use prost::Message;

use crate::{Error, calls, protos};

/// What `[calls]` of a `plugin.toml` grants, and the protos that say what it is.
#[derive(Debug, Clone)]
pub struct Granted {
    /// Full names, sorted; a call's method number is a place in it.
    pub methods: Vec<String>,
    /// The `FileDescriptorSet` of the files that are needed, for the artifact.
    pub descriptors: Vec<u8>,
    /// The same with comments.
    pub commented: Vec<u8>,
    /// What is odd about these files.
    pub warnings: Vec<String>,
}

/// Reads `[calls]`, and finds it in the `.proto` files of these folders. Imports are relative to them.
pub fn granted(manifest: &Path, folders: &[PathBuf]) -> Result<Granted, Error> {
    let wanted = calls::read(manifest)?;
    let names: Vec<&str> = wanted.iter().map(calls::Wanted::service).collect();
    let sources = protos::Sources::find(folders, &names)?;
    let granted = calls::resolve(manifest, wanted, &sources)?;
    let descriptors = sources.compile(granted.services())?;
    let commented = descriptors.encode_to_vec();
    Ok(Granted {
        methods: granted.names(),
        descriptors: protos::encode(descriptors),
        commented,
        warnings: sources.warnings(),
    })
}
