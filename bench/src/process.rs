//! One process of the bench: its addresses, and its CPU time and memory as the kernel counts them.

use anyhow::{Context, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdin, Command},
    time::timeout,
};

/// A process that takes longer to be ready than this never will be.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running process. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pid: u32,
    /// The line that says that it is ready.
    pub(crate) line: String,
    /// What it says after that.
    pub(crate) log: PathBuf,
    /// The services end when this is closed.
    _stdin: Option<ChildStdin>,
}

/// CPU time by thread, in nanoseconds.
#[derive(Debug, Default, Clone)]
pub(crate) struct CpuTime(BTreeMap<u32, u64>);

impl CpuTime {
    /// What was used since `before`. Of a thread that has ended since, nothing is known: servers' threads don't.
    pub(crate) fn since(&self, before: &Self) -> Duration {
        let used = |(thread, now): (&u32, &u64)| now.saturating_sub(before.0.get(thread).copied().unwrap_or(0));
        Duration::from_nanos(self.0.iter().map(used).sum())
    }
}

/// Starts this program in another role.
pub(crate) fn role(arguments: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("this program's own path")?);
    command.args(arguments);
    Ok(command)
}

impl Process {
    /// Starts the command and waits for a line on its standard error that contains `ready`. All other lines go to `log`.
    pub(crate) async fn start(mut command: Command, ready: &str, log: &Path) -> anyhow::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
        let pid = child.id().context("a process without an id")?;
        let stdin = child.stdin.take();
        let mut lines = BufReader::new(child.stderr.take().context("standard error")?).lines();
        let mut seen = String::new();
        let line = timeout(PATIENCE, async {
            while let Some(line) = lines.next_line().await? {
                if line.contains(ready) {
                    return Ok(line);
                }
                seen.push_str(&line);
                seen.push('\n');
            }
            bail!("ended before it was ready:\n{seen}")
        });
        let line = line.await.map_err(|_| anyhow!("not ready after {PATIENCE:?}"))??;
        let mut file = fs::File::create(log)?;
        file.write_all(seen.as_bytes())?;
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                // What can't be kept is lost; it only helps to explain.
                let _ = writeln!(file, "{line}");
            }
        });
        Ok(Self { child, pid, line, log: log.to_owned(), _stdin: stdin })
    }

    /// The address after `http://` in the line that said that it is ready.
    pub(crate) fn address(&self, nth: usize) -> anyhow::Result<SocketAddr> {
        let text = self.line.split("http://").nth(nth + 1).and_then(|rest| rest.split([' ', ')']).next());
        text.and_then(|text| text.parse().ok()).with_context(|| format!("no address in {:?}", self.line))
    }

    /// CPU time of all its threads, and of the processes that it has started.
    pub(crate) fn cpu(&self) -> CpuTime {
        let mut threads = BTreeMap::new();
        for pid in self.family() {
            for task in entries(&PathBuf::from(format!("/proc/{pid}/task"))) {
                let Ok(text) = fs::read_to_string(task.join("schedstat")) else { continue };
                let used = text.split(' ').next().and_then(|used| used.parse().ok());
                let thread = task.file_name().and_then(|name| name.to_str()?.parse().ok());
                if let (Some(thread), Some(used)) = (thread, used) {
                    threads.insert(thread, used);
                }
            }
        }
        // Processes that have ended are no threads any more; no thread has this number.
        threads.insert(0, self.ended());
        CpuTime(threads)
    }

    /// CPU time of the processes that it has started and that have ended, in nanoseconds.
    fn ended(&self) -> u64 {
        const NANOS_PER_TICK: u64 = 10_000_000;
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        // The name of the program stands in brackets and may hold spaces. After it: cutime and cstime, the 14th and 15th field.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        fields.skip(13).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * NANOS_PER_TICK
    }

    /// Resident memory now and at its highest, in bytes, over the process and those that it has started.
    pub(crate) fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        for pid in self.family() {
            memory.now += status(pid, "VmRSS:") << 10;
            memory.highest += status(pid, "VmHWM:") << 10;
        }
        memory
    }

    /// What the process alone holds, without those that it has started.
    pub(crate) fn holdings(&self) -> Holdings {
        Holdings {
            memory: status(self.pid, "VmRSS:") << 10,
            files: entries(&PathBuf::from(format!("/proc/{}/fd", self.pid))).len(),
            threads: status(self.pid, "Threads:"),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    fn family(&self) -> Vec<u32> {
        let mut family = vec![self.pid];
        let mut next = 0;
        while let Some(pid) = family.get(next).copied() {
            next += 1;
            for task in entries(&PathBuf::from(format!("/proc/{pid}/task"))) {
                let children = fs::read_to_string(task.join("children")).unwrap_or_default();
                family.extend(children.split(' ').filter_map(|child| child.trim().parse::<u32>().ok()));
            }
        }
        family
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

/// Bytes of resident memory.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) highest: u64,
}

/// Tells a process to read its configuration again.
pub(crate) fn hang_up(pid: u32) -> anyhow::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("a process id")?;
    Ok(kill_process(pid, Signal::HUP)?)
}

/// What a process holds now; memory in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holdings {
    pub(crate) memory: u64,
    pub(crate) files: usize,
    pub(crate) threads: u64,
}

/// A number of a process's status; 0 when it is gone.
fn status(pid: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
}
