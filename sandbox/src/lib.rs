//! The sandbox of the Weft host: guests are WebAssembly components, bounded in memory, CPU time and everything they ask of the host. wasmtime is named
//! here only.
//!
//! [`Wasm`] holds the serving engine ([`engine`]). An artifact is compiled by another, short-lived engine ([`compile`]) and mapped in
//! ([`load`], the only `unsafe` of the host). A request takes an instance ([`instance`]) of its plugin's component ([`guest`]), and runs
//! under its meter and its limiter ([`limiter`]); what the guest asks for is answered in [`imports`].
//!
//! Invariants:
//! - clocks and random numbers come through [`Environment`], so that they can be fixed;
//! - the pool has all that every request and every waiting instance can take: no plugin can take what belongs to another.

mod bindings;
mod cache;
mod compile;
mod describe;
mod engine;
mod environment;
mod guest;
mod guest_log;
mod idle_pool;
mod imports;
mod instance;
mod limiter;
mod load;
mod shared;
mod trap;

pub use compile::compile_artifact;
pub use describe::describe;
pub use engine::Wasm;
pub use environment::Environment;
