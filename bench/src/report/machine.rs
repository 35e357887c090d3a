//! Where it was measured.

use serde::Serialize;
use std::{fmt, fs};

/// The machine as far as it matters.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    cpu: String,
    cores: usize,
    memory_gib: u64,
    kernel: String,
    /// Of the last minute before the bench: on a quiet machine below 0.1.
    load_before: String,
}

fn read(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

fn field(file: &str, name: &str) -> String {
    let text = read(file);
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_once(':')).map_or(String::new(), |(_, value)| value.trim().to_owned())
}

/// All memory of the machine, in bytes; 0 where that is not known.
pub(crate) fn memory() -> u64 {
    let kib = field("/proc/meminfo", "MemTotal");
    kib.split(' ').next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) << 10
}

impl Machine {
    pub(super) fn look() -> Self {
        Self {
            cpu: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: (memory() + (1 << 29)) >> 30,
            kernel: read("/proc/sys/kernel/osrelease").trim().split('-').next().unwrap_or_default().to_owned(),
            load_before: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, memory_gib, kernel, load_before } = self;
        write!(f, "{cpu}, {cores} cores, {memory_gib} GiB, Linux {kernel}; load before the bench {load_before}")
    }
}
