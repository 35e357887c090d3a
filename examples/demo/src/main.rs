//! `cargo demo`: builds and starts the whole demo, says what to try, and stops everything it started.
//!
//! In reading order: [`build`] (target, programs, plugins), [`start`] (ports, services, host), then either [`tips`] (what to try)
//! until a signal, or [`once`] (every request, compared). [`neighbours`] is the other demo: among real programs. [`crew`] keeps the processes, [`progress`] tells how far
//! cargo is, [`say`] prints, [`web`] asks.

mod build;
mod crew;
mod layout;
mod neighbours;
mod once;
mod progress;
mod say;
mod signals;
mod start;
mod tail;
mod tips;
mod web;

use anyhow::bail;
use clap::Parser;
use crew::Crew;
use demo::configuration::Addresses;
use layout::Layout;
use signals::Signals;
use std::{future::Future, net::SocketAddr, process::ExitCode};

const EXAMPLES: &str = "\
Examples:
  cargo demo                              start everything and run until Ctrl-C
  cargo demo -- --once                    request everything as every client, compare, stop
  cargo demo -- --neighbours              behind Envoy, services found in etcd, traces: nothing is lost in a rolling restart
  cargo demo -- --http 127.0.0.1:8081     where a port is taken
  cargo demo -- --token bob               print a token, to be signed in as bob

Exit codes: 0 done, 1 failed, 2 wrong usage.";

/// Starts the whole demo: four gRPC services, the Weft host and its plugins, each built first.
#[derive(Debug, Parser)]
#[command(name = "demo", version, max_term_width = 100, after_help = EXAMPLES)]
struct Arguments {
    /// Request every endpoint as every client, print and compare the answers, stop; exit code 1 if anything is not as expected
    #[arg(long)]
    once: bool,
    /// Among real programs, which have to be installed: services are found in etcd, two hosts stand behind Envoy, traces go to otelite
    /// where it is there. Under load a service moves and a host is replaced; shows that nothing was lost, and one page's trace. With
    /// --once it stops then. All ports are free ones
    #[arg(long, conflicts_with_all = ["http", "admin", "services_port", "write_expected", "token"])]
    neighbours: bool,
    /// For maintainers: write the answers to examples/demo/expected/ instead of comparing the bodies
    #[arg(long, requires = "once")]
    write_expected: bool,
    /// Print a token for this subject, which the demo's host accepts for a day, and do nothing else
    #[arg(long, value_name = "SUBJECT", conflicts_with = "once")]
    token: Option<String>,
    /// Where the host listens
    #[arg(long, value_name = "ADDRESS", default_value_t = Addresses::default().http)]
    http: SocketAddr,
    /// Where the host listens for its operator
    #[arg(long, value_name = "ADDRESS", default_value_t = Addresses::default().admin)]
    admin: SocketAddr,
    /// The first of the four ports of the services
    #[arg(long, value_name = "PORT", default_value_t = Addresses::default().services, value_parser = clap::value_parser!(u16).range(1..=65532))]
    services_port: u16,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(subject) = &arguments.token {
        say::line(&demo::token(subject));
        return ExitCode::SUCCESS;
    }
    run(&arguments).await
}

/// However it ends: everything that was started is stopped.
async fn run(arguments: &Arguments) -> ExitCode {
    let mut crew = Crew::default();
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return failed(&anyhow::Error::new(error).context("signals can't be waited for")),
    };
    let code = match play(arguments, &mut crew, &mut signals).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    };
    crew.stop(&mut signals).await;
    code
}

fn failed(error: &anyhow::Error) -> ExitCode {
    say::error(error);
    ExitCode::FAILURE
}

async fn play(arguments: &Arguments, crew: &mut Crew, signals: &mut Signals) -> anyhow::Result<()> {
    let layout = Layout::find()?;
    if arguments.neighbours {
        return neighbours::play(&layout, crew, signals, arguments.once).await;
    }
    let asked = Addresses { http: arguments.http, admin: arguments.admin, services: arguments.services_port };
    let addresses = start::free(&asked)?;
    let started = async {
        build::all(&layout, crew, start::STEPS).await?;
        start::all(&layout, &addresses, crew, !arguments.once).await
    };
    unless_stopped(signals, started).await?;

    if arguments.once {
        let asked = once::run(&addresses, arguments.write_expected);
        let watched = async {
            tokio::select! {
                outcome = asked => outcome,
                death = crew.first_death() => Err(death),
            }
        };
        return unless_stopped(signals, watched).await;
    }
    tips::print(&layout, &addresses)?;
    until_stopped(crew, signals).await
}

async fn until_stopped(crew: &mut Crew, signals: &mut Signals) -> anyhow::Result<()> {
    tokio::select! {
        death = crew.first_death() => Err(death),
        name = signals.next() => {
            say::line(&format!("\n{name}: stopping"));
            Ok(())
        }
    }
}

/// The future's own outcome, or a failure if a signal comes first.
async fn unless_stopped<T>(
    signals: &mut Signals,
    future: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::select! {
        outcome = future => outcome,
        name = signals.next() => bail!("{name} came before the demo was done"),
    }
}
