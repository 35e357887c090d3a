//! A command of `weft` that serves and says so, as a process of its own.

use crate::{
    process::code,
    wait::{soon, until},
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, ChildStdin, Command},
    task::JoinHandle,
};
use weft::sync::lock;

/// Killed when dropped.
#[derive(Debug)]
pub struct Speaker {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reading: [JoinHandle<()>; 2],
}

impl Speaker {
    /// Waits for nothing.
    pub fn begin(program: &Path, folder: &Path, arguments: &[&str], environment: &[(&str, &Path)]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder).envs(environment.iter().copied()).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let reading = [read(child.stdout.take().unwrap(), &lines), read(child.stderr.take().unwrap(), &lines)];
        Self { child, lines, reading }
    }

    /// Where it reads from.
    pub fn input(&mut self) -> &mut ChildStdin {
        self.child.stdin.as_mut().unwrap()
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

    pub fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.try_into().unwrap())).unwrap();
        kill_process(id, signal).unwrap();
    }

    /// Its exit code and all its lines.
    pub async fn end(mut self) -> (i32, Vec<String>) {
        let status = soon("the command to end", self.child.wait()).await.unwrap();
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
