//! What a process says: read all the time, so that it never waits for a reader, and remembered in part.

use crate::say;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    sync::Notify,
    task::JoinHandle,
};

/// How many lines of a process are remembered.
const LAST_LINES: usize = 20;

/// The last lines of a process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tail(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    lines: Mutex<VecDeque<String>>,
    more: Notify,
}

impl Tail {
    /// Reads to the end. With `echo`, a name, lines are also shown as they come.
    pub(crate) fn follow(
        &self,
        output: impl AsyncRead + Send + Unpin + 'static,
        echo: Option<String>,
    ) -> JoinHandle<()> {
        let tail = self.clone();
        let mut output = BufReader::new(output);
        tokio::spawn(async move {
            let mut bytes = Vec::new();
            // Bytes, not text: a line that is no UTF-8 ends nothing.
            while output.read_until(b'\n', &mut bytes).await.is_ok_and(|read| read > 0) {
                let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                if let Some(name) = &echo {
                    say::overheard(name, &line);
                }
                tail.push(line);
                bytes.clear();
            }
        })
    }

    /// Waits for a line that contains this.
    pub(crate) async fn hears(&self, wanted: &str) {
        loop {
            let more = self.0.more.notified();
            if self.lines().iter().any(|line| line.contains(wanted)) {
                return;
            }
            more.await;
        }
    }

    /// The last line of which this is a part.
    pub(crate) fn line(&self, wanted: &str) -> Option<String> {
        self.lines().iter().rev().find(|line| line.contains(wanted)).cloned()
    }

    pub(crate) fn text(&self) -> String {
        self.lines().iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
    }

    fn push(&self, line: String) {
        let mut lines = self.lines();
        if lines.len() == LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
        drop(lines);
        self.0.more.notify_waiters();
    }

    fn lines(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
