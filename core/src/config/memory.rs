//! What a configuration lets a host take of memory at most, row by row. docs/operators/operations.md explains the rows, `weft check`
//! adds them up, and the tests of all attacks together hold the host to the sum.

use super::Config;
use crate::{
    edge::{CONNECTION_WINDOW, PACKERS},
    traces,
};

/// The host at rest: code, engine, threads, metrics.
const HOST: u64 = 96 << 20;
/// What a connection has beside what is counted: its task, TLS, frames, tables of header names.
const CONNECTION: u64 = 64 << 10;
/// What a guest's slot has beside its memories: stack, tables, instance.
const SLOT: u64 = 2 << 20;
/// What packs an answer, beside the answer.
const PACKER: u64 = 1 << 20;
/// Callers and addresses whose rates are remembered, and what each takes.
const RATES: u64 = 300_000 * 300;
/// Answers to repeated writes on their way to the shared cache and from it.
const CLAIMS: u64 = 20 << 20;
/// Verified tokens, and the same of exchanged ones.
const TOKENS: u64 = 32 << 20;

/// One of the things that take memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub what: &'static str,
    pub bytes: u64,
}

/// All of them, for a machine of so many cores.
pub fn rows(config: &Config, cores: usize) -> Vec<Row> {
    let (http, limits) = (&config.http, &config.limits);
    let (requests, streams) = (u64::from(limits.requests), u64::from(limits.streams));
    let buffer = http.max_header_bytes.0.max(8 << 10);
    let connection = CONNECTION + 2 * buffer + u64::from(CONNECTION_WINDOW);
    let replies = 8 * limits.arena.0 + limits.messages.0 + limits.response.0 + limits.log.0;
    let caches = [config.fanout.cache_bytes, limits.plugin_cache, limits.idempotency, limits.responses];
    let claims = config.fanout.shared.as_ref().map_or(0, |_| CLAIMS);
    let packers = (PACKERS * cores) as u64;
    let identity = config.identity.as_ref().map_or(0, |_| 2 * TOKENS);
    let mut rows = vec![
        Row { what: "the host itself", bytes: HOST },
        Row { what: "connections", bytes: http.connections as u64 * connection },
        // A body that grows is copied into room of up to twice its size.
        Row { what: "requests not answered yet", bytes: 2 * http.bodies.all as u64 },
        Row { what: "answers not read yet", bytes: http.unread.all as u64 },
        Row { what: "answers being packed", bytes: packers * (PACKER + limits.response.0) },
        Row {
            what: "guests",
            bytes: u64::from(limits.requests + limits.streams + limits.idle) * (limits.memory.0 + SLOT),
        },
        Row { what: "messages and replies of guests", bytes: (requests + streams) * replies },
        // One in the guest's hands, one on its way, one with the client's connection.
        Row { what: "events of streams", bytes: streams * 3 * config.streams.event.0 },
        Row { what: "caches", bytes: caches.iter().map(|size| size.0).sum::<u64>() + claims },
        Row { what: "rates and tokens", bytes: RATES + identity },
        Row {
            what: "spans not sent yet",
            bytes: config.traces.export.as_ref().map_or(0, |_| traces::MOST_BYTES as u64),
        },
        Row { what: "an artifact being loaded", bytes: 4 * config.plugins.max_artifact.0 },
    ];
    let sum: u64 = rows.iter().map(|row| row.bytes).sum();
    rows.push(Row { what: "what the allocator keeps", bytes: sum / 8 });
    rows
}

/// The sum.
pub fn most(config: &Config, cores: usize) -> u64 {
    rows(config, cores).iter().map(|row| row.bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const OPERATIONS: &str = include_str!("../../../docs/operators/operations.md");

    #[test]
    fn every_row_and_the_sum_of_the_defaults_stand_in_the_documentation() {
        let text = "[[client]]\nname = \"web\"\n[plugins]\nfolder = \"plugins\"\n";
        let config = Config::parse(Path::new("weft.toml"), text).unwrap();
        for row in rows(&config, 2) {
            let cell = format!("| {} | {} MiB |", row.what, row.bytes >> 20);
            assert!(OPERATIONS.contains(&cell), "docs/operators/operations.md does not have the row {cell:?}");
        }
        let sum = format!("| together | {} MiB |", most(&config, 2) >> 20);
        assert!(OPERATIONS.contains(&sum), "docs/operators/operations.md does not have the row {sum:?}");
    }

    #[test]
    fn what_is_bounded_lower_adds_up_to_less() {
        let of = |more: &str| {
            let text = format!("[[client]]\nname = \"web\"\n[plugins]\nfolder = \"plugins\"\n{more}");
            most(&Config::parse(Path::new("weft.toml"), &text).unwrap(), 2)
        };
        let usual = of("");
        for lower in [
            "[http]\nconnections = 100",
            "[http]\nbodies = \"64MiB\"",
            "[http]\nunread = \"64MiB\"",
            "[limits]\nrequests = 8",
            "[limits]\nmemory = \"16MiB\"",
            "[limits]\narena = \"1MiB\"",
            "[cache]\nmax-bytes = \"1MiB\"",
        ] {
            assert!(of(lower) < usual, "{lower}");
        }
        // The example of docs/operators/operations.md.
        let small = "[http]\nconnections = 500\n[limits]\nrequests = 32\nstreams = 4\nidle = 8\nmemory = \"32MiB\"\narena = \"1MiB\"\nmessages = \"4MiB\"";
        assert!(of(small) < 5 << 30);
    }
}
