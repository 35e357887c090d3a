//! Running plugins, as far as that can be said without naming a sandbox: who may run, for how long, and what it may give back.
//!
//! In the order of a plugin's life: [`Runtime`] has all that plugins share, and a [`Sandbox`] that loads them; an artifact's code is
//! compiled in a process beside and kept ([`compile`]); [`Plugin::handle`] gives a request its turn, and runs it in a [`Guest`] until it
//! is done or its time is over. What guests are made of only the sandbox knows; [`Natives`] is one whose guests are functions of this
//! process, [`MockSandbox`] one whose guests answer by examples.
//!
//! Invariants:
//! - what a request ran in is put back only after `handle` returned well: whatever trapped, overran, or was given up by its caller is
//!   dropped, never used again;
//! - CPU time is that of the guest and of what the host does for it at once; waiting costs nothing ([`meter`]);
//! - a guest that has taken much of it goes on in the background ([`background`]), where it holds up nobody;
//! - no plugin takes all turns, and a turn ends after what ran in it.

mod background;
mod backoff;
mod bound;
mod compile;
mod config;
mod emit;
mod error;
mod guest;
mod message;
mod meter;
mod mock;
mod native;
mod runner;
mod runtime;

pub use crate::observe::Cost;
pub use bound::Bound;
pub use compile::{
    CompileError, Compiling, check_folder as check_compiled_folder, compiled_file, is_compiled,
    marker::Marker,
    worker::{Bounds, ITSELF, Order, WORKER_COMMANDS, WorkerAnswer, read as read_artifact, work as compile_artifact},
};
pub use config::Config;
pub use emit::{Emitted, Emitter, Misuse, StreamHead, emission};
pub use error::PluginError;
pub use guest::{Answer, Guest, Invocation, Ran, Reusable, Run, Sandbox, Terms, Turn};
pub use message::{Fields, Identity, Problem, Request, Response};
pub use meter::Meter;
pub use mock::MockSandbox;
pub use native::Natives;
pub use runner::Plugin;
pub use runtime::Runtime;

#[cfg(test)]
mod tests;
