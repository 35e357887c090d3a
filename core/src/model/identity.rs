//! The verified caller, and who may share what was loaded for it.

use std::{sync::Arc, time::SystemTime};

crate::choice! {
    /// Who may share a reply or a response.
    pub enum Scope {
        /// Only the same caller with the same forwarded credentials. The default.
        Principal = "principal",
        /// All callers of one tenant.
        Tenant = "tenant",
        /// Everybody.
        Public = "public",
    }
}

/// The caller, as the gateway authenticated it and the host verified it again.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    pub issuer: Arc<str>,
    pub subject: Arc<str>,
    pub tenant: Option<Arc<str>>,
    pub scopes: Vec<String>,
    /// All verified claims. A plugin sees only those that its manifest asks for.
    pub claims: serde_json::Map<String, serde_json::Value>,
    pub expires_at: SystemTime,
}
