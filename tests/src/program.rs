//! Programs of others that tests start: where they are, where they may listen, and how they are stopped.

use crate::wait::LONGEST;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::BTreeSet,
    fs::File,
    io::Write,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};
use weft::sync::lock;

/// Where Debian has servers, which are not on everybody's PATH.
const ELSEWHERE: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// What is compiled for tests, and not by every run of `.ci/run`: missed only where `WEFT_REQUIRE_NEIGHBOURS` is `all`.
const COMPILED: [&str; 2] = ["otelite", "rnacos"];

/// The program of this name: on the PATH, where Debian has servers, or in `$WEFT_TOOLS/bin`. `None` where there is none, which one loud
/// line says.
///
/// # Panics
/// If there is none and `WEFT_REQUIRE_NEIGHBOURS` is 1.
pub fn find(name: &str) -> Option<PathBuf> {
    let tools = std::env::var_os("WEFT_TOOLS").map(|folder| Path::new(&folder).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(ELSEWHERE.map(PathBuf::from)).chain(tools);
    let found = folders.map(|folder| folder.join(name)).find(|file| file.is_file());
    if found.is_none() {
        missing(name);
    }
    found
}

/// One loud line: this is not there, and what needs it is skipped.
///
/// # Panics
/// If `WEFT_REQUIRE_NEIGHBOURS` is 1.
pub fn missing(name: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let text = format!("{name} is neither on the PATH nor in $WEFT_TOOLS; .ci/run installs it");
    let required = std::env::var("WEFT_REQUIRE_NEIGHBOURS").unwrap_or_default();
    assert!(required != "all" && (required != "1" || COMPILED.contains(&name)), "{text}");
    if lock(&SAID).insert(name.to_owned()) {
        // Not by a macro, which the test harness would keep to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED, NOT TESTED: what needs {name}: {text}");
    }
}

/// A port of 127.0.0.1 that nobody listens at, and that no other test of this process is given. It lies below those that the system hands
/// out, as it is free until the program is there.
pub fn free() -> u16 {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let begin = std::process::id() as usize * 100;
    let port = || u16::try_from(20_000 + (begin + NEXT.fetch_add(1, Relaxed)) % 12_000).unwrap();
    std::iter::repeat_with(port)
        .take(12_000)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .unwrap()
}

/// The text with other ports and paths.
///
/// # Panics
/// If one of those to replace is not in it.
pub fn replaced(text: &str, pairs: &[(&str, &str)]) -> String {
    pairs.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "no {from:?} in {text}");
        text.replace(from, to)
    })
}

/// A program with a folder of its own; both are gone when it is dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    folder: TempDir,
}

/// A folder for a program's files, which it may enter as another user.
pub fn folder() -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

impl Program {
    /// What it says goes to `log` in the folder.
    pub fn start(command: &mut Command, folder: TempDir) -> Self {
        let log = File::options().create(true).append(true).open(folder.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).kill_on_drop(true);
        Self { child: command.spawn().unwrap(), folder }
    }

    /// Until it takes connections at this port.
    ///
    /// # Panics
    /// If it ends, or does not listen in time.
    pub async fn until_listening(mut self, port: u16) -> Self {
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && began.elapsed() < LONGEST, "it does not listen at {port}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// All that it has said.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.path().join("log")).unwrap_or_default()).into_owned()
    }

    /// It takes what comes, and answers nothing until [`Program::thaw`].
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// # Panics
    /// If it has ended.
    pub fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.try_into().unwrap()));
        kill_process(id.unwrap(), signal).unwrap();
    }

    /// Gone when this returns, without a word to anybody; its folder is left.
    pub async fn kill(mut self) -> TempDir {
        self.child.kill().await.unwrap();
        self.folder
    }
}

/// A program that is killed, and started again with what it has kept on disk.
#[derive(Debug)]
pub struct Restartable {
    running: Option<Program>,
    /// While it does not run.
    folder: Option<TempDir>,
}

impl Default for Restartable {
    fn default() -> Self {
        Self { running: None, folder: Some(folder()) }
    }
}

impl Restartable {
    /// # Panics
    /// If it runs already.
    pub fn start(&mut self, command: &mut Command) {
        self.running = Some(Program::start(command, self.folder.take().unwrap()));
    }

    /// Gone when this returns, without a word to anybody.
    pub async fn kill(&mut self) {
        if let Some(program) = self.running.take() {
            self.folder = Some(program.kill().await);
        }
    }

    /// # Panics
    /// If it was killed.
    pub fn program(&self) -> &Program {
        self.running.as_ref().unwrap()
    }

    pub fn folder(&self) -> &Path {
        self.folder.as_ref().map_or_else(|| self.program().folder(), TempDir::path)
    }
}
