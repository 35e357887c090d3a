//! TLS to somebody behind the host: a backend, or who tells where its instances are.

use crate::settings::{Place, Table};
use std::path::{Path, PathBuf};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// PEM files.
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

    pub(super) fn read(table: &Table<'_>) -> Option<Self> {
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

    /// What tonic makes of the files, as they are now.
    pub(super) fn client_config(&self) -> Result<ClientTlsConfig, String> {
        let read = |path: &Path| std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
        let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(&self.ca)?));
        if let Some(name) = &self.server_name {
            config = config.domain_name(name);
        }
        if let Some((certificate, key)) = &self.identity {
            config = config.identity(Identity::from_pem(read(certificate)?, read(key)?));
        }
        Ok(config)
    }
}
