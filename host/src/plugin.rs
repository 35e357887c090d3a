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
//! - CPU time is the thread's CPU clock, read whenever the guest is entered or left; waiting costs nothing.

mod bindings;
mod cache;
mod compile;
mod config;
mod engine;
mod imports;
mod instance;
mod limiter;
mod load;
mod meter;
mod native;
mod runner;
mod senses;
mod speech;

pub use bindings::{Identity, Problem, Request, Response};
pub use config::Config;
pub use engine::{CompileError, Runtime};
pub use native::{Native, Natives};
pub use runner::{Answer, Invocation, Plugin, PluginError};
pub use senses::Senses;

/// Runs the `describe` export of a component of world `describer` and returns its JSON. For `weft build`.
pub use engine::describe;
