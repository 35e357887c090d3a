//! Messages of services that an artifact brings no protos for: from a file that the operator gives, or from the service itself.
//!
//! What was learnt once is kept. Whoever needs what is being learnt waits for the same look, and for no other.

use super::{
    backends::Backends,
    config::{BackendConfig, DescriptorSource},
};
use crate::{
    artifact::{LARGEST_DESCRIPTORS, read_descriptors},
    settings::visible,
    store::SingleFlight,
    sync::lock,
    upstream::Transport,
};
use prost_reflect::DescriptorPool;
use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    path::Path,
    sync::{Arc, Mutex},
};

/// What was learnt, and what is being learnt, by the file or the service.
#[derive(Debug, Default)]
pub(super) struct Descriptors {
    learnt: Arc<Mutex<HashMap<String, DescriptorPool>>>,
    looks: SingleFlight<String, Result<DescriptorPool, String>>,
}

impl Descriptors {
    /// The messages of `service`, if its backend has a source for them. No source is trusted more than an artifact: the same bounds hold.
    pub(super) async fn of(
        &self,
        backends: &Backends,
        config: &BackendConfig,
        service: &str,
    ) -> Result<Option<DescriptorPool>, String> {
        let Some(given) = &config.descriptors else { return Ok(None) };
        // One look for all services of a file.
        let key = match &given.source {
            DescriptorSource::File(path) => path.display().to_string(),
            DescriptorSource::Reflection => service.to_owned(),
        };
        let known = lock(&self.learnt).get(&key).cloned();
        if known.is_some() {
            return Ok(known);
        }
        // It gets on whoever gives up waiting. After a failure, who comes next looks again.
        let look = self.looks.run(&key, || {
            let (source, service, backend) = (given.source.clone(), service.to_owned(), config.name.clone());
            let transport = backends.transport(&config.name).cloned();
            let (learnt, key) = (self.learnt.clone(), key.clone());
            async move {
                let known = lock(&learnt).get(&key).cloned();
                if let Some(known) = known {
                    return Ok(known);
                }
                let pool = learn(source, service, backend, transport).await?;
                lock(&learnt).insert(key, pool.clone());
                Ok(pool)
            }
        });
        let unknown = || Err(format!("looking for descriptors of `{service}` ended without an answer"));
        look.wait().await.unwrap_or_else(unknown).map(Some)
    }
}

async fn learn(
    source: DescriptorSource,
    service: String,
    backend: String,
    transport: Option<Arc<dyn Transport>>,
) -> Result<DescriptorPool, String> {
    let set = match &source {
        DescriptorSource::File(_) => Vec::new(),
        DescriptorSource::Reflection => reflect(transport, &backend, &service).await?,
    };
    // Files are read and sets are parsed where that may take its time.
    let learnt = tokio::task::spawn_blocking(move || {
        let (set, whence) = match source {
            DescriptorSource::File(path) => {
                let name = path.display().to_string();
                (read(&path).map_err(|error| format!("{name}: {error}"))?, format!("file {name}"))
            }
            DescriptorSource::Reflection => (set, format!("backend `{backend}`")),
        };
        read_descriptors(&set).map_err(|error| {
            let error = visible(error);
            format!("descriptors of `{service}`, from {whence}: {error}")
        })
    });
    learnt.await.map_err(|error| error.to_string())?
}

async fn reflect(transport: Option<Arc<dyn Transport>>, backend: &str, service: &str) -> Result<Vec<u8>, String> {
    let transport = transport.ok_or_else(|| format!("backend `{backend}` is not there"))?;
    transport.reflect(service).await.map_err(|error| {
        let error = visible(error);
        format!("server reflection of backend `{backend}` tells nothing of `{service}`: {error}")
    })
}

/// No more of it than may be.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut set = Vec::new();
    File::open(path)?.take(LARGEST_DESCRIPTORS as u64 + 1).read_to_end(&mut set)?;
    Ok(set)
}
