//! Weft against what people would use instead, on real sockets and in separate processes: `cargo bench`.
//!
//! | module | what it knows |
//! |---|---|
//! | [`arguments`] | what is asked for |
//! | [`workloads`] | what is measured, one file for each kind |
//! | [`arms`] | what is measured against what, and how each is started |
//! | [`fixture`] | the services and the files behind all arms |
//! | [`load`] | the load driver: closed loop, open loop, every body checked |
//! | [`measure`] | runs interleaved, medians and spread |
//! | [`report`] | the table, the targets, JSON, the plot, the README |
//! | [`process`] | one process: its addresses, its CPU time and memory by the kernel's account |
//! | [`roles`] | the other processes: services, host, unsandboxed host, hand-written server |
//!
//! How it measures:
//! - The process under test, the services and the driver are processes of their own on one machine; they share its cores.
//! - The measure is requests per second of CPU time *of the process under test*, which the kernel counts for each thread. What the
//!   driver and the services cost is not in it, and a busy machine changes it little.
//! - Arms take turns within one run, so that what changes on the machine changes for all. Each turn has its own warm-up.
//! - Every body is compared, byte for byte, with one that is made from the data without any of the arms. Each request has a caller
//!   of its own, with a token signed for it, and the caller's name is part of the body.
//! - In the open loop requests have a time at which they should start, whatever became of the others; latency counts from that time.
//! - The driver is our own because no tool does all of this: tokens and keys that differ for each request, bodies that differ with
//!   them, arms that take turns. It is hyper's client underneath, and hdrhistogram for what was measured.

mod arguments;
mod arms;
mod artifacts;
mod expected;
mod fixture;
mod load;
mod measure;
mod process;
mod report;
mod roles;
mod tokens;
mod workloads;

use std::{fmt::Display, io::Write, process::ExitCode};
use tokio::signal::unix::{SignalKind, signal};

/// The bench, or the role that the arguments name.
pub fn main() -> ExitCode {
    if let Some(code) = roles::run() {
        return code;
    }
    let arguments = <arguments::Arguments as clap::Parser>::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(format_args!("error: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let run = async {
        tokio::select! {
            ended = workloads::run(&arguments) => ended,
            // What it has started ends with it.
            signal = stopped() => Err(signal.map_or_else(Into::into, |name| anyhow::anyhow!("stopped by {name}"))),
        }
    };
    match runtime.block_on(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Somebody wants an end to it.
async fn stopped() -> std::io::Result<&'static str> {
    let (mut int, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(tokio::select! {
        _ = int.recv() => "SIGINT",
        _ = term.recv() => "SIGTERM",
    })
}

/// Progress, for whoever watches. The results go to standard output.
fn say(line: impl Display) {
    // With nowhere to write to there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}
