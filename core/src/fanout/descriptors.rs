//! Messages of services that an artifact brings no protos for: from a file that the operator gives, or from the service itself.
//!
//! What was learnt once is kept. Whoever needs what is being learnt waits for the same look, and for no other.

use super::{
    backends::Backends,
    config::{BackendConfig, DescriptorSource, Given},
};
use crate::{
    artifact::{LARGEST_DESCRIPTORS, read_what_is_understood},
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
    learnt: Arc<Mutex<HashMap<String, Learnt>>>,
    looks: SingleFlight<String, Result<Learnt, String>>,
}

#[derive(Debug, Clone)]
struct Learnt {
    pool: DescriptorPool,
    /// Why there is less than the source has.
    passed_over: Option<Arc<str>>,
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
        let learnt = self.look(backends, (config, given), service).await?;
        match learnt.passed_over {
            Some(why) if learnt.pool.get_service_by_name(service).is_none() => {
                Err(format!("descriptors of `{service}`, from {}: {why}", whence(&given.source, &config.name)))
            }
            _ => Ok(Some(learnt.pool)),
        }
    }

    /// All services that the backend's source knows, if it has one.
    pub(super) async fn services(&self, backends: &Backends, config: &BackendConfig) -> Result<Vec<String>, String> {
        match &config.descriptors {
            None => Ok(Vec::new()),
            Some(Given { source: DescriptorSource::Reflection, .. }) => match backends.transport(&config.name) {
                Some(transport) => transport.services().await,
                None => Err(format!("backend `{}` is not there", config.name)),
            },
            Some(given) => {
                let learnt = self.look(backends, (config, given), "").await?;
                Ok(learnt.pool.services().map(|service| service.full_name().to_owned()).collect())
            }
        }
    }

    async fn look(
        &self,
        backends: &Backends,
        (config, given): (&BackendConfig, &Given),
        service: &str,
    ) -> Result<Learnt, String> {
        // One look for all services of a file.
        let key = match &given.source {
            DescriptorSource::File(path) => path.display().to_string(),
            DescriptorSource::Reflection => service.to_owned(),
        };
        let known = lock(&self.learnt).get(&key).cloned();
        if let Some(known) = known {
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
                let new = learn(source, service, backend, transport).await?;
                lock(&learnt).insert(key, new.clone());
                Ok(new)
            }
        });
        let unknown = || Err(format!("looking for descriptors of `{service}` ended without an answer"));
        look.wait().await.unwrap_or_else(unknown)
    }
}

fn whence(source: &DescriptorSource, backend: &str) -> String {
    match source {
        DescriptorSource::File(path) => format!("file {}", path.display()),
        DescriptorSource::Reflection => format!("backend `{backend}`"),
    }
}

async fn learn(
    source: DescriptorSource,
    service: String,
    backend: String,
    transport: Option<Arc<dyn Transport>>,
) -> Result<Learnt, String> {
    let set = match &source {
        DescriptorSource::File(_) => Vec::new(),
        DescriptorSource::Reflection => reflect(transport, &backend, &service).await?,
    };
    // Files are read and sets are parsed where that may take its time.
    let learnt = tokio::task::spawn_blocking(move || {
        let set = match &source {
            DescriptorSource::File(path) => read(path).map_err(|error| format!("{}: {error}", path.display()))?,
            DescriptorSource::Reflection => set,
        };
        match read_what_is_understood(&set) {
            Ok((pool, passed_over)) => Ok(Learnt { pool, passed_over: passed_over.map(|why| visible(why).into()) }),
            Err(error) => {
                let (whence, error) = (whence(&source, &backend), visible(error));
                Err(format!("descriptors of `{service}`, from {whence}: {error}"))
            }
        }
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
