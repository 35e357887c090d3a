//! The helper process: `weft compile-artifact` reads a component from its standard input and leaves sealed code in a file. It bounds
//! its own memory before it reads anything, works at low priority and dies with its host.

use super::{CompileError, Compiling, write};
use crate::{artifact::Artifact, settings::ByteSize};
use rustix::process::{Resource, Rlimit, Signal, nice, set_parent_process_death_signal, setrlimit};
use std::{
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
/// What a host asks its helper for, which is mostly the host's own program: a program that is another one's helper too has to know all.
pub const HELPER_COMMANDS: [&str; 2] = [COMPILE, READ];
/// Reading takes milliseconds.
const LONGEST_READ: Duration = Duration::from_secs(10);
/// Where this program itself is found, also when its file was replaced since it started.
pub const ITSELF: &str = "/proc/self/exe";
/// What is kept of what the helper says.
const MOST_SAID: u64 = 64 << 10;
const LOW_PRIORITY: i32 = 15;

/// What a helper has to do.
#[derive(Debug, Clone)]
pub struct Order {
    /// What the code is sealed for.
    pub name: String,
    /// The file to write.
    pub out: PathBuf,
    /// Bytes of memory that may be used.
    pub memory: u64,
}

/// The helper's own side: has what comes on standard input compiled.
pub fn work(order: &Order, compile: impl FnOnce(&[u8]) -> Result<Vec<u8>, CompileError>) -> Result<(), CompileError> {
    let here = |source: io::Error| CompileError::Io { path: order.out.clone(), source };
    let component = receive(order.memory).map_err(here)?;
    write(&order.out, &order.name, &compile(&component)?)
}

/// The helper's own side: reads what comes on standard input, as the host will. What is wrong with it is the host's to say; here it matters
/// only that somebody has come through it.
pub fn read(memory: u64) -> Result<(), CompileError> {
    let here = |source: io::Error| CompileError::Io { path: "standard input".into(), source };
    drop(Artifact::parse(receive(memory).map_err(here)?.into()));
    Ok(())
}

/// All that comes on standard input, by a process that is bounded from here on.
fn receive(memory: u64) -> io::Result<Vec<u8>> {
    let limit = |resource, most| setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    set_parent_process_death_signal(Some(Signal::KILL))?;
    limit(Resource::Core, 0)?;
    limit(Resource::Data, memory)?;
    // Where this is not allowed, the helper competes as others do.
    let _ = nice(LOW_PRIORITY);
    let mut received = Vec::new();
    io::stdin().lock().read_to_end(&mut received)?;
    Ok(received)
}

/// The host's side: has the component compiled, or says why that failed.
pub(super) fn compile_apart(
    helper: &Path,
    compiling: &Compiling,
    name: &str,
    out: &Path,
    component: &[u8],
) -> Result<(), CompileError> {
    let mut command = Command::new(helper);
    command.arg(COMPILE).arg("--name").arg(name).arg("--out").arg(out);
    run(command, compiling, compiling.timeout, component)
}

/// The host's side: has the artifact read by a process whose end costs nobody anything.
pub(in super::super) fn read_apart(compiling: &Compiling, artifact: &[u8]) -> Result<(), CompileError> {
    let Some(helper) = &compiling.helper else { return Ok(()) };
    let mut command = Command::new(helper);
    command.arg(READ);
    run(command, compiling, compiling.timeout.min(LONGEST_READ), artifact)
        .map_err(|error| CompileError::Reading(Box::new(error)))
}

fn run(mut command: Command, compiling: &Compiling, timeout: Duration, input: &[u8]) -> Result<(), CompileError> {
    command.arg("--memory").arg(compiling.memory.0.to_string());
    // The host's secrets are in its environment; the helper needs nothing of it.
    command.env_clear().env("RAYON_NUM_THREADS", compiling.at_once().to_string());
    // The allocator reserves a gigabyte ahead. What is only reserved must not count as used, and its complaints are no reasons.
    command.env("MIMALLOC_ARENA_EAGER_COMMIT", "0").env("MIMALLOC_SHOW_ERRORS", "0");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(CompileError::NoHelper)?;
    let said = attend(&mut child, input, timeout);
    let status = child.wait().map_err(CompileError::NoHelper)?;
    match said {
        None => Err(CompileError::TooSlow(timeout)),
        Some(_) if status.success() => Ok(()),
        Some(said) => Err(reason(status, &said, compiling.memory)),
    }
}

/// Feeds the helper and listens to it until it has ended; `None` if it had to be killed.
fn attend(child: &mut Child, component: &[u8], timeout: Duration) -> Option<String> {
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let (done, ended) = mpsc::channel();
    std::thread::scope(|scope| {
        // A helper that stops reading has something to say about it.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(component)));
        scope.spawn(move || {
            let mut said = Vec::new();
            if let Some(mut stderr) = stderr {
                let _ = (&mut stderr).take(MOST_SAID).read_to_end(&mut said);
                let _ = io::copy(&mut stderr, &mut io::sink());
            }
            // Nobody waits any more if the time is over.
            let _ = done.send(String::from_utf8_lossy(&said).into_owned());
        });
        let said = ended.recv_timeout(timeout).ok();
        if said.is_none() {
            // One that has just ended by itself can't be killed, and need not be.
            let _ = child.kill();
        }
        said
    })
}

fn reason(status: ExitStatus, said: &str, memory: ByteSize) -> CompileError {
    let said = said.trim().trim_start_matches("error: ");
    let starved = ["memory allocation of", "Cannot allocate memory", "os error 12", "out of memory"];
    // Killed, and not by us: the kernel was short of memory.
    let was_killed = status.signal() == Some(Signal::KILL.as_raw());
    if was_killed || starved.iter().any(|sign| said.contains(sign)) {
        return CompileError::TooHungry(memory);
    }
    let invalid = CompileError::Invalid(String::new()).to_string();
    match said.strip_prefix(&invalid).filter(|_| status.code() == Some(1)) {
        Some(reason) => CompileError::Invalid(reason.to_owned()),
        None => CompileError::Failed(status, said.lines().last().unwrap_or_default().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// What is said of a helper that does this.
    fn said_of(script: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let helper = folder.path().join("helper");
        std::fs::write(&helper, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o700)).unwrap();
        let compiling = Compiling {
            folder: folder.path().to_owned(),
            helper: Some(helper.clone()),
            memory: ByteSize(64 << 20),
            timeout: Duration::from_secs(2),
        };
        let component = vec![0; 1 << 20];
        compile_apart(&helper, &compiling, "name", Path::new("out"), &component)
            .map_or_else(|e| e.to_string(), |()| "done".into())
    }

    #[test]
    fn failures_carry_their_reason() {
        assert_eq!(said_of("cat > /dev/null"), "done");
        assert_eq!(said_of("exec sleep 1000"), "compiling it took more than 2s (`compile-timeout` in [plugins])");
        let hungry = "compiling it needed more than 64 MiB of memory (`compile-memory` in [plugins])";
        assert_eq!(said_of("echo memory allocation of 8 bytes failed >&2; kill -ABRT $$"), hungry);
        assert_eq!(said_of("kill -KILL $$"), hungry);
        let invalid = "the component can't be compiled: no such thing";
        assert_eq!(said_of(&format!("echo \"error: {invalid}\" >&2; exit 1")), invalid);
        let crash = said_of("echo first >&2; echo boom >&2; exit 101");
        assert!(crash.starts_with("the compiler failed") && crash.ends_with("boom"), "{crash}");
    }

    #[test]
    fn a_helper_gets_nothing_of_the_hosts_environment() {
        assert_eq!(said_of("cat > /dev/null; test -z \"$HOME$CARGO\""), "done");
    }
}
