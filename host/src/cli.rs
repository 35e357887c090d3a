//! The command line: arguments to commands, errors to messages and exit codes (0 done, 1 failed, 2 wrong usage).

mod admin;
mod build;
mod check;
mod clients;
mod compile;
mod dev;
mod diff;
mod document;
mod health;
mod inspect;
mod language;
mod mock;
mod new;
mod openapi;
mod private;
mod record;
mod release;
mod scratch;
mod sdk;
mod serve;
mod stamps;
mod systemd;
mod test;
mod toolchain;
mod top;
mod types;

use crate::settings::Mistake;
use clap::{Parser, Subcommand};
use std::{io::Write, process::ExitCode};

/// A backend for each of your frontends: aggregation logic as sandboxed WebAssembly plugins over gRPC microservices.
#[derive(Debug, Parser)]
#[command(name = "weft", version, max_term_width = 100, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
To write a plugin:
  weft new greeter --client web     make a plugin that builds and tests
  weft dev                          build it whenever it is saved, serve it, and show what its requests do
  weft build                        compile it into one artifact, in the plugin's folder
  weft test                         try it as it would serve: cases, calls that grow with a list, backends that are away
  weft record --case NAME --config weft.toml -- curl http://localhost:8080/…
                                    write a test case from a real exchange
  weft new --ci github              write a pipeline for the plugin in this folder (or gitlab, jenkins)
  weft sdk                          after a fresh clone: put the SDK where the plugin looks for it
  weft inspect FILE                 show what an artifact holds

To write a frontend:
  weft openapi --client web         print what a client may ask and what it gets, as OpenAPI 3.1
  weft types CONTRACT --out bff.ts  write its types, and a function for each endpoint
  weft diff OLD NEW                 tell what changes for apps that are out, and what breaks (exit code 1)
  weft new greeter --client web --mock-only
                                    make a contract with examples, before there is code
  weft mock --client web            answer for plugins by their examples: no code runs, no backend is needed

To run a host:
  weft check --config weft.toml     find every mistake, and see what could be batched
  weft serve --config weft.toml     serve the plugins of a folder until SIGTERM or Ctrl-C
  weft release apply FILE           put an artifact into service, and see what becomes of it
  weft release rollback PLUGIN      go back to what served before, at once
  weft release list                 show which releases there are, and where each stands
  weft top                          see live what each plugin of a running host does and costs
  weft health                       ask a running host whether it takes requests (--live: whether it is alive)";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Arguments),
    Check(check::Arguments),
    New(new::Arguments),
    Dev(dev::Arguments),
    Build(build::Arguments),
    Test(test::Arguments),
    Record(record::Arguments),
    Sdk(sdk::Arguments),
    Inspect(inspect::Arguments),
    Openapi(openapi::Arguments),
    Diff(diff::Arguments),
    Types(types::Arguments),
    Mock(mock::Arguments),
    Release(release::Arguments),
    Top(top::Arguments),
    Health(health::Arguments),
    CompileArtifact(compile::Arguments),
    ReadArtifact(compile::Reading),
    MakeClients(clients::Arguments),
}

/// How a command ended without doing its work.
#[derive(Debug)]
enum Failure {
    /// Exit code 1.
    Failed(anyhow::Error),
    /// Exit code 2: an argument that can't be.
    Usage(String),
    /// Exit code 2: the user's files have mistakes.
    Mistakes(Vec<Mistake>),
    /// This exit code: why has been said.
    Told(u8),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

type Result<T = ()> = std::result::Result<T, Failure>;

/// Runs the command of the process's arguments.
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::New(arguments) => new::run(&arguments),
        Command::Dev(arguments) => dev::run(&arguments),
        Command::Build(arguments) => build::run(&arguments),
        Command::Test(arguments) => test::run(arguments),
        Command::Record(arguments) => record::run(&arguments),
        Command::Sdk(arguments) => sdk::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Openapi(arguments) => openapi::run(&arguments),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Types(arguments) => types::run(&arguments),
        Command::Mock(arguments) => mock::run(&arguments),
        Command::Release(arguments) => release::run(&arguments),
        Command::Top(arguments) => top::run(&arguments),
        Command::Health(arguments) => health::run(&arguments),
        Command::CompileArtifact(arguments) => compile::run(arguments),
        Command::ReadArtifact(arguments) => compile::read(&arguments),
        Command::MakeClients(arguments) => clients::run(arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Failed(error)) => {
            tell(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
        Err(Failure::Told(code)) => ExitCode::from(code),
        Err(Failure::Usage(message)) => {
            tell(&format!("error: {message}"));
            ExitCode::from(2)
        }
        Err(Failure::Mistakes(mistakes)) => {
            for mistake in &mistakes {
                tell(&format!("error: {mistake}"));
            }
            let count = mistakes.len();
            tell(&format!("{count} mistake{} found; nothing was started", if count == 1 { "" } else { "s" }));
            ExitCode::from(2)
        }
    }
}

/// What `main` would say of it.
fn in_words(failure: &Failure) -> String {
    match failure {
        Failure::Failed(error) => format!("error: {error:#}"),
        Failure::Usage(text) => format!("error: {text}"),
        Failure::Mistakes(mistakes) => {
            mistakes.iter().map(|mistake| format!("error: {mistake}")).collect::<Vec<_>>().join("\n")
        }
        Failure::Told(_) => String::new(),
    }
}

/// A line for a person, on standard error.
fn tell(line: &str) {
    // With nowhere to write to there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The command's result, on standard output. A reader that went away (`| head`) is no failure.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}
