//! What connections may take: room, and time.

use std::time::Duration;

/// What connections may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub connections: usize,
    pub connections_per_ip: usize,
    pub streams: u32,
    pub max_headers: usize,
    pub max_header_bytes: usize,
    /// How long a connection may be silent when it is new, and how long a TLS handshake may take.
    pub first_bytes: Duration,
    pub header: Duration,
    pub idle: Duration,
    /// The same of HTTP/1 once the host stops: whoever asks again within this time gets one last answer, which says that it is.
    pub last: Duration,
    pub write: Duration,
    /// How long connections may take to end after the stop.
    pub drain: Duration,
}

impl From<&super::Config> for Bounds {
    fn from(config: &super::Config) -> Self {
        Self {
            connections: config.connections,
            connections_per_ip: config.connections_per_ip,
            streams: config.streams,
            max_headers: config.max_headers,
            max_header_bytes: config.max_header_bytes.as_usize(),
            first_bytes: config.first_bytes,
            header: config.header,
            idle: config.idle,
            last: config.header.min(config.drain / 2),
            write: config.write,
            drain: config.drain,
        }
    }
}

#[cfg(test)]
impl Bounds {
    pub(super) fn for_tests() -> Self {
        let second = Duration::from_secs(1);
        Self {
            connections: 10,
            connections_per_ip: 10,
            streams: 10,
            max_headers: 100,
            max_header_bytes: 32 << 10,
            first_bytes: second,
            header: second,
            idle: second,
            last: second,
            write: second,
            drain: second,
        }
    }
}
