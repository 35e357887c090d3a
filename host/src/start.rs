//! Joins the host and its sandbox.

use crate::{
    app::{self, Running, StartError},
    config::Config,
    sandbox::{Environment, Wasm},
};
use std::sync::Arc;

/// Starts a host whose plugins run in the sandbox.
pub async fn start(config: Config, environment: Environment) -> Result<Running, StartError> {
    let sandbox = Wasm::new(config.limits.clone(), environment, config.plugins.compiling.clone());
    app::start(config, Arc::new(sandbox.map_err(StartError::Runtime)?)).await
}
