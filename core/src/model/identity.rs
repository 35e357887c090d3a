//! The verified caller, and on whose behalf something is done.

use super::{Name, Scope};
use std::{sync::Arc, time::SystemTime};

/// The caller, as the gateway authenticated it and the host verified it again. There is one only where somebody is named.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    pub issuer: Name,
    pub subject: Name,
    pub tenant: Option<Name>,
    pub scopes: Vec<String>,
    /// All verified claims. A plugin sees only those that its manifest asks for.
    pub claims: serde_json::Map<String, serde_json::Value>,
    pub expires_at: SystemTime,
}

/// A tenant, as its issuer knows it: two issuers may use one name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tenant {
    pub issuer: Name,
    pub name: Name,
}

/// On whose behalf a guest runs and its calls are made.
#[derive(Debug, Clone, Default)]
pub enum Party {
    /// Nobody in particular.
    #[default]
    Anyone,
    /// All callers of a tenant, and none of them in particular.
    Tenant(Tenant),
    Caller(Arc<Identity>),
}

impl Party {
    /// What all who may share in `scope` with this one have in common.
    pub fn narrowed(self, scope: Scope) -> Self {
        match scope {
            Scope::Principal => self,
            Scope::Tenant => self.tenant().map_or(Self::Anyone, Self::Tenant),
            Scope::Public => Self::Anyone,
        }
    }

    pub fn caller(&self) -> Option<&Arc<Identity>> {
        match self {
            Self::Caller(identity) => Some(identity),
            Self::Anyone | Self::Tenant(_) => None,
        }
    }

    pub fn tenant(&self) -> Option<Tenant> {
        match self {
            Self::Anyone => None,
            Self::Tenant(tenant) => Some(tenant.clone()),
            Self::Caller(identity) => {
                identity.tenant.clone().map(|name| Tenant { issuer: identity.issuer.clone(), name })
            }
        }
    }
}

impl From<Option<Arc<Identity>>> for Party {
    fn from(identity: Option<Arc<Identity>>) -> Self {
        identity.map_or(Self::Anyone, Self::Caller)
    }
}
