//! The real command in a process of its own, for signals, exit codes and logs.

use crate::{
    setup::Folder,
    wait::{soon, until},
    web::Web,
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    net::SocketAddr,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    task::JoinHandle,
};
use weft::sync::lock;

/// `weft serve`, killed when dropped.
#[derive(Debug)]
pub struct HostProcess {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reading: JoinHandle<()>,
    pub http: SocketAddr,
    pub admin: SocketAddr,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs the command to its end.
pub async fn run(weft: &Path, arguments: &[&str]) -> Ended {
    run_in(weft, Path::new("."), arguments).await
}

/// As [`run`], in a folder.
pub async fn run_in(weft: &Path, folder: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(weft);
    command.args(arguments).current_dir(folder).kill_on_drop(true);
    ended(&mut command).await
}

/// Runs any command to its end.
pub async fn ended(command: &mut Command) -> Ended {
    let output = command.output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: code(output.status), out: text(&output.stdout), err: text(&output.stderr) }
}

pub(crate) fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(-1)
}

impl HostProcess {
    /// Waits until it serves.
    pub async fn start(weft: &Path, folder: &Folder) -> Self {
        Self::start_with(weft, folder, &[]).await
    }

    /// As [`HostProcess::start`], with more in its environment.
    pub async fn start_with(weft: &Path, folder: &Folder, environment: &[(&str, &Path)]) -> Self {
        let mut command = Command::new(weft);
        command.arg("serve").arg("--config").arg(folder.config()).envs(environment.iter().copied());
        Self::run(command).await
    }

    /// As [`HostProcess::start`], by a command that becomes `weft serve`.
    pub async fn run(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let mut output = BufReader::new(child.stderr.take().unwrap()).lines();
        let kept = lines.clone();
        let reading = tokio::spawn(async move {
            while let Ok(Some(line)) = output.next_line().await {
                lock(&kept).push(line);
            }
        });
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut process = Self { child, lines, reading, http: unknown, admin: unknown };
        let line = process.until_line("weft serves on").await;
        let mut addresses = line.split("://").skip(1);
        let is_over = |c: char| !c.is_ascii_digit() && !".:[]".contains(c);
        let mut next = || addresses.next().and_then(|text| text.split(is_over).next()).unwrap().parse().unwrap();
        (process.http, process.admin) = (next(), next());
        process
    }

    pub fn web(&self) -> Web {
        Web::new(self.http)
    }

    /// Its number among the system's processes.
    ///
    /// # Panics
    /// If it has ended.
    pub fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        lock(&self.lines).clone()
    }

    /// The first line that contains `text`, once there is one.
    ///
    /// # Panics
    /// If the process ends without it.
    pub async fn until_line(&self, text: &str) -> String {
        until(&format!("a line with {text:?}"), async || {
            let has_ended = self.reading.is_finished();
            let found = self.lines().into_iter().find(|line| line.contains(text));
            assert!(found.is_some() || !has_ended, "the process has ended: {:#?}", self.lines());
            found
        })
        .await
    }

    /// From here on [`HostProcess::peak_memory`] counts anew; with what there is now.
    pub fn forget_peak_memory(&self) -> u64 {
        // As in proc(5): resets the peak resident set size.
        std::fs::write(format!("/proc/{}/clear_refs", self.id()), "5").unwrap();
        self.peak_memory()
    }

    /// The most memory that it has had at any time, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() << 10
    }

    pub fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.try_into().unwrap())).unwrap();
        kill_process(id, signal).unwrap();
    }

    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// The exit code and all lines, once it has ended.
    pub async fn end(mut self) -> (i32, Vec<String>) {
        let status = soon("the process to end", self.child.wait()).await.unwrap();
        soon("its last lines", &mut self.reading).await.unwrap();
        (code(status), self.lines())
    }
}
