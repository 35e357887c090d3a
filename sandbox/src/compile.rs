//! What the worker does, and what its code is good for.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZeroUsize,
};
use wasmtime::{Engine, OptLevel};
use weft_core::plugin::{self, CompileError, Order, WorkerAnswer};

/// What makes code compatible with the serving engine.
pub(super) fn configuration() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .concurrency_support(false)
        .memory_init_cow(true)
        .native_unwind_info(false)
        .wasm_backtrace_max_frames(NonZeroUsize::new(20))
        .max_wasm_stack(512 << 10)
        .async_stack_size(1 << 20)
        .wasm_memory64(false)
        .wasm_tail_call(false)
        .wasm_relaxed_simd(false);
    config
}

/// The same for all engines that can run each other's code.
pub(super) fn number(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

/// By an engine of its own: 48.x keeps scratch memory of the compiler for an engine's life.
pub(super) fn compile(component: &[u8]) -> Result<Vec<u8>, CompileError> {
    let compiler = Engine::new(&configuration()).map_err(|error| invalid(&error))?;
    compiler.precompile_component(component).map_err(|error| invalid(&error))
}

pub(super) fn invalid(error: &wasmtime::Error) -> CompileError {
    CompileError::Invalid(format!("{error:#}"))
}

/// The worker's own side: compiles what comes on standard input.
pub fn compile_artifact(order: &Order) -> WorkerAnswer {
    plugin::compile_artifact(order, compile)
}
