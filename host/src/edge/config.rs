//! `[http]` of `weft.toml`.

use crate::settings::{ByteSize, Table};
use std::{net::SocketAddr, time::Duration};

/// Where the host listens and what a client may take of it.
#[derive(Debug, Clone)]
pub struct Config {
    pub listen: SocketAddr,
    /// Largest request body.
    pub max_body: ByteSize,
    /// Header lines of one request.
    pub max_headers: usize,
    /// Bytes of all header lines of one request.
    pub max_header_bytes: ByteSize,
    /// Connections open at the same time; a further one waits in the system's queue.
    pub connections: usize,
    /// Requests under way on one HTTP/2 connection.
    pub streams: u32,
    /// How long a new connection may be silent.
    pub first_bytes: Duration,
    /// How long the header of a request may take to arrive.
    pub header: Duration,
    /// The longest that any endpoint may take.
    pub timeout: Duration,
    /// Callers with this scope may ask for a request's waterfall; `*`: everybody may; unset: nobody.
    pub explain: Option<String>,
    /// At shutdown: how long the host goes on accepting, so that balancers notice that it is not ready.
    pub drain_delay: Duration,
    /// At shutdown: how long requests under way may take to finish.
    pub drain: Duration,
}

impl Config {
    pub fn read(table: &Table<'_>) -> Self {
        let seconds = Duration::from_secs;
        let millis = Duration::from_millis;
        Self {
            listen: table.or("listen", SocketAddr::from(([127, 0, 0, 1], 8080))),
            max_body: table.within("max-body", ByteSize(1 << 20), ByteSize(0), ByteSize(1 << 30)),
            max_headers: table.within("max-headers", 100, 8, 1_000),
            max_header_bytes: table.within(
                "max-header-bytes",
                ByteSize(32 << 10),
                ByteSize(8 << 10),
                ByteSize(1 << 20),
            ),
            connections: table.within("connections", 10_000, 1, 1_000_000),
            streams: table.within("streams", 100, 1, 10_000),
            first_bytes: table.within("first-bytes", seconds(10), millis(10), seconds(300)),
            header: table.within("header-timeout", seconds(5), millis(10), seconds(300)),
            timeout: table.within("timeout", seconds(30), millis(1), seconds(300)),
            explain: table.optional("explain-scope"),
            drain_delay: table.within("drain-delay", Duration::ZERO, Duration::ZERO, seconds(300)),
            drain: table.within("drain", seconds(20), Duration::ZERO, seconds(600)),
        }
    }
}
