//! The worker process: `weft compile-artifact` reads a component from its standard input and leaves sealed code in a file. It bounds
//! its own memory before it reads anything, works at low priority and dies with its host. Its answer is one line of JSON on its standard
//! output ([`WorkerAnswer`]); what it writes elsewhere is for people.

use super::{CompileError, Compiling, write};
use crate::{artifact::Artifact, settings::ByteSize};
use rustix::process::{Resource, Rlimit, Signal, nice, set_parent_process_death_signal, setrlimit};
use serde::{Deserialize, Serialize};
use std::{
    error::Error,
    io::{self, Read, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    time::Duration,
};

/// The names of the subcommands.
const COMPILE: &str = "compile-artifact";
const READ: &str = "read-artifact";
/// What a host asks its worker for, which is mostly the host's own program: a program that is another one's worker too has to know all.
pub const WORKER_COMMANDS: [&str; 2] = [COMPILE, READ];
/// Reading takes milliseconds.
const LONGEST_READ: Duration = Duration::from_secs(10);
/// Where this program itself is found, also when its file was replaced since it started.
pub const ITSELF: &str = "/proc/self/exe";
/// What is kept of what the worker says.
const MOST_SAID: u64 = 64 << 10;
const LOW_PRIORITY: i32 = 15;
/// How many times its time a worker may take by the clock.
const PATIENCE: u32 = 10;

/// What a worker has to do.
#[derive(Debug, Clone)]
pub struct Order {
    /// What the code is sealed for.
    pub name: String,
    /// The file to write.
    pub out: PathBuf,
    pub bounds: Bounds,
}

/// What a worker may use. It bounds itself before it reads anything.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of memory.
    pub memory: u64,
    /// Seconds of CPU time, of all its threads together.
    pub cpu: u64,
}

/// What a worker tells its host, if it lives to tell it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum WorkerAnswer {
    Done,
    /// It lies with the component.
    Invalid {
        reason: String,
    },
    OutOfMemory,
    /// It lies with the worker, or with the folder that it writes to.
    Failed {
        reason: String,
    },
}

/// The worker's own side: has what comes on standard input compiled.
pub fn work(order: &Order, compile: impl FnOnce(&[u8]) -> Result<Vec<u8>, CompileError>) -> WorkerAnswer {
    let here = |source: io::Error| CompileError::Io { path: order.out.clone(), source };
    let component = receive(order.bounds).map_err(here);
    let code = component.and_then(|component| compile(&component));
    WorkerAnswer::of(code.and_then(|code| write(&order.out, &order.name, &code)))
}

/// The worker's own side: reads what comes on standard input, as the host will. What is wrong with it is the host's to say; here it matters
/// only that somebody has come through it.
pub fn read(bounds: Bounds) -> WorkerAnswer {
    let here = |source: io::Error| CompileError::Io { path: "standard input".into(), source };
    WorkerAnswer::of(receive(bounds).map_err(here).map(|artifact| drop(Artifact::parse(artifact.into()))))
}

impl WorkerAnswer {
    fn of(result: Result<(), CompileError>) -> Self {
        match result {
            Ok(()) => Self::Done,
            Err(error) if is_out_of_memory(&error) => Self::OutOfMemory,
            Err(CompileError::Invalid(reason)) => Self::Invalid { reason },
            Err(error) => Self::Failed { reason: error.to_string() },
        }
    }

