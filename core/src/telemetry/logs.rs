//! Logs: for people at a terminal, or one JSON object a line. Either way all that comes from outside passes [`escape`].

mod escape;
mod json;

use crate::settings::Table;
use escape::{Escaped, JsonLines};
use json::JsonEvents;
pub use json::Listed;
#[cfg(test)]
pub(crate) use json::kept;
use std::{fmt::Write, io::IsTerminal};
use tracing_subscriber::{
    EnvFilter,
    field::MakeExt,
    fmt::{self, FormatFields, format},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

crate::choice! {
    /// How a log line looks.
    pub enum LogFormat { Human = "human", Json = "json" }
}

crate::choice! {
    /// How the access log names callers.
    pub enum LogCaller {
        /// By sixteen digits that are the same for the same caller, on all hosts.
        Hashed = "hashed",
        /// By issuer and subject.
        Named = "named",
        None = "none",
    }
}

/// `[telemetry]` of `weft.toml`.
#[derive(Debug, Clone)]
pub struct Config {
    pub format: LogFormat,
    pub caller: LogCaller,
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
        Self {
            format: table.or("log-format", LogFormat::Human),
            caller: table.or("log-caller", LogCaller::Hashed),
            filter,
        }
    }
}

/// Sends logs to standard error; where they are JSON, panics as well. The first call of a process wins; later ones (tests) change nothing.
pub fn init_logs(config: &Config) {
    let filter = EnvFilter::builder().parse_lossy(&config.filter);
    let registry = tracing_subscriber::registry().with(filter);
    let output = fmt::layer().with_ansi(std::io::stderr().is_terminal());
    // A second initialisation fails, and that is what is wanted.
    let _ = match config.format {
        LogFormat::Human => {
            registry.with(output.with_writer(std::io::stderr).with_target(false).fmt_fields(plain())).try_init()
        }
        LogFormat::Json => {
            std::panic::set_hook(Box::new(json::tell_panic));
            registry.with(output.with_writer(JsonLines).event_format(JsonEvents)).try_init()
        }
    };
}

/// The message, then `name=value` for each field.
fn plain() -> impl for<'a> FormatFields<'a> + Send + Sync + 'static {
    format::debug_fn(|writer, field, value| match field.name() {
        "message" => write!(Escaped(writer), "{value:?}"),
        name => write!(Escaped(writer), "{}={value:?}", name.trim_start_matches("r#")),
    })
    .delimited(" ")
}
