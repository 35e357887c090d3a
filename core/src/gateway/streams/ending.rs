//! What a stream can end by.

/// Why a stream has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Its guest has sent all.
    Done,
    /// Its guest has failed, and the last event says why.
    Problem,
    /// Its client has gone, or takes nothing.
    Client,
    /// `[streams] longest`.
    Time,
    /// `[streams] bytes`.
    Bytes,
    /// The caller's token has come to its end.
    Token,
    /// Another release serves the endpoint.
    Release,
    /// The host has another configuration.
    Reload,
    /// The host stops.
    Stop,
}

impl Ending {
    /// As clients, logs and metrics call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Problem => "problem",
            Self::Client => "client",
            Self::Time => "time",
            Self::Bytes => "bytes",
            Self::Token => "token",
            Self::Release => "release",
            Self::Reload => "reload",
            Self::Stop => "stop",
        }
    }
}
