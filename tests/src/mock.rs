//! `weft mock` as a process of its own, at a free port.

use crate::{
    process::code,
    wait::{soon, until},
    web::Web,
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    task::JoinHandle,
};
use weft::sync::lock;

/// Killed when dropped.
#[derive(Debug)]
pub struct MockProcess {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reading: [JoinHandle<()>; 2],
    pub http: SocketAddr,
}

impl MockProcess {
    /// Waits until it answers; these arguments, in this folder.
    pub async fn start(weft: &Path, folder: &Path, arguments: &[&str]) -> Self {
        Self::start_with(weft, folder, arguments, &[]).await
    }

    /// The same, with more of an environment.
    pub async fn start_with(weft: &Path, folder: &Path, arguments: &[&str], environment: &[(&str, &Path)]) -> Self {
        let mut process = Self::begin(weft, folder, arguments, environment);
        let line = process.until_line("weft mock answers for").await;
        let address = line.split("http://").nth(1).and_then(|rest| rest.split_once(". ")).unwrap().0;
        process.http = address.parse().unwrap();
        process
    }

    /// Waits for nothing.
    pub fn begin(weft: &Path, folder: &Path, arguments: &[&str], environment: &[(&str, &Path)]) -> Self {
        let mut command = Command::new(weft);
        command.arg("mock").args(arguments).args(["--listen", "127.0.0.1:0"]).current_dir(folder);
        command.envs(environment.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let reading = [read(child.stdout.take().unwrap(), &lines), read(child.stderr.take().unwrap(), &lines)];
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { child, lines, reading, http: unknown }
    }

    pub fn web(&self) -> Web {
        Web::new(self.http)
    }

    /// All lines so far, of both outputs.
    pub fn lines(&self) -> Vec<String> {
        lock(&self.lines).clone()
    }

    /// The first line that contains `text`, once there is one.
    ///
    /// # Panics
    /// If the process ends without it.
    pub async fn until_line(&self, text: &str) -> String {
        until(&format!("a line with {text:?}"), async || {
            let has_ended = self.reading.iter().all(JoinHandle::is_finished);
            let found = self.lines().into_iter().find(|line| line.contains(text));
            assert!(found.is_some() || !has_ended, "the process has ended: {:#?}", self.lines());
            found
        })
        .await
    }

    /// As Ctrl-C does; its exit code and all its lines.
    pub async fn interrupt(mut self) -> (i32, Vec<String>) {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.try_into().unwrap())).unwrap();
        kill_process(id, Signal::INT).unwrap();
        let status = soon("the mock to end", self.child.wait()).await.unwrap();
        for reading in &mut self.reading {
            soon("its last lines", reading).await.unwrap();
        }
        (code(status), self.lines())
    }
}

fn read(output: impl AsyncRead + Send + Unpin + 'static, lines: &Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    let (mut output, kept) = (BufReader::new(output).lines(), lines.clone());
    tokio::spawn(async move {
        while let Ok(Some(line)) = output.next_line().await {
            lock(&kept).push(line);
        }
    })
}