    /// One line.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn is_out_of_memory(error: &CompileError) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::OutOfMemory) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// All that comes on standard input, by a process that is bounded from here on.
fn receive(bounds: Bounds) -> io::Result<Vec<u8>> {
    let limit = |resource, most| setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    set_parent_process_death_signal(Some(Signal::KILL))?;
    limit(Resource::Core, 0)?;
    limit(Resource::Data, bounds.memory)?;
    // At the first of these the system says why it ends the process, at the second it does not.
    setrlimit(Resource::Cpu, Rlimit { current: Some(bounds.cpu), maximum: Some(bounds.cpu + 5) })?;
    // Where this is not allowed, the worker competes as others do.
    let _ = nice(LOW_PRIORITY);
    let mut received = Vec::new();
    io::stdin().lock().read_to_end(&mut received)?;
    Ok(received)
}

/// The host's side: has the component compiled, or says why that failed.
pub(super) fn compile_apart(
    worker: &Path,
    compiling: &Compiling,
    name: &str,
    out: &Path,
    component: &[u8],
) -> Result<(), CompileError> {
    let mut command = Command::new(worker);
    command.arg(COMPILE).arg("--name").arg(name).arg("--out").arg(out);
    run(command, compiling, compiling.timeout, component)
}

/// The host's side: has the artifact read by a process whose end costs nobody anything.
pub(in super::super) fn read_apart(compiling: &Compiling, artifact: &[u8]) -> Result<(), CompileError> {
    let Some(worker) = &compiling.worker else { return Ok(()) };
    let mut command = Command::new(worker);
    command.arg(READ);
    run(command, compiling, compiling.timeout.min(LONGEST_READ), artifact)
        .map_err(|error| CompileError::Reading(Box::new(error)))
}

fn run(mut command: Command, compiling: &Compiling, timeout: Duration, input: &[u8]) -> Result<(), CompileError> {
    command.arg("--memory").arg(compiling.memory.0.to_string());
    // The time of a worker is what it computes: at its low priority a busy host lets it wait for long, which is not the artifact's fault.
    command.arg("--cpu").arg((timeout.as_millis().div_ceil(1000) * compiling.at_once() as u128).to_string());
    // The host's secrets are in its environment; the worker needs nothing of it.
    command.env_clear().env("RAYON_NUM_THREADS", compiling.at_once().to_string());
    // The allocator reserves a gigabyte ahead. What is only reserved must not count as used, and its complaints are no reasons.
    command.env("MIMALLOC_ARENA_EAGER_COMMIT", "0").env("MIMALLOC_SHOW_ERRORS", "0");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(CompileError::NoWorker)?;
    let patience = timeout * PATIENCE;
    let said = attend(&mut child, input, patience);
    let status = child.wait().map_err(CompileError::NoWorker)?;
    match said {
        None => Err(CompileError::Stuck(patience)),
        Some(_) if status.signal() == Some(Signal::XCPU.as_raw()) => Err(CompileError::TooSlow(timeout)),
        Some(said) => said.outcome(status, compiling.memory),
    }
}

/// What a worker has written until its end.
#[derive(Debug, Default)]
struct Said {
    answer: Vec<u8>,
    /// For people.
    errors: Vec<u8>,
}

/// Feeds the worker and listens to it until it has ended; `None` if it had to be killed.
fn attend(child: &mut Child, component: &[u8], timeout: Duration) -> Option<Said> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (done, ended) = mpsc::channel();
    std::thread::scope(|scope| {
        // A worker that stops reading has something to say about it.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(component)));
        scope.spawn(move || {
            let errors = scope.spawn(move || stderr.map(listen));
            let answer = stdout.map(listen).unwrap_or_default();
            let errors = errors.join().ok().flatten().unwrap_or_default();
            // Nobody waits any more if the time is over.
            let _ = done.send(Said { answer, errors });
        });
        let said = ended.recv_timeout(timeout).ok();
        if said.is_none() {
            // One that has just ended by itself can't be killed, and need not be.
            let _ = child.kill();
        }
        said
    })
}

/// All that comes, of which a bounded part is kept.
fn listen(mut from: impl Read) -> Vec<u8> {
    let mut said = Vec::new();
    let _ = (&mut from).take(MOST_SAID).read_to_end(&mut said);
    let _ = io::copy(&mut from, &mut io::sink());
    said
}

