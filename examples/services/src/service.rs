//! The four services by name.

use std::fmt;
use std::str::FromStr;

use crate::proto::{catalog, people, recommend, reviews};

/// One of the demo's services; a process serves exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    Catalog,
    People,
    Reviews,
    Recommend,
}

impl Service {
    pub const ALL: [Self; 4] = [Self::Catalog, Self::People, Self::Reviews, Self::Recommend];

    /// The short name, as on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Catalog => "catalog",
            Self::People => "people",
            Self::Reviews => "reviews",
            Self::Recommend => "recommend",
        }
    }

    /// The gRPC service's full name, as in health checks and paths.
    pub const fn full_name(self) -> &'static str {
        match self {
            Self::Catalog => catalog::v1::films_server::SERVICE_NAME,
            Self::People => people::v1::people_server::SERVICE_NAME,
            Self::Reviews => reviews::v1::reviews_server::SERVICE_NAME,
            Self::Recommend => recommend::v1::recommend_server::SERVICE_NAME,
        }
    }

    /// The port that the demo gives this service.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Catalog => 50051,
            Self::People => 50052,
            Self::Reviews => 50053,
            Self::Recommend => 50054,
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name is none of the four.
#[derive(Debug, thiserror::Error)]
#[error("no service {0:?}: there are catalog, people, reviews and recommend")]
pub struct UnknownService(String);

impl FromStr for Service {
    type Err = UnknownService;

    fn from_str(name: &str) -> Result<Self, UnknownService> {
        Self::ALL.into_iter().find(|service| service.name() == name).ok_or_else(|| UnknownService(name.to_owned()))
    }
}
