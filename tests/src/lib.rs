//! The testkit: everything around a host that a test needs, on real sockets.
//!
//! In reading order:
//!
//! - [`artifacts`]: plugins built by the real command, and stamped with another version or other limits
//! - [`author`]: a plugin author's desk outside this repository
//! - [`setup`]: a configuration put together from parts
//! - [`host`]: a host in this process; [`process`]: the real command in a process of its own
//! - [`web`]: requests to it, and answers; [`sse`]: answers in parts; [`raw`]: bytes that no HTTP library would send, [`h2`]: frames likewise;
//!   [`neighbour`]: a good client beside them; [`gateway`]: a gateway with a crowd of callers
//! - [`tokens`]: callers, good and bad; [`tls`]: certificates
//! - [`upstream`]: a gRPC server that answers, stalls and fails as it is told; [`frames`]: one that breaks HTTP/2 as it is told
//! - [`collector`]: a receiver of traces; [`api_server`]: Kubernetes' own, for EndpointSlices
//! - [`program`]: programs of others: [`redis`], [`nats`], [`etcd`], [`nacos`], [`dnsmasq`], [`envoy`], [`nginx`],
//!   [`haproxy`], [`prometheus`], [`otelite`]; [`demo`]: the four real services of the demo
//! - [`browser`]: a real Chromium, driven by a script; [`node`]: Node and packages of npm
//! - [`tcp_proxy`]: a network that is slow, cuts and loses
//! - [`site`]: an HTTP server that answers as it is told, for keys, tokens and REST
//! - [`packing`]: packed bodies; [`metrics`]: what the host counted
//! - [`wait`]: until something is so
//!
//! Nothing here sleeps to let something happen: tests wait for conditions, bounded only so that a broken one ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what goes wrong in a testkit ends the test"
)]

pub mod api_server;
pub mod artifacts;
pub mod author;
pub mod browser;
pub mod collector;
pub mod demo;
pub mod dnsmasq;
pub mod envoy;
pub mod etcd;
pub mod frames;
pub mod gateway;
pub mod h2;
pub mod haproxy;
pub mod host;
pub mod metrics;
pub mod mock;
pub mod nacos;
pub mod nats;
pub mod neighbour;
pub mod nginx;
pub mod node;
pub mod otelite;
pub mod packing;
pub mod process;
pub mod program;
pub mod prometheus;
pub mod raw;
pub mod redis;
pub mod setup;
pub mod site;
pub mod speaker;
pub mod sse;
pub mod tcp_proxy;
pub mod tls;
pub mod tokens;
pub mod upstream;
pub mod wait;
pub mod web;

use std::path::{Path, PathBuf};

/// The root of this repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Where tests keep what later runs can use again, such as compiled code.
pub fn target() -> PathBuf {
    // OUT_DIR and its like are not known to a library; the running test binary lies in TARGET/PROFILE/deps.
    let binary = std::env::current_exe().unwrap();
    let target = binary
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").exists())
        .map_or_else(|| repository().join("target"), Path::to_owned);
    target.join("tests")
}
