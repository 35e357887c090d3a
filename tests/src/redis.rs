//! A real Redis in a process of its own, to be killed and started again.

use crate::{
    program,
    wait::{soon, until},
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
};

/// `redis-server` on a free port, killed when dropped.
#[derive(Debug)]
pub struct Redis {
    program: PathBuf,
    folder: TempDir,
    address: SocketAddr,
    /// Where it speaks TLS too, and how.
    tls: Option<(u16, Vec<OsString>)>,
    child: Option<Child>,
}

impl Redis {
    /// `None`, loudly, where there is no `redis-server`.
    ///
    /// # Panics
    /// If there is none and `WEFT_REQUIRE_NEIGHBOURS` is 1.
    pub async fn start() -> Option<Self> {
        Self::begin(None).await
    }

    /// As [`Redis::start`]; beside its plain port it has one with TLS, where it shows this certificate, which is for `127.0.0.1`.
    pub async fn over_tls(certificate: &Path, key: &Path) -> Option<Self> {
        let mut arguments: Vec<OsString> = ["--tls-auth-clients", "no"].map(OsString::from).to_vec();
        for (name, file) in
            [("--tls-cert-file", certificate), ("--tls-key-file", key), ("--tls-ca-cert-file", certificate)]
        {
            arguments.extend([name.into(), file.into()]);
        }
        Self::begin(Some((program::free(), arguments))).await
    }

    async fn begin(tls: Option<(u16, Vec<OsString>)>) -> Option<Self> {
        let program = program::find("redis-server")?;
        let address = SocketAddr::from(([127, 0, 0, 1], program::free()));
        let mut redis = Self { program, folder: tempfile::tempdir().unwrap(), address, tls, child: None };
        redis.run().await;
        Some(redis)
    }

    /// Starts it (again), empty, and waits until it answers.
    pub async fn run(&mut self) {
        let port = self.address.port().to_string();
        let arguments = ["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"];
        let mut command = Command::new(&self.program);
        if let Some((port, arguments)) = &self.tls {
            command.arg("--tls-port").arg(port.to_string()).args(arguments);
        }
        command.args(arguments).arg("--dir").arg(self.folder.path()).stdout(Stdio::null()).kill_on_drop(true);
        self.child = Some(command.spawn().unwrap());
        until("redis-server to answer", async || self.try_command(&["PING"]).await.ok()).await;
    }

    /// It takes what comes, and answers nothing until [`Redis::thaw`].
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.as_ref().and_then(Child::id).and_then(|id| Pid::from_raw(id.try_into().unwrap()));
        kill_process(id.unwrap(), signal).unwrap();
    }

    /// Gone when this returns, without a word to anybody.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.unwrap();
        }
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// # Panics
    /// If it speaks no TLS.
    pub fn tls_url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.tls.as_ref().unwrap().0)
    }

    /// What it answers to a command, as it is on the wire.
    pub async fn command(&self, words: &[&str]) -> String {
        self.try_command(words).await.unwrap()
    }

    /// How many cached entries it holds.
    pub async fn entries(&self) -> usize {
        let keys = self.command(&["KEYS", "weft:e:*"]).await;
        let count = keys.strip_prefix('*').and_then(|rest| rest.split("\r\n").next());
        count.unwrap().parse().unwrap()
    }

    /// On a connection of its own.
    async fn try_command(&self, words: &[&str]) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.address).await?;
        let count = words.len();
        let words: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        // It closes the connection after the second command.
        let request = format!("*{count}\r\n{words}*1\r\n$4\r\nQUIT\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        soon("redis-server to answer", stream.read_to_string(&mut answer)).await?;
        Ok(answer.strip_suffix("+OK\r\n").unwrap_or(&answer).to_owned())
    }
}
