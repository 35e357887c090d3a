//! The verified caller.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Problem, Result};

/// The verified caller. As an argument it is required: without one the answer is a 401. `Option<Identity>` takes both.
///
/// The host has verified it; only the claims that `plugin.toml` asks for are there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) tenant: Option<String>,
    pub(crate) scopes: Vec<String>,
    /// A JSON object, or empty.
    pub(crate) claims: String,
}

impl Identity {
    /// An identity with this subject. For tests and drivers: in a component, the host makes them.
    pub fn of(subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), ..Self::default() }
    }

    /// Sets the issuer.
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = issuer.into();
        self
    }

    /// Sets the tenant.
    pub fn with_tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Adds a scope.
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scopes.push(scope.into());
        self
    }

    /// Sets the claims, from anything that is a JSON object: `json!({"plan": "gold"})`.
    pub fn with_claims(mut self, claims: &impl Serialize) -> Self {
        self.claims = serde_json::to_string(claims).unwrap_or_default();
        self
    }

    /// Who vouches for the caller.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Who the caller is, among the callers of this issuer. Empty where the response is kept for a whole tenant (`cache = { scope =
    /// "tenant" }` at the endpoint): then there is no caller, and what is kept by subject would be all tenants'. See [`Identity::key`].
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// By what a plugin may keep something for this caller, or tenant, in its own memory (`isolation = "reuse"`): it differs wherever
    /// the issuer, the tenant or the subject does. [`cache`](crate::cache) needs none, the host keeps it apart.
    pub fn key(&self) -> String {
        // Written as strings of Rust, so that no part can look like two.
        format!("{:?} {:?} {:?}", self.issuer, self.tenant, self.subject)
    }

    /// The organisation that the caller acts for.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// What the caller's token is good for.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Whether the caller's token is good for this.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|it| it == scope)
    }

    /// A 403 that names the scope, unless the caller has it.
    pub fn require_scope(&self, scope: &str) -> Result<()> {
        if self.has_scope(scope) {
            return Ok(());
        }
        Err(Problem::forbidden(format_args!("this needs the scope `{scope}`")).with("scope", scope))
    }

    /// A claim of the caller's token, if `plugin.toml` asks for it and the token has it as a `T`.
    pub fn claim<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let mut claims: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&self.claims).ok()?;
        serde_json::from_value(claims.remove(name)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::Identity;

    #[test]
    fn keys_differ_wherever_issuer_tenant_or_subject_do() {
        let of = |issuer: &str, tenant: Option<&str>, subject: &str| {
            let identity = Identity::of(subject).with_issuer(issuer);
            tenant.map_or(identity.clone(), |tenant| identity.with_tenant(tenant)).key()
        };
        let all = [
            of("i", None, "a"),
            of("j", None, "a"),
            of("i", None, ""),
            of("i", Some("t"), ""),
            of("i", Some("u"), ""),
            of("i", Some("t"), "a"),
            of("i\" None \"", None, "a"),
            of("i", Some("t\") \"a"), ""),
        ];
        for (place, key) in all.iter().enumerate() {
            assert!(!all[..place].contains(key), "{key}");
        }
    }
}
