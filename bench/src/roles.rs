//! The processes of the bench are all this one program: the first argument says which.

pub(crate) mod hand_written;
mod services;
mod unsandboxed;

use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, process::ExitCode};
use weft::plugin::WORKER_COMMANDS;

/// Where the backends are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Backends {
    pub(crate) catalog: SocketAddr,
    pub(crate) people: SocketAddr,
    pub(crate) reviews: SocketAddr,
}

/// What replies are kept, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cache {
    Off,
    Principal,
    Public,
}

/// What an arm that is not the host is told: the hand-written server, the naive one, and Node's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Brief {
    pub(crate) backends: Backends,
    pub(crate) cache: Cache,
    /// Most entries of the cache.
    pub(crate) entries: u64,
    /// Asks for one author after the other.
    pub(crate) naive: bool,
    pub(crate) issuer: String,
    pub(crate) audience: String,
    /// The public key, as `x` of a JWK.
    pub(crate) key: String,
    /// Processes (Node) or threads.
    pub(crate) workers: usize,
}

/// Where the pages' clients are told apart.
pub(crate) const PREFIX: &str = "/web";

/// Runs the role that the arguments name; `None` if they name none.
pub(crate) fn run() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let role = arguments.next()?;
    let more = arguments.next().unwrap_or_default();
    let ended = match role.as_str() {
        // The `weft` command itself.
        "serve" | "build" => return Some(weft::cli::main()),
        worker if WORKER_COMMANDS.contains(&worker) => return Some(weft::cli::main()),
        "as-services" => services::run(&more),
        "as-unsandboxed" => unsandboxed::run(&more),
        "as-hand-written" => hand_written::run(&more),
        _ => return None,
    };
    Some(match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            crate::say(format_args!("{role}: {error:#}"));
            ExitCode::FAILURE
        }
    })
}
