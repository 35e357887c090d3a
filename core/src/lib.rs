//! The Weft host but its sandbox and its commands: all that is read, decided and sent, from the connection to the backends.
//!
//! What runs guests stands behind two traits of [`plugin`]. The package `weft-sandbox` (in `sandbox/`) has them for WebAssembly
//! components, and `weft` (in `host/`) joins both and shows these modules as its own; its crate documentation has the map of all, the
//! layer rule and the invariants. So what meets hostile bytes can be fuzzed, and changed, without building the sandbox.
//!
//! | module | what it knows |
//! |---|---|
//! | [`app`] | puts the parts together, starts and stops them |
//! | [`config`] | `weft.toml` as a whole |
//! | [`edge`] | connections, HTTP, problem documents; the accept loop |
//! | [`admin`] | what the operator sees |
//! | [`gateway`] | the way of one request, in one function |
//! | [`routing`] | what the head of a request says: whose frontend, which endpoint, path and query |
//! | [`identity`] | who calls: tokens and their keys, the gateway's word, tokens exchanged for backends |
//! | [`responses`] | whole responses, kept and made once |
//! | [`release`] | which plugin serves an endpoint; loading and swapping |
//! | [`plugin`] | running a plugin: turns, deadlines, crash loops; the seam to what runs guests |
//! | [`events`] | what services say has changed: messages of a broker, and what they invalidate |
//! | [`register`] | this host as an instance in somebody's registry |
//! | [`fanout`] | calls: scope, cache, coalescing, batching |
//! | [`upstream`] | backends: endpoints, balancing, gRPC |
//! | [`traces`] | spans on their way to a collector |
//! | [`openapi`] | a client's contract as a document |
//! | [`mocks`] | what endpoints answer where nothing of them runs: examples, values made from schemas, contracts before code |
//! | [`mcp`] | the Model Context Protocol: messages of agents, endpoints as tools |
//! | [`observe`] | what happens to a request as typed events, and who listens |
//! | [`typescript`] | typed clients made of a document |
//! | [`compat`] | whether frontends go on working with another contract: documents of OpenAPI, and one table of rules |
//! | [`redact`] | what is taken out of exchanges before they are kept |
//! | [`model`], [`protojson`], [`artifact`], [`store`], [`net`], [`settings`], [`telemetry`], [`sync`] | words, files and tools that all may use and that use none of the above |
#![forbid(unsafe_code)]

pub mod admin;
pub mod app;
pub mod artifact;
pub mod compat;
pub mod config;
pub mod edge;
pub mod events;
pub mod fanout;
pub mod gateway;
pub mod identity;
pub mod mcp;
pub mod mocks;
pub mod model;
pub mod net;
pub mod observe;
pub mod openapi;
pub mod plugin;
pub mod protojson;
pub mod redact;
pub mod register;
pub mod release;
pub mod responses;
pub mod routing;
pub mod settings;
pub mod store;
pub mod sync;
pub mod telemetry;
pub mod traces;
pub mod typescript;
pub mod upstream;
