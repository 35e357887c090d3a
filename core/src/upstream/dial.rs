//! How channels to the instances of one gRPC backend are made.

use super::{Config, tls::TlsFiles};
use http::{HeaderValue, Uri};
use std::time::Duration;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Longest time that a ping may take to come back.
const PING: Duration = Duration::from_secs(5);

/// How the channels of one backend are made. Its TLS files are read once, when the configuration is: an instance that comes later
/// neither waits for a disk nor fails by a file that is just being replaced.
#[derive(Debug)]
pub(super) struct Dialer {
    connect_timeout: Duration,
    keep_alive: Duration,
    tls: Option<ClientTlsConfig>,
    codings: Option<HeaderValue>,
}

impl Dialer {
    pub(super) fn new(config: &Config) -> Result<Self, BoxError> {
        Ok(Self {
            connect_timeout: config.connect_timeout,
            keep_alive: config.keep_alive,
            tls: config.tls.as_ref().map(TlsFiles::client_config).transpose()?,
            codings: config.compression.clone(),
        })
    }

    pub(super) fn keep_alive(&self) -> Duration {
        self.keep_alive
    }

    pub(super) fn codings(&self) -> Option<HeaderValue> {
        self.codings.clone()
    }

    pub(super) fn dial(&self, uri: &Uri, keep_alive: Duration) -> Result<Channel, BoxError> {
        let mut endpoint = Endpoint::from(uri.clone())
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(Some(Duration::from_secs(30)))
            .http2_keep_alive_interval(keep_alive)
            .keep_alive_timeout(keep_alive.min(PING))
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(8 << 20)
            .user_agent(concat!("weft/", env!("CARGO_PKG_VERSION")))?;
        if let Some(tls) = &self.tls {
            endpoint = endpoint.tls_config(tls.clone())?;
        }
        Ok(endpoint.connect_lazy())
    }
}
