//! `weft serve`.

use super::{
    Failure, Result, runtime,
    systemd::{self, Manager, Word},
    tell,
};
use crate::{
    app::ReloadError,
    config::Config,
    plugin::ITSELF,
    sandbox::Environment,
    settings::{Change, Mistake},
    start::start_at,
    telemetry::{self, LogFormat},
};
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// Serve the plugins of a folder until SIGTERM or Ctrl-C
///
/// The folder is watched: a new or changed artifact is verified, compiled beside the traffic and swapped in; a bad one is refused
/// with a reason, and what served before goes on. On SIGTERM requests under way are finished first; a second signal ends at once.
///
/// A service manager that speaks systemd's protocols is told of readiness, reloads and the stop, and may pass the sockets `http` and
/// `admin`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration; relative paths in it are relative to its folder
    #[arg(long, default_value = "weft.toml")]
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result {
    // Also what keeps the host from starting is said in the form of its log.
    let voice = Voice(Config::telemetry(&arguments.config).format);
    let outcome = serve(arguments, voice);
    match outcome {
        Err(failure) if voice.is_json() => Err(voice.fail(&failure)),
        outcome => outcome,
    }
}

fn serve(arguments: &Arguments, voice: Voice) -> Result {
    telemetry::init_logs(&Config::telemetry(&arguments.config));
    let mut config = Config::load(&arguments.config).map_err(Failure::Mistakes)?;
    config.plugins.compiling.worker = Some(ITSELF.into());
    let passed = systemd::passed()?;
    let manager = Manager::from_env();
    let scheme = |is_tls: bool| if is_tls { "https" } else { "http" };
    let (scheme, of_admin) = (scheme(config.http.tls.is_some()), scheme(config.admin.tls.is_some()));
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut hangup = signal(SignalKind::hangup())?;
        let running = tokio::select! {
            running = start_at(config, Environment::Real, passed) => running?,
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        };
        voice.say(&format!("weft serves on {scheme}://{} (admin on {of_admin}://{})", running.http, running.admin));
        manager.tell(Word::Ready);
        manager.feed_watchdog();
        let name = loop {
            tokio::select! {
                _ = terminate.recv() => break "SIGTERM",
                _ = interrupt.recv() => break "Ctrl-C",
                _ = hangup.recv() => {
                    manager.tell(Word::Reloading);
                    // It may wait for somebody who is away; whoever is told to stop does not.
                    let outcome = tokio::select! {
                        outcome = running.reload() => outcome,
                        _ = terminate.recv() => break "SIGTERM",
                        _ = interrupt.recv() => break "Ctrl-C",
                    };
                    voice.tell_reload(outcome);
                    manager.tell(Word::Ready);
                }
            }
        };
        manager.tell(Word::Stopping);
        tracing::info!("{name}: finishing what is under way");
        tokio::select! {
            () = running.stop() => {}
            _ = terminate.recv() => voice.say("a second signal: ending at once"),
            _ = interrupt.recv() => voice.say("a second signal: ending at once"),
        }
        Ok(())
    });
    // Nobody waits for what is being read or compiled.
    runtime.shutdown_background();
    outcome
}

/// How the host speaks on standard error: in lines for people, or in lines of JSON and nothing else.
#[derive(Debug, Clone, Copy)]
struct Voice(LogFormat);

impl Voice {
    fn is_json(self) -> bool {
        self.0.is_json()
    }

    fn say(self, line: &str) {
        if self.is_json() { tracing::info!("{line}") } else { tell(line) }
    }

    fn tell_reload(self, outcome: std::result::Result<Vec<Change>, ReloadError>) {
        match outcome {
            Ok(changes) if changes.is_empty() => self.say("SIGHUP: nothing has changed in the configuration"),
            Ok(changes) => changes.iter().for_each(|change| self.say(&format!("SIGHUP: {change}"))),
            // The log has it already.
            Err(_) if self.is_json() => {}
            Err(error) => tell(&format!("SIGHUP: nothing was changed: {error}")),
        }
    }

    /// Says why the command failed; what is left is its exit code.
    fn fail(self, failure: &Failure) -> Failure {
        match failure {
            Failure::Mistakes(mistakes) => {
                for Mistake { file, line, key, message } in mistakes {
                    tracing::error!(%file, line, key, "{message}");
                }
                tracing::error!(mistakes = mistakes.len(), "the configuration has mistakes; nothing was started");
                Failure::Told(2)
            }
            Failure::Usage(message) => {
                tracing::error!("{message}");
                Failure::Told(2)
            }
            Failure::Failed(error) => {
                tracing::error!("{error:#}");
                Failure::Told(1)
            }
            Failure::Told(code) => Failure::Told(*code),
        }
    }
}