impl Said {
    fn outcome(&self, status: ExitStatus, memory: ByteSize) -> Result<(), CompileError> {
        match serde_json::from_slice(&self.answer) {
            Ok(WorkerAnswer::Done) if status.success() => Ok(()),
            Ok(WorkerAnswer::Invalid { reason }) => Err(CompileError::Invalid(reason)),
            Ok(WorkerAnswer::OutOfMemory) => Err(CompileError::TooHungry(memory)),
            Ok(WorkerAnswer::Failed { reason }) => Err(CompileError::Failed(status, reason)),
            // It has not lived to tell. Killed, and not by us: the kernel was short of memory. An allocation over the bound aborts, and so
            // does a stack over its own.
            _ if [Signal::KILL, Signal::ABORT].iter().any(|signal| status.signal() == Some(signal.as_raw())) => {
                Err(CompileError::TooHungry(memory))
            }
            _ => {
                let errors = String::from_utf8_lossy(&self.errors);
                Err(CompileError::Failed(status, errors.trim().lines().last().unwrap_or_default().to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// What is said of a worker that does this.
    fn said_of(script: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let worker = folder.path().join("worker");
        std::fs::write(&worker, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&worker, std::fs::Permissions::from_mode(0o700)).unwrap();
        let compiling = Compiling {
            folder: folder.path().to_owned(),
            worker: Some(worker.clone()),
            memory: ByteSize(64 << 20),
            timeout: Duration::from_millis(200),
        };
        let component = vec![0; 1 << 20];
        compile_apart(&worker, &compiling, "name", Path::new("out"), &component)
            .map_or_else(|e| e.to_string(), |()| "done".into())
    }

    /// A worker that reads all, and then does this.
    fn said_after(script: &str) -> String {
        said_of(&format!("cat > /dev/null; {script}"))
    }

    #[test]
    fn failures_carry_their_reason() {
        let hungry = "compiling it needed more than 64 MiB of memory (`compile-memory` in [plugins])";
        let answer = |answer: WorkerAnswer, code: u8| said_after(&format!("echo '{}'; exit {code}", answer.to_json()));
        let reason = || "no such thing".to_owned();
        assert_eq!(answer(WorkerAnswer::Done, 0), "done");
        assert_eq!(answer(WorkerAnswer::OutOfMemory, 1), hungry);
        assert_eq!(
            answer(WorkerAnswer::Invalid { reason: reason() }, 1),
            "the component can't be compiled: no such thing"
        );
        let failed = answer(WorkerAnswer::Failed { reason: reason() }, 1);
        assert_eq!(failed, "the compiler failed (exit status: 1): no such thing");
        let stuck = "compiling it took more than 2s by the clock, ten times `compile-timeout` in [plugins]";
        assert_eq!(said_of("exec sleep 1000"), stuck);
        let slow = "compiling it took more than 200ms of CPU time (`compile-timeout` in [plugins])";
        assert_eq!(said_of("kill -XCPU $$"), slow);
        assert_eq!(said_of("kill -ABRT $$"), hungry);
        assert_eq!(said_of("kill -KILL $$"), hungry);
        let crash = said_of("echo first >&2; echo boom >&2; exit 101");
        assert!(crash.starts_with("the compiler failed") && crash.ends_with("boom"), "{crash}");
    }

    #[test]
    fn what_is_written_for_people_decides_nothing() {
        let done = WorkerAnswer::Done.to_json();
        assert_eq!(said_after(&format!("echo 'memory allocation of 8 bytes failed' >&2; echo '{done}'")), "done");
        for (script, end) in [
            ("echo 'memory allocation of 8 bytes failed' >&2; exit 1", "failed"),
            ("echo 'the component can\\'t be compiled: x' >&2; exit 1", ""),
            ("echo done; exit 0", ""),
            ("exit 0", ""),
        ] {
            let said = said_after(script);
            assert!(said.starts_with("the compiler failed (exit status: ") && said.ends_with(end), "{script}: {said}");
        }
        let lies = said_after(&format!("echo '{done}'; exit 3"));
        assert!(lies.starts_with("the compiler failed (exit status: 3)"), "{lies}");
    }

    #[test]
    fn what_the_system_has_no_memory_for_is_told_as_such() {
        let full = io::Error::from(io::ErrorKind::OutOfMemory);
        assert_eq!(
            WorkerAnswer::of(Err(CompileError::Io { path: "out".into(), source: full })),
            WorkerAnswer::OutOfMemory
        );
        let invalid = WorkerAnswer::of(Err(CompileError::Invalid("\"x\"\ny".to_owned())));
        assert_eq!(invalid.to_json().lines().count(), 1);
        assert_eq!(serde_json::from_str::<WorkerAnswer>(&invalid.to_json()).unwrap(), invalid);
    }

    #[test]
    fn a_worker_gets_nothing_of_the_hosts_environment() {
        let done = WorkerAnswer::Done.to_json();
        assert_eq!(said_after(&format!("test -z \"$HOME$CARGO\" && echo '{done}'")), "done");
    }
}
