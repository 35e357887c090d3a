//! The processes that the demo started: which of them died, and how all of them are stopped.

use crate::{progress, say, signals::Signals, tail::Tail};
use anyhow::{Context, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    process::{Child, Command},
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};

/// How long a process may take to stop before it is killed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one may take that is ended while others go on: it is allowed to finish its work.
const LONGEST_END: Duration = Duration::from_secs(60);
/// How often is looked whether all are alive.
const LOOK: Duration = Duration::from_millis(100);

/// What somebody without a network is told.
const OFFLINE: &str =
    "crates could not be downloaded: the first build needs the network (or, before, `cargo fetch` where there is one)";

/// What a process is to the demo. They are stopped in the order of [`Role::ALL`]: who asks before who answers, and last whom all need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Tool,
    Gateway,
    Host,
    Service,
    Neighbour,
}

impl Role {
    const ALL: [Self; 5] = [Self::Tool, Self::Gateway, Self::Host, Self::Service, Self::Neighbour];
}

/// All processes. Each leads a process group of its own, so that a Ctrl-C at the terminal reaches the demo alone, and the order
/// of stopping is the demo's; and so that what a tool has started is stopped with it.
#[derive(Debug, Default)]
pub(crate) struct Crew {
    members: Vec<Member>,
    folder: Option<Folder>,
}

/// Gone with all that is in it when dropped.
#[derive(Debug)]
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What can't be removed is left to the system, in whose folder for temporary files it lies.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug)]
struct Member {
    name: String,
    role: Role,
    child: Child,
    group: Option<Pid>,
    tail: Tail,
    readers: Vec<JoinHandle<()>>,
}

impl Crew {
    /// Runs a tool to its end. It prints for itself.
    pub(crate) async fn run(&mut self, name: &str, command: Command) -> anyhow::Result<()> {
        // The last member until it is taken out again: while a tool runs, nothing else is started.
        let status = self.start(name, Role::Tool, command)?.child.wait().await;
        self.members.pop();
        succeeded(name, status)
    }

    /// As [`Crew::run`], for cargo and what runs it: how far it is is shown.
    pub(crate) async fn build(&mut self, name: &str, mut command: Command) -> anyhow::Result<()> {
        progress::ask(&mut command);
        command.stderr(Stdio::piped());
        let child = &mut self.start(name, Role::Tool, command)?.child;
        let told = child.stderr.take();
        let told = async {
            match told {
                Some(told) => progress::follow(told).await,
                None => false,
            }
        };
        let (status, unreachable) = tokio::join!(child.wait(), told);
        self.members.pop();
        succeeded(name, status).map_err(|error| if unreachable { error.context(OFFLINE) } else { error })
    }

