//! `weft mock`: a host whose plugins answer by their examples, before there is code or a backend.

mod desk;
mod sources;
mod told;

use super::{Failure, Result, in_words, print, runtime, stamps::Stamps, tell};
use crate::{
    app::{self, Listening},
    config::Config,
    identity,
    plugin::MockSandbox,
    telemetry,
};
use desk::Desk;
use sources::Sources;
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

/// How often the files are looked at: nobody saves faster, and file systems that give no notices are as good as others.
const LOOK: Duration = Duration::from_millis(250);

/// Answer for plugins by their examples: no code runs, no backend is needed
///
/// Serves the endpoints of plugins' folders, or artifacts, as a host does: routing, CORS, problems, rates, ETags and caches are the real
/// ones. What an endpoint answers stands in `mocks/*.json` beside its `plugin.toml`, or in its `[mock]`; where nothing stands, a value is
/// made from the schema, the same each time. Files are read again when they are saved.
///
/// Where an endpoint needs a token, any bearer token is taken and believed. Not for real users.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Plugins' folders, folders of such folders, or artifacts
    #[arg(default_value = ".", value_name = "FOLDER|ARTIFACT")]
    paths: Vec<PathBuf>,
    /// Serve this client only, without a prefix in its paths; several clients have one each: `/ios`
    #[arg(long)]
    client: Option<String>,
    /// Where to listen; with port 0, at a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Other values where they are made from schemas
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,
}

pub(super) fn run(arguments: &Arguments) -> Result {
    let mut sources = Sources::find(&arguments.paths, arguments.client.clone(), arguments.seed)?;
    let stamps = sources.stamps();
    // Until here nothing is made that would be left behind, and Ctrl-C ends it at once.
    let plugins = sources.read()?;
    let runtime = runtime()?;
    let outcome: Result = runtime.block_on(async {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let desk = Desk::new(arguments.listen)?;
        let clients = desk.put(&plugins)?;
        let config = load(&desk)?;
        telemetry::init_logs(&config.telemetry);
        let running = tokio::select! {
            running = app::start(config, Arc::new(MockSandbox), Listening::default()) => Arc::new(running?),
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        };
        told::what_is_served(&plugins, &clients, running.http);
        let watching = watch(sources, stamps, &desk, &running);
        tokio::select! {
            never = watching => match never {},
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        print("Stopped.");
        if let Some(running) = Arc::into_inner(running) {
            tokio::select! {
                () = running.stop() => {}
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        Ok(())
    });
    runtime.shutdown_background();
    outcome
}

/// The configuration on the desk, of a host that believes everybody.
fn load(desk: &Desk) -> Result<Config> {
    let mut config = Config::load(&desk.folder.config()).map_err(Failure::Mistakes)?;
    config.identity = Some(identity::Config::anybody());
    Ok(config)
}

/// Puts in force what is saved; what can't be is told of, and what was served before goes on.
async fn watch(
    mut sources: Sources,
    mut stamps: Stamps,
    desk: &Desk,
    running: &app::Running,
) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(LOOK).await;
        let now = sources.stamps();
        if now == stamps {
            continue;
        }
        let changed = now.changed_since(&stamps);
        stamps = now;
        // Code may have to be compiled.
        let read = tokio::task::block_in_place(|| sources.read());
        let put = match read {
            Ok(plugins) => desk.put(&plugins).map_err(|failure| in_words(&failure)),
            Err(failure) => Err(in_words(&failure)),
        };
        match put {
            Ok(_) => match running.reload().await {
                Ok(_) => print(&format!("{changed} saved: answers by it from now on")),
                Err(error) => tell(&format!("{changed} saved, and could not be put in force: {error}")),
            },
            Err(words) => tell(&format!("{words}\n{changed} saved with mistakes: what was there before answers still")),
        }
    }
}
