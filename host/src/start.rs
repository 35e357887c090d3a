//! Joins the host and its sandbox.

use crate::{
    app::{self, Listening, Running, StartError},
    config::Config,
    sandbox::{Environment, Wasm},
};
use std::sync::Arc;

/// Starts a host whose plugins run in the sandbox.
pub async fn start(config: Config, environment: Environment) -> Result<Running, StartError> {
    start_at(config, environment, Listening::default()).await
}

/// As [`start`], at sockets that listen already.
pub async fn start_at(config: Config, environment: Environment, passed: Listening) -> Result<Running, StartError> {
    let sandbox = Wasm::new(config.limits.clone(), environment, config.plugins.compiling.clone());
    app::start(config, Arc::new(sandbox.map_err(StartError::Runtime)?), passed).await
}
