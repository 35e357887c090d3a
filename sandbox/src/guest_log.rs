//! What a guest says: log lines through the contract, and standard output and error. All of it is bounded for each request and
//! carries the plugin's name, its version and the request's id.

use std::{
    collections::BTreeMap,
    fmt::Display,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use tokio::io::AsyncWrite;
use tracing::Level;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use weft_core::sync::lock;
use weft_core::telemetry::Listed;

/// Longest line that is kept in one piece.
const LONGEST_LINE: usize = 8 << 10;

/// The voice of one instance.
#[derive(Debug)]
pub(super) struct GuestLog {
    plugin: Arc<str>,
    version: Arc<str>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    request_id: String,
    left: usize,
    muted: bool,
}

impl GuestLog {
    pub(super) fn new(plugin: Arc<str>, version: Arc<str>) -> Arc<Self> {
        Arc::new(Self { plugin, version, state: Mutex::default() })
    }

    /// A new request begins, and may say `budget` bytes.
    pub(super) fn begin(&self, request_id: &str, budget: usize) {
        *self.lock() = State { request_id: request_id.to_owned(), left: budget, muted: false };
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Writes one line to the host's log, unless the request has said enough.
    pub(super) fn say(&self, level: Level, message: &str, fields: &[(String, String)]) {
        let cost = message.len() + fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() + 16;
        let request_id = {
            let mut state = self.lock();
            if cost > state.left {
                state.left = 0;
                if std::mem::replace(&mut state.muted, true) {
                    return;
                }
                tracing::warn!(plugin = %self.plugin, version = %self.version, request_id = %state.request_id,
                    "the plugin's log of this request is over its bound; the rest is dropped");
                return;
            }
            state.left -= cost;
            state.request_id.clone()
        };
        let fields = Fields(fields);
        let (plugin, version) = (&self.plugin, &self.version);
        macro_rules! line {
            ($level:expr) => { tracing::event!(target: "plugin", $level, %plugin, %version, %request_id, %fields, "{message}") };
        }
        match level {
            Level::ERROR => line!(Level::ERROR),
            Level::WARN => line!(Level::WARN),
            Level::INFO => line!(Level::INFO),
            Level::DEBUG => line!(Level::DEBUG),
            _ => line!(Level::TRACE),
        }
    }
}

struct Fields<'a>(&'a [(String, String)]);

impl Display for Fields<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if f.alternate() {
            let all: BTreeMap<_, _> = self.0.iter().map(|(name, value)| (name, value)).collect();
            return Listed(&all).fmt(f);
        }
        for (at, (name, value)) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { " " };
            // A name that is none would pass for other fields.
            if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)) {
                write!(f, "{separator}{name}={value:?}")?;
            } else {
                write!(f, "{separator}{name:?}={value:?}")?;
            }
        }
        Ok(())
    }
}

/// Standard output or error, as lines of the log.
#[derive(Debug, Clone)]
pub(super) struct Pipe {
    guest_log: Arc<GuestLog>,
    level: Level,
    line: Arc<Mutex<Vec<u8>>>,
}

impl Pipe {
    pub(super) fn new(guest_log: &Arc<GuestLog>, level: Level) -> Self {
        Self { guest_log: guest_log.clone(), level, line: Arc::default() }
    }
}

impl IsTerminal for Pipe {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Pipe {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut line = lock(&self.line);
        for byte in bytes {
            if *byte != b'\n' {
                line.push(*byte);
            }
            if *byte == b'\n' || line.len() >= LONGEST_LINE {
                self.guest_log.say(self.level, &String::from_utf8_lossy(&line), &[]);
                line.clear();
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
