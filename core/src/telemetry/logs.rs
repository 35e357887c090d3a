//! Logs: for people at a terminal, or one JSON object a line.

use crate::settings::Table;
use std::io::IsTerminal;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

crate::choice! {
    /// How a log line looks.
    pub enum LogFormat { Human = "human", Json = "json" }
}

/// `[telemetry]` of `weft.toml`.
#[derive(Debug, Clone)]
pub struct Config {
    pub format: LogFormat,
    /// A filter as `tracing` knows it: `info`, `info,weft_core::fanout=debug`.
    pub filter: String,
}

impl Config {
    pub fn read(table: &Table<'_>) -> Self {
        let filter: String = table.or("log-level", "info".to_owned());
        if let Err(error) = filter.parse::<EnvFilter>() {
            table.mistake(
                "log-level",
                format!("expected a level such as \"info\" or \"info,weft_core::fanout=debug\": {error}"),
            );
        }
        Self { format: table.or("log-format", LogFormat::Human), filter }
    }
}

/// Sends logs to standard error. The first call of a process wins; later ones (tests) change nothing.
pub fn init_logs(config: &Config) {
    let filter = EnvFilter::builder().parse_lossy(&config.filter);
    let registry = tracing_subscriber::registry().with(filter);
    let output = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    // A second initialisation fails, and that is what is wanted.
    let _ = match config.format {
        LogFormat::Human => registry.with(output.with_target(false)).try_init(),
        LogFormat::Json => registry.with(output.json().flatten_event(true)).try_init(),
    };
}
