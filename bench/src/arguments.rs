//! What is asked for.

use crate::measure::Effort;
use std::{path::PathBuf, time::Duration};

/// Weft against what people would use instead: the sandboxed host (isolated, reuse), the same host without the sandbox, a
/// hand-written axum and tonic server, Node with Fastify and grpc-js, and a naive loop.
///
/// The results go to standard output, progress to standard error.
#[derive(Debug, clap::Parser)]
#[command(name = "cargo bench --", after_help = crate::workloads::help(), max_term_width = 120)]
pub(crate) struct Arguments {
    /// Short runs: less than three minutes in all, with more noise
    #[arg(long)]
    pub(crate) quick: bool,

    /// Only these workloads, or those whose names begin so; may be given several times
    #[arg(long, value_name = "WORKLOAD")]
    pub(crate) only: Vec<String>,

    /// Run everything at once for so long instead: mixed load, swaps, reloads, a hostile plugin, a failing backend
    #[arg(long, value_name = "MINUTES")]
    pub(crate) soak: Option<f64>,

    /// Write all figures here
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Write the plot here [default: target/bench/bench.svg]
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,

    /// Put the results into the README, docs/inside/bench.md and docs/inside/bench.svg
    #[arg(long)]
    pub(crate) readme: bool,

    /// An earlier build of this program (target/release/deps/bench-…), with whose host the workload `before` compares what a
    /// request costs
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) baseline: Option<PathBuf>,

    /// Leave the Node arm out
    #[arg(long)]
    pub(crate) no_node: bool,

    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    pub(crate) fn effort(&self) -> Effort {
        if self.quick {
            Effort { rounds: 2, warm: Duration::from_millis(200), measured: Duration::from_millis(600), quick: true }
        } else {
            Effort { rounds: 5, warm: Duration::from_secs(1), measured: Duration::from_secs(4), quick: false }
        }
    }

    /// The command, for those who want to do it again.
    pub(crate) fn command(&self) -> String {
        let mut command = "cargo bench --".to_owned();
        if self.quick {
            command.push_str(" --quick");
        }
        for only in &self.only {
            command.push_str(" --only ");
            command.push_str(only);
        }
        command.push_str(" --readme");
        command
    }

    pub(crate) fn wants(&self, workload: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| workload.starts_with(only.as_str()))
    }
}
