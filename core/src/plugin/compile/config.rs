//! `compiled`, `compile-memory` and `compile-timeout` in `[plugins]` of `weft.toml`.

use crate::settings::{ByteSize, Table};
use std::{path::PathBuf, thread::available_parallelism, time::Duration};

/// Where and within which bounds artifacts are compiled.
#[derive(Debug, Clone)]
pub struct Compiling {
    /// Where compiled code is kept: a private folder, made when first needed.
    pub folder: PathBuf,
    /// The command that compiles: this program itself. `None` compiles in this process, without bounds, for whoever embeds a host
    /// and trusts its artifacts.
    pub worker: Option<PathBuf>,
    /// Of one worker.
    pub memory: ByteSize,
    /// CPU time of one worker, of each core that it may use.
    pub timeout: Duration,
}

impl Compiling {
    /// `compiled`, `compile-memory` and `compile-timeout` of `[plugins]`.
    pub fn read(table: &Table<'_>) -> Self {
        let mib = |n: u64| ByteSize(n << 20);
        Self {
            folder: table.or("compiled", ".weft/compiled".into()),
            worker: None,
            memory: table.within("compile-memory", mib(2048), mib(128), mib(65_536)),
            timeout: table.within(
                "compile-timeout",
                Duration::from_mins(1),
                Duration::from_secs(1),
                Duration::from_mins(10),
            ),
        }
    }

    /// Helpers that may run at once: one core is left to those who serve.
    pub fn at_once(&self) -> usize {
        available_parallelism().map_or(1, |cores| cores.get() - 1).max(1)
    }
}
