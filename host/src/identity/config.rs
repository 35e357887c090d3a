//! `[identity]` of `weft.toml`.

use crate::settings::Table;
use std::{path::PathBuf, time::Duration};

crate::choice! {
    /// Algorithms that sign with a private key. Shared secrets have no place between a gateway and the hosts behind it.
    pub enum Algorithm {
        Rs256 = "RS256", Rs384 = "RS384", Rs512 = "RS512",
        Ps256 = "PS256", Ps384 = "PS384", Ps512 = "PS512",
        Es256 = "ES256", Es384 = "ES384", EdDsa = "EdDSA",
    }
}

crate::choice! {
    /// How far the gateway is trusted.
    pub enum Trust {
        /// The token is verified here again.
        Half = "half",
    }
}

/// Whose tokens are accepted, and how they are read.
#[derive(Debug, Clone)]
pub struct Config {
    pub trust: Trust,
    pub issuers: Vec<String>,
    pub audiences: Vec<String>,
    pub algorithms: Vec<Algorithm>,
    /// A JWKS file; relative to the configuration's folder.
    pub jwks: Option<PathBuf>,
    pub leeway: Duration,
    /// The claim that names the tenant.
    pub tenant_claim: String,
    /// The claim that lists scopes: a string with spaces, or a list of strings.
    pub scope_claim: String,
}

impl Config {
    pub fn read(table: &Table<'_>) -> Self {
        let exists = table.exists();
        let list = |key: &str| -> Vec<String> {
            if !exists {
                return Vec::new();
            }
            let list: Vec<String> = table.required(key).unwrap_or_default();
            if list.is_empty() && table.has(key) {
                table.mistake(key, "expected at least one");
            }
            list
        };
        let jwks = if exists { table.required("jwks") } else { None };
        Self {
            trust: table.or("trust", Trust::Half),
            issuers: list("issuers"),
            audiences: list("audience"),
            algorithms: table.or("algorithms", vec![Algorithm::Rs256, Algorithm::Es256]),
            jwks,
            leeway: table.within("leeway", Duration::from_secs(30), Duration::ZERO, Duration::from_secs(60)),
            tenant_claim: table.or("tenant-claim", "tenant".to_owned()),
            scope_claim: table.or("scope-claim", "scope".to_owned()),
        }
    }
}
