//! The part of `[backend.NAME]` that says where the backend is and how it is reached.

use crate::settings::{ByteSize, Place, Table};
use http::Uri;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

crate::choice! {
    /// How an endpoint is picked for a call.
    pub enum Balance {
        /// The better of two random ones, by the peak-sensitive average of their answer times and their calls under way.
        P2cEwma = "p2c-ewma",
        RoundRobin = "round-robin",
    }
}

/// PEM files for TLS to a backend.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Certificates to trust.
    pub ca: PathBuf,
    /// The name to expect in the backend's certificate; else the endpoint's host.
    pub server_name: Option<String>,
    /// Our own certificate and key, for mutual TLS.
    pub identity: Option<(PathBuf, PathBuf)>,
    pub place: Place,
}

/// How to reach one backend.
#[derive(Debug, Clone)]
pub struct Config {
    /// One URI an endpoint: `http://127.0.0.1:50051`.
    pub endpoints: Vec<Uri>,
    pub balance: Balance,
    pub connect_timeout: Duration,
    /// The largest reply that is read.
    pub max_reply: ByteSize,
    pub tls: Option<TlsFiles>,
}

impl Config {
    pub fn read(table: &Table<'_>) -> Option<Self> {
        let tls = TlsFiles::read(&table.table("tls"));
        let endpoints: Option<String> = table.required("endpoints");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let config = Self {
            endpoints: endpoints.map(|text| static_endpoints(table, &text, scheme)).unwrap_or_default(),
            balance: table.or("balance", Balance::P2cEwma),
            connect_timeout: table.within(
                "connect-timeout",
                Duration::from_secs(1),
                Duration::from_millis(1),
                Duration::from_mins(1),
            ),
            max_reply: table.within("max-reply", ByteSize(4 << 20), ByteSize(1 << 10), ByteSize(256 << 20)),
            tls,
        };
        (!config.endpoints.is_empty()).then_some(config)
    }
}

fn static_endpoints(table: &Table<'_>, text: &str, scheme: &str) -> Vec<Uri> {
    let Some(list) = text.strip_prefix("static://") else {
        table.mistake("endpoints", "expected \"static://HOST:PORT,HOST:PORT\"");
        return Vec::new();
    };
    let mut endpoints = Vec::new();
    for authority in list.split(',').map(str::trim) {
        let uri = format!("{scheme}://{authority}").parse::<Uri>().ok();
        match uri.filter(|uri| uri.port_u16().is_some() && uri.path() == "/") {
            Some(uri) => endpoints.push(uri),
            None => table.mistake("endpoints", format!("expected HOST:PORT, found {authority:?}")),
        }
    }
    endpoints
}

impl TlsFiles {
    /// Makes the paths relative to `folder`, and notes those that can't be read.
    pub fn resolve(&mut self, folder: &Path, root: &Table<'_>) {
        let (certificate, key) = self.identity.as_mut().map(|(certificate, key)| (certificate, key)).unzip();
        for path in [Some(&mut self.ca), certificate, key].into_iter().flatten() {
            *path = folder.join(&path);
            if let Err(error) = std::fs::metadata(&path) {
                root.note(self.place.mistake(format!("{}: {error}", path.display())));
            }
        }
    }

    fn read(table: &Table<'_>) -> Option<Self> {
        if !table.exists() {
            return None;
        }
        let certificate: Option<PathBuf> = table.optional("certificate");
        let key: Option<PathBuf> = table.optional("key");
        if certificate.is_some() != key.is_some() {
            table.mistake("", "`certificate` and `key` go together");
        }
        Some(Self {
            ca: table.required("ca")?,
            server_name: table.optional("server-name"),
            identity: certificate.zip(key),
            place: table.place(""),
        })
    }
}
