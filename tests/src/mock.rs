//! `weft mock` as a process of its own, at a free port.

use crate::{speaker::Speaker, web::Web};
use rustix::process::Signal;
use std::{net::SocketAddr, ops::Deref, path::Path};

/// Killed when dropped.
#[derive(Debug)]
pub struct MockProcess {
    speaker: Speaker,
    pub http: SocketAddr,
}

impl Deref for MockProcess {
    type Target = Speaker;

    fn deref(&self) -> &Speaker {
        &self.speaker
    }
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
        let arguments = [&["mock"], arguments, &["--listen", "127.0.0.1:0"]].concat();
        let speaker = Speaker::begin(weft, folder, &arguments, environment);
        Self { speaker, http: SocketAddr::from(([127, 0, 0, 1], 0)) }
    }

    pub fn web(&self) -> Web {
        Web::new(self.http)
    }

    /// As Ctrl-C does; its exit code and all its lines.
    pub async fn interrupt(self) -> (i32, Vec<String>) {
        self.speaker.signal(Signal::INT);
        self.speaker.end().await
    }
}
