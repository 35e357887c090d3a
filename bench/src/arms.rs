//! What is measured against what, and how each is started.

mod host;
mod node;

pub(crate) use host::{ADMIN_TOKEN, Host, Isolation, compiled, pages, start as start_host};
pub(crate) use node::Node;

use crate::{
    fixture::{self, Fixture},
    process::{self, Process},
    roles::{Brief, Cache},
    tokens,
};
use anyhow::Context;
use serde::Serialize;
use std::{net::SocketAddr, sync::Arc};

/// One way to serve the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Arm {
    /// The host, a fresh instance for each request.
    Isolated,
    /// The host, with instances that serve many requests.
    Reuse,
    /// The host of an earlier build, isolated.
    IsolatedBefore,
    /// The host of an earlier build, with reuse.
    ReuseBefore,
    /// The host without the sandbox: the same handlers natively.
    Unsandboxed,
    /// axum and tonic, by hand, with the same duties.
    HandWritten,
    /// Fastify and grpc-js in a cluster, with DataLoader.
    Node,
    /// By hand and in a hurry: a call for each item, one after the other.
    Naive,
}

impl Arm {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Isolated => "isolated",
            Self::Reuse => "reuse",
            Self::IsolatedBefore => "isolated before",
            Self::ReuseBefore => "reuse before",
            Self::Unsandboxed => "unsandboxed",
            Self::HandWritten => "hand-written",
            Self::Node => "Node",
            Self::Naive => "naive loop",
        }
    }
}

/// What is kept of replies, and how much.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) cache: Cache,
    pub(crate) entries: u64,
}

impl Setting {
    /// With room for all.
    pub(crate) fn of(cache: Cache) -> Self {
        Self { cache, entries: 1_000_000 }
    }
}

/// A server under test.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) arm: Arm,
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    /// Holds the files of a host.
    pub(crate) host: Option<Arc<Host>>,
}

impl Server {
    pub(crate) async fn start(fixture: &Fixture, arm: Arm, setting: Setting) -> anyhow::Result<Self> {
        let started = match arm {
            Arm::Isolated => host::start(Host::of(fixture, setting, Isolation::Request)?, arm).await,
            Arm::Reuse => host::start(Host::of(fixture, setting, Isolation::Reuse)?, arm).await,
            Arm::IsolatedBefore => host::start(Host::before(fixture, setting, Isolation::Request)?, arm).await,
            Arm::ReuseBefore => host::start(Host::before(fixture, setting, Isolation::Reuse)?, arm).await,
            Arm::Unsandboxed => host::start(Host::of(fixture, setting, Isolation::None)?, arm).await,
            Arm::HandWritten | Arm::Naive => hand_written(fixture, arm, setting).await,
            Arm::Node => node::start(&brief(fixture, setting, false)?).await,
        };
        started.with_context(|| format!("{} can't be started", arm.name()))
    }
}

fn brief(fixture: &Fixture, setting: Setting, naive: bool) -> anyhow::Result<Brief> {
    Ok(Brief {
        backends: fixture.backends,
        cache: setting.cache,
        entries: setting.entries,
        naive,
        issuer: tokens::ISSUER.to_owned(),
        audience: tokens::AUDIENCE.to_owned(),
        key: tokens::public()?,
        workers: std::thread::available_parallelism().map_or(1, usize::from),
    })
}

async fn hand_written(fixture: &Fixture, arm: Arm, setting: Setting) -> anyhow::Result<Server> {
    let brief = serde_json::to_string(&brief(fixture, setting, arm == Arm::Naive)?)?;
    let command = process::role(&["as-hand-written", &brief])?;
    let log = fixture::folder("logs")?.join(format!("{}.log", arm.name()));
    let process = Process::start(command, "serves on http://", &log).await?;
    Ok(Server { arm, address: process.address(0)?, process, host: None })
}
