//! `weft compile-artifact` and `weft read-artifact`: what a host starts to compile or read an artifact within bounds. Not for people.

use super::{Failure, Result, print};
use crate::{
    plugin::{self, Bounds, Order, WorkerAnswer},
    sandbox,
};
use std::path::PathBuf;

/// Compile one artifact within bounds; hosts start it by themselves
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct Arguments {
    /// What the code is sealed for
    #[arg(long)]
    name: String,
    /// The file to write
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    within: Within,
}

#[derive(Debug, clap::Args)]
struct Within {
    /// Bytes of memory that may be used
    #[arg(long)]
    memory: u64,
    /// Seconds of CPU time that may be used
    #[arg(long)]
    cpu: u64,
}

pub(super) fn run(arguments: Arguments) -> Result {
    let Arguments { name, out, within } = arguments;
    answer(&sandbox::compile_artifact(&Order { name, out, bounds: within.bounds() }))
}

/// Read one artifact within bounds; hosts start it by themselves
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct Reading {
    #[command(flatten)]
    within: Within,
}

pub(super) fn read(arguments: &Reading) -> Result {
    answer(&plugin::read_artifact(arguments.within.bounds()))
}

impl Within {
    fn bounds(&self) -> Bounds {
        Bounds { memory: self.memory, cpu: self.cpu }
    }
}

/// One line for the host.
fn answer(answer: &WorkerAnswer) -> Result {
    print(&answer.to_json());
    if *answer == WorkerAnswer::Done { Ok(()) } else { Err(Failure::Told(1)) }
}
