//! Messages of services that an artifact brings no protos for: from a file that the operator gives, or from the service itself.

use super::{
    config::{BackendConfig, DescriptorSource},
    engine::Engine,
};
use crate::{
    artifact::{LARGEST_DESCRIPTORS, read_descriptors},
    settings::visible,
};
use prost_reflect::DescriptorPool;
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::PoisonError,
};

impl Engine {
    /// The messages of `service`, if its backend has a source for them. What was learnt once is kept. No source is trusted more than an
    /// artifact: the same bounds hold.
    pub(super) fn given_descriptors(
        &self,
        config: &BackendConfig,
        service: &str,
    ) -> Result<Option<DescriptorPool>, String> {
        let Some(given) = &config.descriptors else { return Ok(None) };
        // One for all services of a file.
        let key = match &given.source {
            DescriptorSource::File(path) => path.display().to_string(),
            DescriptorSource::Reflection => service.to_owned(),
        };
        let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = learnt.get(&key) {
            return Ok(Some(pool.clone()));
        }
        let (set, whence) = match &given.source {
            DescriptorSource::File(path) => {
                (read(path).map_err(|error| format!("{key}: {error}"))?, format!("file {key}"))
            }
            DescriptorSource::Reflection => {
                (self.reflect(&config.name, service)?, format!("backend `{}`", config.name))
            }
        };
        let pool = read_descriptors(&set).map_err(|error| {
            let error = visible(error);
            format!("descriptors of `{service}`, from {whence}: {error}")
        })?;
        learnt.insert(key, pool.clone());
        Ok(Some(pool))
    }

    fn reflect(&self, backend: &str, service: &str) -> Result<Vec<u8>, String> {
        let transport = self.transport(backend).ok_or_else(|| format!("backend `{backend}` is not there"))?;
        // Releases are loaded on a thread that may block.
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| error.to_string())?;
        let files = runtime.block_on(transport.reflect(service));
        files.map_err(|error| {
            let error = visible(error);
            format!("server reflection of backend `{backend}` tells nothing of `{service}`: {error}")
        })
    }
}

/// No more of it than may be.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut set = Vec::new();
    File::open(path)?.take(LARGEST_DESCRIPTORS as u64 + 1).read_to_end(&mut set)?;
    Ok(set)
}
