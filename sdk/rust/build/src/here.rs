//! Makes the clients in this process.

use std::fs;
use std::path::Path;

use crate::Error;
use crate::task::Task;
use crate::{calls, generate, protos};

/// Makes the clients, and returns what is odd about the protos.
pub(crate) fn make(task: &Task) -> Result<Vec<String>, Error> {
    let wanted = calls::read(&task.manifest)?;
    let names: Vec<&str> = wanted.iter().map(calls::Wanted::service).collect();
    let sources = protos::Sources::find(&task.folders, &names)?;
    let granted = calls::resolve(&task.manifest, wanted, &sources)?;
    let descriptors = sources.compile(granted.services())?;
    let clients = generate::clients(&descriptors, &granted, task)?;

    write(&task.out.join("weft.rs"), clients.as_bytes())?;
    write(&task.out.join("weft.methods"), granted.table().as_bytes())?;
    write(&task.out.join("weft.binpb"), &protos::encode(descriptors))?;
    Ok(sources.warnings())
}

/// Leaves a file alone that has this content already, so that nothing is compiled again because of it.
fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    fs::write(path, content).map_err(|error| Error::file(path, error))
}
