//! A real dnsmasq that knows what a test tells it.

use crate::{
    program::{self, Restartable},
    wait::until,
};
use std::{fmt::Write, fs, net::SocketAddr, path::PathBuf};
use tokio::{net::UdpSocket, process::Command};

/// `dnsmasq` on a free port of 127.0.0.1.
#[derive(Debug)]
pub struct Dnsmasq {
    program: PathBuf,
    address: SocketAddr,
    server: Restartable,
}

impl Dnsmasq {
    /// With these lines of configuration: `host-record=films.test,127.0.0.1`, `srv-host=…`. `None`, loudly, where there is no dnsmasq.
    ///
    /// # Panics
    /// If there is none and `WEFT_REQUIRE_NEIGHBOURS` is 1.
    pub async fn start(lines: &str) -> Option<Self> {
        let program = program::find("dnsmasq")?;
        let address = SocketAddr::from(([127, 0, 0, 1], program::free()));
        let mut dnsmasq = Self { program, address, server: Restartable::default() };
        dnsmasq.restart(lines).await;
        Some(dnsmasq)
    }

    /// What it knows now, and nothing else.
    pub async fn restart(&mut self, lines: &str) {
        self.server.kill().await;
        let mut text = format!("port={}\n", self.address.port());
        text.push_str("listen-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nno-poll\nlocal-ttl=1\n");
        // It would change to another user otherwise, who is not everywhere.
        let user = if rustix::process::getuid().is_root() { "user=root\n" } else { "" };
        let folder = self.server.folder();
        let _ = write!(text, "{user}pid-file={}/pid\n{lines}\n", folder.display());
        let file = folder.join("dnsmasq.conf");
        fs::write(&file, text).unwrap();
        self.server.start(Command::new(&self.program).arg("-k").arg("-C").arg(file));
        until("dnsmasq to answer", async || self.answers().await.ok()).await;
    }

    pub async fn kill(&mut self) {
        self.server.kill().await;
    }

    /// `?server=` of a configuration.
    pub fn server(&self) -> SocketAddr {
        self.address
    }

    async fn answers(&self) -> std::io::Result<()> {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        socket.connect(self.address).await?;
        // Asks for the root's address, of which it knows nothing.
        socket.send(b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\0\0\x01\0\x01").await?;
        let mut answer = [0; 512];
        let answered = tokio::time::timeout(std::time::Duration::from_millis(200), socket.recv(&mut answer)).await;
        answered.map_err(|_| std::io::ErrorKind::TimedOut)?.map(drop)
    }
}
