//! What an error of wasmtime means for the request that met it.

use super::instance::{Blueprint, State, Stop};
use wasmtime::WasmBacktrace;
use weft_core::plugin::PluginError;

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
        // Has no type of its own. Outside of the guest only what it returned is copied.
        let is_returning = error.downcast_ref::<WasmBacktrace>().is_none();
        if is_returning && error.root_cause().to_string().contains("fuel allocated for hostcalls") {
            return PluginError::TooLarge { size: None, limit: self.max_response };
        }
        otherwise(format!("{error:?}"))
    }
}