    /// Starts a process that stays, and returns what it says. `echo`: its lines are shown as they come.
    pub(crate) fn stay(&mut self, name: &str, role: Role, mut command: Command, echo: bool) -> anyhow::Result<Tail> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let member = self.start(name, role, command)?;
        let echo = echo.then(|| name.to_owned());
        if let Some(output) = member.child.stdout.take() {
            member.readers.push(member.tail.follow(output, echo.clone()));
        }
        if let Some(output) = member.child.stderr.take() {
            member.readers.push(member.tail.follow(output, echo));
        }
        Ok(member.tail.clone())
    }

    fn start(&mut self, name: &str, role: Role, mut command: Command) -> anyhow::Result<&mut Member> {
        let program = command.as_std().get_program().to_owned();
        let child = command.process_group(0).kill_on_drop(true).spawn();
        let child =
            child.with_context(|| format!("{} can't be run; is it installed, and in PATH?", program.display()))?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let (name, tail, readers) = (name.to_owned(), Tail::default(), Vec::new());
        self.members.push(Member { name, role, child, group, tail, readers });
        self.members.last_mut().context("the process just started is missing")
    }

    /// Waits for the first process that ends; tells its last lines.
    pub(crate) async fn first_death(&mut self) -> anyhow::Error {
        loop {
            for member in &mut self.members {
                if let Ok(Some(status)) = member.child.try_wait() {
                    return member.obituary(status).await;
                }
            }
            sleep(LOOK).await;
        }
    }

    /// Ends one process of this name, which has to go by itself with exit code 0; what it has said.
    pub(crate) async fn end(&mut self, name: &str) -> anyhow::Result<Tail> {
        let place = self.members.iter().position(|member| member.name == name);
        let mut member = self.members.remove(place.with_context(|| format!("there is no {name}"))?);
        member.signal(Signal::TERM);
        let status = timeout(LONGEST_END, member.child.wait()).await;
        let status =
            status.map_err(|_| anyhow!("{name} does not stop within {LONGEST_END:?}:\n{}", member.tail.text()))?;
        for reader in member.readers.drain(..) {
            let _ = timeout(PATIENCE, reader).await;
        }
        succeeded(name, status).with_context(|| format!("it said last:\n{}", member.tail.text()))?;
        Ok(member.tail)
    }

    /// A folder for what processes write, gone once all are stopped.
    pub(crate) fn folder(&mut self) -> anyhow::Result<&Path> {
        if self.folder.is_none() {
            let path = env::temp_dir().join(format!("weft-demo-{}", std::process::id()));
            fs::create_dir(&path).with_context(|| format!("{} can't be made", path.display()))?;
            self.folder = Some(Folder(path));
        }
        self.folder.as_ref().map(|folder| folder.0.as_path()).context("the folder just made is missing")
    }

    /// Stops all: tools, gateways, hosts, services, then their neighbours. Who doesn't go within ten seconds, or before a second signal, is killed.
    pub(crate) async fn stop(&mut self, signals: &mut Signals) {
        for role in Role::ALL {
            // Who has ended, and was told of, has no id any more.
            let alive = |member: &&mut Member| member.role == role && member.child.id().is_some();
            let mut members: Vec<_> = self.members.iter_mut().filter(alive).collect();
            members.iter().for_each(|member| member.signal(Signal::TERM));
            let mut until = Instant::now() + PATIENCE;
            for member in &mut members {
                let gone = tokio::select! {
                    () = member.end() => true,
                    () = sleep_until(until) => false,
                    _ = signals.next() => false,
                };
                if gone {
                    say::detail(&say::dim(format!("{} stopped", member.name)));
                } else {
                    until = Instant::now();
                    say::detail(&format!("{} does not stop and is killed", member.name));
                    member.signal(Signal::KILL);
                    let _ = timeout(PATIENCE, member.end()).await;
                }
            }
        }
        self.members.clear();
        self.folder = None;
    }
}

impl Member {
    /// To the process and what it has started. It is called only while the process, or one that it started, is there; so long nobody
    /// else gets the group's number.
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // Gone already is what is wanted.
            let _ = kill_process_group(group, signal);
        }
    }

    /// Waits until the process has ended, and all that it started.
    async fn end(&mut self) {
        let _ = self.child.wait().await;
        while self.group.is_some_and(|group| test_kill_process_group(group).is_ok()) {
            sleep(LOOK / 10).await;
        }
        self.group = None;
    }

    async fn obituary(&mut self, status: ExitStatus) -> anyhow::Error {
        // Its last words may still be on their way.
        for reader in self.readers.drain(..) {
            let _ = timeout(Duration::from_millis(500), reader).await;
        }
        let said = self.tail.text();
        let said = if said.is_empty() { "it said nothing".to_owned() } else { format!("it said last:\n{said}") };
        anyhow!("the {} ended by itself with {}; {said}", self.name, describe(status))
    }
}

fn succeeded(name: &str, status: std::io::Result<ExitStatus>) -> anyhow::Result<()> {
    let status = status.with_context(|| format!("{name} can't be waited for"))?;
    if !status.success() {
        bail!("{name} ended with {}", describe(status));
    }
    Ok(())
}

/// `exit code 1`, `signal 9`.
fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}
