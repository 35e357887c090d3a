//! TLS of the host's own listeners: certificate and key from PEM files, read again when they change.

use crate::settings::Table;
use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{NoClientAuth, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// How often the files are looked at.
const PATROL: Duration = Duration::from_secs(2);

/// PEM files of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Whoever connects may show a certificate signed by one of these.
    pub client_ca: Option<PathBuf>,
}

/// The certificates in use.
#[derive(Debug, Clone)]
pub struct Certificates(Arc<ServerConfig>);

/// Answers handshakes, and keeps its certificates fresh.
#[derive(Debug)]
pub struct ServerTls {
    files: TlsFiles,
    current: ArcSwap<ServerConfig>,
}

/// A connection as it came in.
#[derive(Debug)]
pub enum Incoming {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl TlsFiles {
    /// What a listener's `tls` table names, relative to `folder`, and what these files hold. `client_ca`: whether it may name one.
    pub fn from_table(table: &Table<'_>, folder: &Path, client_ca: bool) -> Option<(Self, Certificates)> {
        if !table.exists() {
            return None;
        }
        let path = |key: &str| Some(folder.join(table.required::<String>(key)?));
        let (certificate, key) = (path("certificate"), path("key"));
        let client_ca = if client_ca { table.optional::<String>("client-ca") } else { None };
        let files = Self { certificate: certificate?, key: key?, client_ca: client_ca.map(|path| folder.join(path)) };
        match files.read() {
            Ok(certificates) => Some((files, certificates)),
            Err(reason) => {
                table.mistake("", reason);
                None
            }
        }
    }

    /// Reads all files; the message names the one that is wrong.
    pub fn read(&self) -> Result<Certificates, String> {
        let at = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let certificates = pem_certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| at(&self.key, &error))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier: Arc<dyn ClientCertVerifier> = match &self.client_ca {
            None => Arc::new(NoClientAuth),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in pem_certificates(path)? {
                    roots.add(certificate).map_err(|error| at(path, &error))?;
                }
                let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
                builder.allow_unauthenticated().build().map_err(|error| at(path, &error))?
            }
        };
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| error.to_string())?.with_client_cert_verifier(verifier);
        let mut config = builder.with_single_cert(certificates, key).map_err(|error| at(&self.certificate, &error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Certificates(Arc::new(config)))
    }

    fn stamps(&self) -> Vec<Option<(SystemTime, u64)>> {
        let paths = [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()];
        let stamp = |path: &PathBuf| {
            let meta = std::fs::metadata(path).ok()?;
            Some((meta.modified().ok()?, meta.len()))
        };
        paths.into_iter().flatten().map(stamp).collect()
    }
}

fn pem_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let at = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let list: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(|error| at(&error))?.collect();
    let list = list.map_err(|error| at(&error))?;
    if list.is_empty() { Err(at(&"no certificate in it (PEM)")) } else { Ok(list) }
}

impl Certificates {
    /// For whoever speaks HTTP/1.1 only.
    #[must_use]
    pub fn for_http1(mut self) -> Self {
        Arc::make_mut(&mut self.0).alpn_protocols = vec![b"http/1.1".to_vec()];
        self
    }
}

impl ServerTls {
    pub fn new(files: TlsFiles, first: Certificates) -> Self {
        Self { files, current: ArcSwap::new(first.0) }
    }

    /// The handshake. Bound it in time.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<Incoming> {
        let stream = TlsAcceptor::from(self.current.load_full()).accept(stream).await?;
        Ok(Incoming::Tls(Box::new(stream)))
    }

    /// Reads the files again when they have changed, until the future is dropped. New ones that are wrong are reported, and the old
    /// ones go on.
    pub async fn watch(&self) {
        let mut known = self.files.stamps();
        loop {
            tokio::time::sleep(PATROL).await;
            let now = self.files.stamps();
            if now == known {
                continue;
            }
            match self.files.read() {
                Ok(fresh) => {
                    self.current.store(fresh.0);
                    known = now;
                    tracing::info!(certificate = %self.files.certificate.display(), "certificate loaded anew");
                }
                // Looked at again at the next patrol: a certificate and its key are seldom written in one instant.
                Err(error) => tracing::warn!("the new certificate can't be used, the old one goes on: {error}"),
            }
        }
    }
}

impl Incoming {
    /// Whether the other side showed a certificate that was verified.
    pub fn is_certified(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.peer_certificates().is_some(),
        }
    }
}

impl AsyncRead for Incoming {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Incoming {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
