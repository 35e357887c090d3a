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
    upstream::Transport,
};
use futures_util::future::{BoxFuture, FutureExt, Shared};
use prost_reflect::DescriptorPool;
use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// One look at a source, for all who wait for it.
type Look = Shared<BoxFuture<'static, Result<DescriptorPool, String>>>;

/// What was learnt and is being learnt, by the file or the service.
#[derive(Debug, Default)]
pub(super) struct Descriptors(Mutex<HashMap<String, Look>>);

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
        let look = || {
            let (source, service, backend) = (given.source.clone(), service.to_owned(), config.name.clone());
            let learning = learn(source, service, backend, backends.transport(&config.name).cloned());
            // A task of its own: it gets on whoever gives up waiting, and a panic in it is a failure like others.
            async { tokio::spawn(learning).await.map_err(|error| error.to_string())? }.boxed().shared()
        };
        let look = self.looks().entry(key.clone()).or_insert_with(look).clone();
        let learnt = look.clone().await;
        if learnt.is_err() {
            // Who comes next looks again.
            let mut looks = self.looks();
            if looks.get(&key).is_some_and(|current| current.ptr_eq(&look)) {
                looks.remove(&key);
            }
        }
        learnt.map(Some)
    }

    fn looks(&self) -> MutexGuard<'_, HashMap<String, Look>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
