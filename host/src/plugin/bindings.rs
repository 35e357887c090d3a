//! The contract of `wit/` as Rust types and traits.

#![allow(unreachable_pub, missing_debug_implementations, unused_qualifications, reason = "generated")]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "plugin",
    imports: {
        "weft:bff/backend.exchange": async | trappable,
        "weft:bff/backend.call-batch": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});

pub use weft::bff::types::Identity;

/// The world that only `weft build` runs.
pub(super) mod describer {
    wasmtime::component::bindgen!({ path: "../wit", world: "describer", exports: { default: async } });
}
