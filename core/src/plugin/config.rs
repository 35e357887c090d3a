//! `[limits]` of `weft.toml`: what all plugins together, and each at most, may take of the host.

use crate::settings::{ByteSize, Percent, Table};
use std::time::Duration;

/// Slots of the pool, which are `requests`, `streams` and `idle` together. Each takes eight GiB of addresses and more, and the largest hole that
/// a process has among its 128 TiB is two thirds of them.
const MOST_SLOTS: u32 = 10_000;

/// The host's ceilings. A plugin's own limits hold where they are lower.
#[derive(Debug, Clone)]
pub struct Config {
    /// Requests that run in guests at the same time.
    pub requests: u32,
    /// Answers in parts that are under way at the same time, beside the requests.
    pub streams: u32,
    /// How long a request waits for its turn before it is answered with 503.
    pub queue: Duration,
    /// Instances kept for plugins with `isolation = "reuse"` while they are idle.
    pub idle: u32,
    /// Linear memory of one instance.
    pub memory: ByteSize,
    /// Guest CPU time of one request.
    pub cpu: Duration,
    /// Calls of one request.
    pub calls: u32,
    /// Exchanges of one request.
    pub crossings: u32,
    /// The response's body.
    pub response: ByteSize,
    /// Replies handed to the guest in one exchange.
    pub arena: ByteSize,
    /// One request message.
    pub message: ByteSize,
    /// All request messages of one request.
    pub messages: ByteSize,
    /// Log lines of one request.
    pub log: ByteSize,
    /// The plugins' own caches together.
    pub plugin_cache: ByteSize,
    /// Answers kept for repeated writes.
    pub idempotency: ByteSize,
    /// Whole responses that are kept.
    pub responses: ByteSize,
    /// The part of `requests`, and of `streams`, that one plugin may hold.
    pub plugin_share: f64,
}

impl Config {
    pub fn read(table: &Table<'_>) -> Self {
        let kib = |n: u64| ByteSize(n << 10);
        let mib = |n: u64| ByteSize(n << 20);
        let (requests, idle) = (table.within("requests", 512, 1, MOST_SLOTS), table.within("idle", 128, 0, 5_000));
        let streams = table.within("streams", 64, 0, MOST_SLOTS);
        let slots = requests + streams + idle;
        if slots > MOST_SLOTS {
            let text = format!(
                "`requests`, `streams` and `idle` together are {slots}, and the pool has room for {MOST_SLOTS}"
            );
            table.mistake("requests", text);
        }
        Self {
            requests,
            streams,
            queue: table.within("queue", Duration::from_millis(100), Duration::ZERO, Duration::from_secs(10)),
            idle,
            memory: table.within("memory", mib(128), mib(1), mib(4096)),
            cpu: table.within("cpu", Duration::from_secs(1), Duration::from_millis(1), Duration::from_mins(1)),
            calls: table.within("calls", 10_000, 1, 100_000),
            crossings: table.within("crossings", 10_000, 1, 1_000_000),
            response: table.within("response", mib(8), kib(1), mib(256)),
            arena: table.within("arena", mib(8), kib(64), mib(256)),
            message: table.within("message", mib(4), kib(1), mib(64)),
            messages: table.within("messages", mib(16), kib(1), mib(1024)),
            log: table.within("log", kib(64), ByteSize(0), mib(16)),
            idempotency: table.within("idempotency", mib(64), ByteSize(0), mib(65_536)),
            responses: table.within("responses", mib(64), ByteSize(0), mib(65_536)),
            plugin_share: table.or("plugin-share", Percent(0.8)).0,
            plugin_cache: table.within("plugin-cache", mib(64), ByteSize(0), mib(65_536)),
        }
    }
}
