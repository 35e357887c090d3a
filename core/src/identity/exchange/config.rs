//! `[identity.exchange]` of `weft.toml`.

use super::form_encoded;
use crate::{
    identity::places::{check_url, readable},
    settings::{Place, Secret, Table},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderValue;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// Where tokens are exchanged, and as whom.
#[derive(Debug, Clone)]
pub struct Config {
    pub url: String,
    pub client_id: String,
    pub secret: Secret,
    pub ca: Option<PathBuf>,
    pub timeout: Duration,
    /// What is asked for, where it is not everything that the caller has.
    pub scope: Option<String>,
    /// By the backend's name.
    pub audiences: BTreeMap<String, String>,
    place: Place,
}

impl Config {
    pub fn read(table: &Table<'_>) -> Option<Self> {
        if !table.exists() {
            return None;
        }
        let url: Option<String> = table.required("url");
        if let Some(Err(reason)) = url.as_deref().map(check_url) {
            table.mistake("url", reason);
        }
        let secret = table.required("secret").map(|secret| table.at_hand("secret", secret));
        let client_id = table.required("client-id");
        let (ca, scope) = (table.optional("ca"), table.optional("scope"));
        let second = Duration::from_secs(1);
        let timeout = table.within("timeout", second * 2, second / 100, second * 30);
        let section = table.table("audience");
        let audiences =
            section.names().into_iter().filter_map(|name| section.optional(&name).map(|audience| (name, audience)));
        let audiences = audiences.collect();
        let place = table.place("ca");
        Some(Self { url: url?, client_id: client_id?, secret: secret?, ca, timeout, scope, audiences, place })
    }

    pub(in crate::identity) fn resolve(&mut self, folder: &Path, table: &Table<'_>) {
        if let Some(ca) = &mut self.ca {
            *ca = folder.join(&ca);
            if let Err(reason) = readable(ca) {
                table.note(self.place.mistake(reason));
            }
        }
    }

    /// The host's own name and secret (RFC 6749, section 2.3.1).
    pub(super) fn credential(&self) -> Result<HeaderValue, String> {
        let pair = format!("{}:{}", form_encoded(&self.client_id), form_encoded(&self.secret.read()?));
        let value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)));
        let mut value = value.map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        Ok(value)
    }
}
