//! What an error of wasmtime means for the request that met it.

use super::instance::{Blueprint, State, Stop};
use wasmtime::WasmBacktrace;
use weft_core::plugin::PluginError;

/// What wasmtime says of a value that is larger than one crossing may bring, which has no type of its own there. A test of the host
/// (`each_harm_is_told_truthfully_with_plugin_version_and_request_id`) fails where it says so in other words.
const TOO_MUCH_AT_ONCE: &str = "fuel allocated for hostcalls";

impl Blueprint {
    /// What an error of the sandbox means; `otherwise` if nothing in particular.
    pub(super) fn reason(
        &self,
        error: &wasmtime::Error,
        state: &State,
        otherwise: fn(String) -> PluginError,
    ) -> PluginError {
        match error.downcast_ref::<Stop>() {
            Some(Stop::Cpu) => return PluginError::Cpu(self.max_cpu),
            Some(stop) => return PluginError::Trapped(stop.to_string()),
            None => {}
        }
        if state.limiter.refused {
            // The trap that follows a refused growth says nothing of memory; it is logged for what it may say of the place.
            tracing::debug!("trap after a refused growth: {error:?}");
            return PluginError::Memory(self.max_memory);
        }
        // Outside of the guest only what it returned is copied.
        let is_returning = error.downcast_ref::<WasmBacktrace>().is_none();
        if is_returning && error.root_cause().to_string().contains(TOO_MUCH_AT_ONCE) {
            return PluginError::TooLarge { size: None, limit: self.max_response };
        }
        otherwise(format!("{error:?}"))
    }
}
