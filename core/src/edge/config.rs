//! `[http]` of `weft.toml`.

use crate::{
    net::{Certificates, Peers, TlsFiles},
    settings::{ByteSize, Table},
};
use std::{net::SocketAddr, path::Path, time::Duration};

/// What an HTTP/2 connection may have sent that nobody has looked at yet, and one of its streams.
pub const CONNECTION_WINDOW: u32 = 1 << 20;
pub(super) const STREAM_WINDOW: u32 = 64 << 10;
/// Answers that are packed at the same time, for each core.
pub const PACKERS: usize = 2;

/// Bytes that may be held for clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// For all of them.
    pub all: usize,
    /// For one address (of IPv6: one /64) that is not a listed peer.
    pub per_ip: usize,
    /// For one connection that is not a listed peer's.
    pub per_connection: usize,
}

/// Where the host listens and what a client may take of it.
#[derive(Debug, Clone)]
pub struct Config {
    pub listen: SocketAddr,
    /// Largest request body.
    pub max_body: ByteSize,
    /// Requests that are not answered yet, with their heads and bodies.
    pub bodies: Shares,
    /// The least of a body that has to arrive in a second.
    pub body_rate: ByteSize,
    /// Answers that clients have not taken yet.
    pub unread: Shares,
    /// Header lines of one request.
    pub max_headers: usize,
    /// Bytes of all header lines of one request.
    pub max_header_bytes: ByteSize,
    /// Connections open at the same time; a further one waits in the system's queue.
    pub connections: usize,
    /// Of these, from one address (of IPv6: one /64) that is not a listed peer; a further one is closed.
    pub connections_per_ip: usize,
    /// Requests under way on one HTTP/2 connection.
    pub streams: u32,
    /// How long a new connection may be silent.
    pub first_bytes: Duration,
    /// How long the header of a request may take to arrive.
    pub header: Duration,
    /// How long a connection may rest between two requests.
    pub idle: Duration,
    /// How long a client may take nothing of an answer.
    pub write: Duration,
    /// Networks of the gateway: only their word about others (`x-forwarded-for`, PROXY protocol) is taken.
    pub peers: Peers,
    /// Connections from listed peers begin with a PROXY header of version 2.
    pub proxy_protocol: bool,
    /// TLS on the public listener, with what its files hold.
    pub tls: Option<(TlsFiles, Certificates)>,
    /// Whether answers are compressed for clients that ask for it.
    pub compress: bool,
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
    /// Relative paths are relative to `folder`. `answer`: the largest answer that there may be (`limits.response`).
    pub fn read(table: &Table<'_>, folder: &Path, answer: ByteSize) -> Self {
        let seconds = Duration::from_secs;
        let millis = Duration::from_millis;
        let max_body = table.within("max-body", ByteSize(1 << 20), ByteSize(0), ByteSize(1 << 30));
        Self {
            listen: table.or("listen", SocketAddr::from(([127, 0, 0, 1], 8080))),
            max_body,
            bodies: Self::shares(
                table,
                ["bodies", "bodies-per-ip", "bodies-per-connection"],
                ("http.max-body", max_body),
            ),
            body_rate: table.within("body-rate", ByteSize(1 << 10), ByteSize(0), ByteSize(1 << 30)),
            unread: Self::shares(
                table,
                ["unread", "unread-per-ip", "unread-per-connection"],
                ("limits.response", answer),
            ),
            max_headers: table.within("max-headers", 100, 8, 1_000),
            max_header_bytes: table.within(
                "max-header-bytes",
                ByteSize(32 << 10),
                ByteSize(8 << 10),
                ByteSize(1 << 20),
            ),
            connections: table.within("connections", 10_000, 1, 1_000_000),
            connections_per_ip: table.within("connections-per-ip", 1_000, 1, 1_000_000),
            streams: table.within("streams", 100, 1, 10_000),
            first_bytes: table.within("first-bytes", seconds(10), millis(10), seconds(300)),
            header: table.within("header-timeout", seconds(5), millis(10), seconds(300)),
            idle: table.within("idle", seconds(75), millis(10), seconds(3600)),
            write: table.within("write-timeout", seconds(20), millis(10), seconds(300)),
            peers: Self::peers(table),
            proxy_protocol: table.or("proxy-protocol", false),
            tls: TlsFiles::from_table(&table.table("tls"), folder, true),
            compress: table.or("compress", true),
            timeout: table.within("timeout", seconds(30), millis(1), seconds(300)),
            explain: table.optional("explain-scope"),
            drain_delay: table.within("drain-delay", Duration::ZERO, Duration::ZERO, seconds(300)),
            drain: table.within("drain", seconds(20), Duration::ZERO, seconds(600)),
        }
    }

    /// For all, for an address and for a connection: each at least one of what is held, and none larger than the one before.
    fn shares(table: &Table<'_>, [all, per_ip, per_connection]: [&str; 3], (named, one): (&str, ByteSize)) -> Shares {
        let most = ByteSize(1 << 40);
        let of = |key: &str, usual: u64| {
            let share = table.within(key, ByteSize(usual.max(one.0)), ByteSize(0), most);
            if share < one {
                let text = format!(
                    "{} bytes, and one alone may have {} (`{named}`): make this at least as large, or that one smaller",
                    share.0, one.0
                );
                table.mistake(key, text);
            }
            share
        };
        let sizes @ [in_all, of_ip, of_connection] =
            [of(all, 256 << 20), of(per_ip, 64 << 20), of(per_connection, 32 << 20)];
        for (key, share, whole, of) in [(per_ip, of_ip, in_all, all), (per_connection, of_connection, of_ip, per_ip)] {
            if share > whole && table.has(key) {
                table.mistake(
                    key,
                    format!("a share of `{of}` that is larger than it: {} of {} bytes", share.0, whole.0),
                );
            }
        }
        let [all, per_ip, per_connection] = sizes.map(ByteSize::as_usize);
        Shares { all, per_ip: per_ip.min(all), per_connection: per_connection.min(per_ip).min(all) }
    }

    fn peers(table: &Table<'_>) -> Peers {
        let list: Vec<String> = table.or("trusted-peers", Vec::new());
        Peers::parse(&list).unwrap_or_else(|reason| {
            table.mistake("trusted-peers", reason);
            Peers::default()
        })
    }
}
