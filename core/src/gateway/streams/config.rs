//! `[streams]` of `weft.toml`: what one answer in parts may be, and how many one caller may have open. How many there may be in all says
//! `streams` in `[limits]`.

use crate::settings::{ByteSize, Table};
use std::time::Duration;

/// Bounds of streams. Reloadable: a stream keeps those that it began with.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Of one caller, by its token or else its address.
    pub per_caller: usize,
    /// Of one address (of IPv6 the /64), whoever calls from there.
    pub per_address: usize,
    /// Bytes that a guest hands over at once.
    pub event: ByteSize,
    /// Bytes of one stream.
    pub bytes: ByteSize,
    /// How long one lasts.
    pub longest: Duration,
    /// After how long without an event a comment says that the stream lives.
    pub heartbeat: Duration,
}

impl Config {
    pub fn read(table: &Table<'_>) -> Self {
        let (second, mib) = (Duration::from_secs(1), |n: u64| ByteSize(n << 20));
        Self {
            per_caller: table.within("per-caller", 4, 1, 10_000),
            per_address: table.within("per-address", 16, 1, 10_000),
            event: table.within("event", ByteSize(64 << 10), ByteSize(1 << 10), mib(8)),
            bytes: table.within("bytes", mib(64), ByteSize(1 << 10), mib(65_536)),
            longest: table.within("longest", 1800 * second, second, 24 * 3600 * second),
            heartbeat: table.within("heartbeat", 10 * second, second, 300 * second),
        }
    }
}
