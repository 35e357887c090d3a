//! Running plugins: compiled once, instantiated for each request, bounded in memory, CPU time and everything they ask of the host.
//!
//! In the order of a plugin's life: [`Runtime`] holds the serving engine ([`engine`]); an artifact is compiled by another,
//! short-lived engine ([`compile`]) and mapped in ([`load`], the only `unsafe` of the host); [`Plugin::handle`] takes an instance
//! ([`instance`]) and runs it under its meter ([`meter`]), its limiter ([`limiter`]) and the request's deadline; what the guest asks
//! for is answered in [`imports`]. wasmtime is named here only.
//!
//! Invariants:
//! - an instance whose request trapped, overran, or was given up by its caller is dropped, never used again: it is put back only
//!   after `handle` returned well;
//! - clocks and random numbers come through [`Senses`], so that they can be fixed;
//! - CPU time is that of the guest and of what the host does for it at once; waiting costs nothing;
//! - a guest that has taken much of it goes on aside ([`heavy`]), where it holds up nobody;
//! - the pool has all that every request and every waiting instance can take: no plugin can take what belongs to another.

mod backoff;
mod bindings;
mod bound;
mod cache;
mod compile;
mod engine;
mod error;
mod heavy;
mod imports;
mod instance;
mod limiter;
mod load;
mod meter;
mod native;
mod runner;
mod senses;
mod shelf;
mod speech;

pub use crate::config::{limits::Config, plugins::Compiling};
pub use crate::observe::Cost;
pub use bindings::{Identity, Problem, Request, Response};
pub use compile::{
    CompileError, check_folder as check_compiled_folder,
    helper::{HELPER_COMMANDS, HelperAnswer, ITSELF, Order, read as read_artifact, work as compile_artifact},
    marker::Marker,
};
pub use engine::Runtime;
pub use error::PluginError;
pub use native::{Native, Natives};
pub use runner::{Answer, Invocation, Plugin};
pub use senses::Senses;

/// Runs the `describe` export of a component of world `describer` and returns its JSON. For `weft build`.
pub use engine::describe;
