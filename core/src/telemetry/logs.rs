//! Logs: for people at a terminal, or one JSON object a line. Either way all that comes from outside passes [`escape`], and what is said
//! again and again is passed over and counted ([`repeats`]).

mod ecs;
mod escape;
mod json;
mod repeats;

use crate::settings::Table;
use escape::{Escaped, JsonLines};
pub use json::Listed;
#[cfg(test)]
pub(crate) use json::kept;
use json::{JsonEvents, Names};
use repeats::Sampled;
use std::{
    fmt::Write,
    io::{self, IsTerminal},
    sync::Arc,
};
use tracing_subscriber::{
    EnvFilter,
    field::MakeExt,
    fmt::{self, FormatFields, format},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

crate::choice! {
    /// How a log line looks.
    pub enum LogFormat {
        Human = "human",
        Json = "json",
        /// JSON with the names of the Elastic Common Schema.
        Ecs = "ecs",
    }
}

impl LogFormat {
    /// Whether all that is said on standard error is JSON.
    pub fn is_json(self) -> bool {
        self != Self::Human
    }
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

crate::choice! {
    /// How the access log names paths.
    pub enum LogPath {
        /// As they were asked for, without the query.
        Whole = "whole",
        /// By their endpoint, for paths that hold what is nobody's business.
        Route = "route",
    }
}

/// What the access log calls callers and paths.
#[derive(Debug, Clone, Copy)]
pub struct LogNames {
    pub caller: LogCaller,
    pub path: LogPath,
}

/// `[telemetry]` of `weft.toml`.
#[derive(Debug, Clone)]
pub struct Config {
    pub format: LogFormat,
    pub names: LogNames,
    /// Of warnings and errors that say the same, so many are written in ten seconds; 0: all.
    pub repeats: u32,
    /// Whether the time of requests names traces that took so long.
    pub exemplars: bool,
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
            names: LogNames {
                caller: table.or("log-caller", LogCaller::Hashed),
                path: table.or("log-path", LogPath::Whole),
            },
            repeats: table.or("log-repeats", 10),
            exemplars: table.or("exemplars", false),
            filter,
        }
    }
}

/// As [`init_logs`] for people, to whoever shows them, a line at a time and without the hour.
pub fn send_logs(filter: &str, to: impl Fn(&str) + Send + Sync + 'static) {
    let (filter, to) = (EnvFilter::builder().parse_lossy(filter), Arc::new(to));
    let output = fmt::layer().with_ansi(false).without_time().with_target(false).fmt_fields(plain());
    let output = output.with_writer(move || Lines(to.clone()));
    let _ = tracing_subscriber::registry().with(filter).with(output).try_init();
}

/// What is written at once is a line.
struct Lines<F>(Arc<F>);

impl<F: Fn(&str)> io::Write for Lines<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        String::from_utf8_lossy(bytes).lines().for_each(|line| (self.0)(line));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends logs to standard error; where they are JSON, panics as well. The first call of a process wins; later ones (tests) change nothing.
pub fn init_logs(config: &Config) {
    let filter = EnvFilter::builder().parse_lossy(&config.filter);
    let registry = tracing_subscriber::registry().with(filter);
    let output = fmt::layer().with_ansi(io::stderr().is_terminal());
    // A second initialisation fails, and that is what is wanted.
    let _ = match config.format {
        LogFormat::Human => {
            let output = output.with_writer(io::stderr).with_target(false).fmt_fields(plain());
            registry.with(output.map_event_format(|format| Sampled::new(format, config.repeats))).try_init()
        }
        LogFormat::Json | LogFormat::Ecs => {
            std::panic::set_hook(Box::new(json::tell_panic));
            let names = if config.format == LogFormat::Ecs { Names::Ecs } else { Names::Plain };
            let format = Sampled::new(JsonEvents(names), config.repeats);
            registry.with(output.with_writer(JsonLines).event_format(format)).try_init()
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
