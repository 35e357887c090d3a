//! `descriptors` of a backend: where messages are known from that artifacts don't bring.

use crate::settings::{FromValue, Place};
use std::path::PathBuf;
use toml::de::DeValue;

/// `descriptors = "films.binpb"` or `descriptors = "reflection"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DescriptorSource {
    /// A serialized `google.protobuf.FileDescriptorSet`.
    File(PathBuf),
    /// gRPC server reflection, when a release is loaded that needs it.
    Reflection,
}

impl FromValue for DescriptorSource {
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
    pub source: DescriptorSource,
    pub place: Place,
}
