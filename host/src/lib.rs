//! The Weft host: sandboxed plugins of frontend teams, served over HTTP, fanned out to microservices.
//!
//! The modules in the order in which a request meets them, then those that it never meets, then those under all others. Those marked *
//! need no sandbox: they are the package `weft-core`, in `core/`, and are shown here under their own names. [`sandbox`] is a package of
//! its own as well, in `sandbox/`, and the only one that knows wasmtime.
//!
//! | module | what it knows |
//! |---|---|
//! | [`edge`] * | connections, HTTP, problem documents; the accept loop |
//! | [`gateway`] * | the way of one request, in one function |
//! | [`routing`] * | what the head of a request says: whose frontend, which endpoint, path and query |
//! | [`identity`] * | who calls: tokens and their keys, the gateway's word, tokens exchanged for backends |
//! | [`responses`] * | whole responses, kept and made once |
//! | [`release`] * | which plugin serves an endpoint; loading and swapping |
//! | [`plugin`] * | running a plugin: turns, deadlines, crash loops; the seam to what runs guests |
//! | [`sandbox`] | guests as components: instances, memory, CPU time, what they may ask for |
//! | [`events`] * | what services say has changed: messages of a broker, and what they invalidate |
//! | [`register`] * | this host as an instance in somebody's registry |
//! | [`fanout`] * | calls: scope, cache, coalescing, batching |
//! | [`upstream`] * | backends: endpoints, balancing, gRPC |
//! | [`traces`] * | spans on their way to a collector |
//! | [`openapi`] * | a client's contract as a document |
//! | [`mocks`] * | what endpoints answer where nothing of them runs: examples, values made from schemas, contracts before code |
//! | [`mcp`] * | the Model Context Protocol: messages of agents, endpoints as tools |
//! | [`observe`] * | what happens to a request as typed events, and who listens |
//! | [`app`] * | puts the parts together, starts and stops them |
//! | [`start`] | joins the host and its sandbox |
//! | [`cli`], [`admin`] * | what the operator says and sees |
//! | [`config`] * | `weft.toml` as a whole |
//! | [`typescript`] * | typed clients made of a document |
//! | [`compat`] * | whether frontends go on working with another contract: documents of OpenAPI, and one table of rules |
//! | [`redact`] * | what is taken out of exchanges before they are kept |
//! | [`model`], [`protojson`], [`artifact`], [`store`], [`net`], [`settings`], [`telemetry`], [`sync`] * | words, files and tools that all may use and that use none of the above |
//!
//! # The layer rule
//!
//! `main → cli → start → app → config → {edge, admin} → gateway → {release, sandbox} → plugin → {identity, register, responses, routing, events} → fanout →
//! {upstream, traces} → {mcp, mocks, openapi, typescript}`, and no arrow points back; modules in one pair of braces don't import each other. From `app` on, but for `sandbox`, it is
//! `weft-core`, which can't even name what lies above. Each framework is named in one module: hyper and axum in `edge` and `admin`,
//! wasmtime in `sandbox`, tonic, hickory and serde-saphyr in `upstream`, moka in `store`, jsonwebtoken in `identity`,
//! async-nats in `events`, rmcp in `mcp`, reqwest and rustls in `net`.
//! `tests/all/tidy.rs` keeps all this.
//!
//! # Invariants
//!
//! - Identity is verified before any guest code runs.
//! - A guest can't name a backend, a method or a header that its manifest doesn't grant.
//! - An instance that trapped, overran or was abandoned never serves again.
//! - A call that is not safe is sent once, alone; no reply and no credential crosses from one scope to another.
//! - Every queue, body, batch and wait has a bound in the configuration.
//! - What serves goes on serving while something else fails to load.

pub mod cli;
pub mod start;

pub use weft_core::{
    admin, app, artifact, compat, config, edge, events, fanout, gateway, identity, mcp, mocks, model, net, observe,
    openapi, plugin, protojson, redact, register, release, responses, routing, settings, store, sync, telemetry,
    traces, typescript, upstream,
};
pub use weft_sandbox as sandbox;
