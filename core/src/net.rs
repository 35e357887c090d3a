//! The network under everything: outbound HTTP, TLS of the host's own listeners, and who may speak for others. reqwest and rustls are
//! named here only.

mod backoff;
mod client;
mod connected;
mod framed;
mod peers;
mod places;
mod proxy;
mod subnet;
mod tls;

pub use backoff::Backoff;
pub use client::{HttpClient, HttpError, Response, Streamed, Tls, Trust};
pub use connected::Connected;
pub use framed::framed;
pub use peers::Peers;
pub use places::is_this_machine;
pub use proxy::{ProxyError, read_proxy_header};
pub use subnet::Subnet;
pub use tls::{Certificates, Incoming, ServerTls, TlsFiles};
