//! Mapping compiled code into the process: the only `unsafe` of the host.

use std::path::Path;
use wasmtime::{Engine, Result, component::Component};

/// Maps a file that [`weft_core::plugin::compiled_file`] has given out.
#[allow(unsafe_code, reason = "deserialize_file has no safe form; the proof stands at the call")]
pub(super) fn map(engine: &Engine, file: &Path) -> Result<Component> {
    // SAFETY: `deserialize_file` runs whatever the file holds as machine code, so the file has to be the output of an engine like this
    // one and may never change while it is mapped. `plugin::compiled_file` gives out only paths in a folder that belongs to this
    // process's user and that nobody else may enter or write to, of plain files of which the same is true; both are checked each
    // time. Files there are written under a temporary name by this very program, synced, and renamed, and never opened for writing
    // again. Their seal, checked just before, says that they are whole and stand under their own name, and the name holds the digest
    // of the input and the hash of everything that makes engines compatible, which wasmtime checks once more.
    unsafe { Component::deserialize_file(engine, file) }
}
