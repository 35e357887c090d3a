//! What of the Weft host needs no sandbox: all that is read, decided and sent without running a guest.
//!
//! The package `weft` (in `host/`) runs plugins on top of this and shows these modules as its own; its crate documentation has the map of
//! both, the layer rule and the invariants. Whatever meets hostile bytes before a guest does lies here, so that it can be fuzzed without
//! building the sandbox.
//!
//! | module | what it knows |
//! |---|---|
//! | [`config`] | `weft.toml` as a whole |
//! | [`routing`] | what the head of a request says: whose frontend, which endpoint, path and query |
//! | [`identity`] | who calls: tokens and their keys, the gateway's word, tokens exchanged for backends |
//! | [`responses`] | whole responses, kept and made once |
//! | [`fanout`] | calls: scope, cache, coalescing, batching |
//! | [`upstream`] | backends: endpoints, balancing, gRPC |
//! | [`observe`] | what happens to a request as typed events, and who listens |
//! | [`model`], [`protojson`], [`artifact`], [`store`], [`net`], [`settings`], [`telemetry`] | words, files and tools that all may use and that use none of the above |
#![forbid(unsafe_code)]

pub mod artifact;
pub mod config;
pub mod fanout;
pub mod identity;
pub mod model;
pub mod net;
pub mod observe;
pub mod protojson;
pub mod responses;
pub mod routing;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod upstream;
