//! Whose word the command takes for the host that it asks by https: an authority that is made for one recording, and gone with it.

use crate::net::{ServerTls, TlsFiles};
use anyhow::{Context, anyhow};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

/// Its certificate is in a file, for the command. Its key is nowhere but here.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority")
    }
}

impl Authority {
    /// In a folder of its own, that nobody else reads.
    pub(super) fn new(folder: PathBuf) -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "weft record");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        fs::create_dir(&folder).and_then(|()| fs::write(folder.join("ca.pem"), issuer.pem()))?;
        Ok(Self { issuer, folder })
    }

    /// What the command has to trust.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Answers handshakes as this host: a name, or an address.
    pub(super) fn answer_as(&self, host: &str) -> anyhow::Result<ServerTls> {
        let key = KeyPair::generate()?;
        let params = CertificateParams::new([host.to_owned()]);
        let certificate = params.and_then(|params| params.signed_by(&key, &self.issuer));
        let certificate = certificate.with_context(|| format!("no certificate can be made for `{host}`"))?;
        let written = |name: &str, text: String| {
            let file = self.folder.join(name);
            fs::write(&file, text).map(|()| file)
        };
        // One host after the other is answered.
        let files = TlsFiles {
            certificate: written("host.pem", certificate.pem())?,
            key: written("host.key", key.serialize_pem())?,
            client_ca: None,
        };
        let certificates = files.read().map_err(|reason| anyhow!(reason))?.for_http1();
        Ok(ServerTls::new(files, certificates))
    }
}

/// For whoever reads certificates by these: curl and what uses OpenSSL, Python's requests, Node.
pub(super) fn variables(file: &Path) -> [(&'static str, &Path); 4] {
    ["CURL_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"].map(|name| (name, file))
}
