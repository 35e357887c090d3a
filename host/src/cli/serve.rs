//! `weft serve`.

use super::{Failure, Result, runtime, tell};
use crate::{
    app,
    config::Config,
    plugin::{ITSELF, Senses},
    telemetry,
};
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// Serve the plugins of a folder until SIGTERM or Ctrl-C
///
/// The folder is watched: a new or changed artifact is verified, compiled beside the traffic and swapped in; a bad one is refused
/// with a reason, and what served before goes on. On SIGTERM requests under way are finished first; a second signal ends at once.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration; relative paths in it are relative to its folder
    #[arg(long, default_value = "weft.toml")]
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result {
    let mut config = Config::load(&arguments.config).map_err(Failure::Mistakes)?;
    config.plugins.compiling.helper = Some(ITSELF.into());
    let scheme = if config.http.tls.is_some() { "https" } else { "http" };
    telemetry::init_logs(&config.telemetry);
    runtime()?.block_on(async {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut hangup = signal(SignalKind::hangup())?;
        let running = tokio::select! {
            running = app::start(config, Senses::Real) => running?,
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        };
        tell(&format!("weft serves on {scheme}://{} (admin on http://{})", running.http, running.admin));
        let name = loop {
            tokio::select! {
                _ = terminate.recv() => break "SIGTERM",
                _ = interrupt.recv() => break "Ctrl-C",
                _ = hangup.recv() => match running.reload().await {
                    Ok(changes) if changes.is_empty() => tell("SIGHUP: nothing has changed in the configuration"),
                    Ok(changes) => changes.iter().for_each(|change| tell(&format!("SIGHUP: {change}"))),
                    Err(error) => tell(&format!("SIGHUP: nothing was changed: {error}")),
                },
            }
        };
        tracing::info!("{name}: finishing what is under way");
        tokio::select! {
            () = running.stop() => {}
            _ = terminate.recv() => tell("a second signal: ending at once"),
            _ = interrupt.recv() => tell("a second signal: ending at once"),
        }
        Ok(())
    })
}
