//! Who has opened a connection, for services that want to know.

use std::net::SocketAddr;

/// The other end of a request's connection, in the request's extensions.
#[derive(Debug, Clone, Copy)]
pub struct Connected(pub SocketAddr);
