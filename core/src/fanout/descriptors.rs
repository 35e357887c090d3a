//! Messages of services that an artifact brings no protos for: from a file that the operator gives, or from the service itself.

use super::{config::BackendConfig, engine::Engine};
use crate::settings::{FromValue, Place};
use prost::Message;
use prost_reflect::DescriptorPool;
use std::{path::PathBuf, sync::PoisonError};
use toml::de::DeValue;

/// `descriptors = "films.binpb"` or `descriptors = "reflection"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A serialized `google.protobuf.FileDescriptorSet`.
    File(PathBuf),
    /// gRPC server reflection, when a release is loaded that needs it.
    Reflection,
}

impl FromValue for Source {
    fn expected() -> String {
        "\"reflection\", or the path of a FileDescriptorSet".into()
    }
    fn from_value(value: &DeValue<'_>) -> Option<Result<Self, String>> {
        Some(Ok(match value.as_str()? {
            "reflection" => Self::Reflection,
            path => Self::File(path.into()),
        }))
    }
}

/// A source and where it is configured.
#[derive(Debug, Clone)]
pub struct Given {
    pub source: Source,
    pub place: Place,
}

impl Engine {
    /// The messages of `service`, if its backend has a source for them. What was learnt once is kept.
    pub(super) fn given_descriptors(
        &self,
        config: &BackendConfig,
        service: &str,
    ) -> Result<Option<DescriptorPool>, String> {
        let Some(given) = &config.descriptors else { return Ok(None) };
        let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = learnt.get(service) {
            return Ok(Some(pool.clone()));
        }
        let bytes = match &given.source {
            Source::File(path) => std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?,
            Source::Reflection => self.reflect(&config.name, service)?,
        };
        let pool =
            DescriptorPool::decode(bytes.as_slice()).map_err(|error| format!("descriptors of `{service}`: {error}"))?;
        learnt.insert(service.to_owned(), pool.clone());
        Ok(Some(pool))
    }

    fn reflect(&self, backend: &str, service: &str) -> Result<Vec<u8>, String> {
        let transport = self.transport(backend).ok_or_else(|| format!("backend `{backend}` is not there"))?;
        // Releases are loaded on a thread that may block.
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| error.to_string())?;
        let files = runtime.block_on(transport.reflect(service));
        let files = files.map_err(|error| {
            format!("server reflection of backend `{backend}` tells nothing of `{service}`: {error}")
        })?;
        Ok(files.encode_to_vec())
    }
}
