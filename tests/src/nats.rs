//! A real NATS server in a process of its own, to be killed and started again with what it has kept.

use crate::{
    program::{self, Program, Restartable},
    wait::until,
};
use async_nats::{Client, jetstream};
use futures_util::StreamExt;
use std::{net::Ipv4Addr, path::PathBuf};
use tokio::{net::TcpStream, process::Command};

/// `nats-server` with JetStream on a free port, killed when dropped.
#[derive(Debug)]
pub struct Nats {
    program: PathBuf,
    port: u16,
    server: Restartable,
}

impl Nats {
    /// `None`, loudly, where there is no `nats-server`.
    ///
    /// # Panics
    /// If there is none and `WEFT_REQUIRE_NEIGHBOURS` is 1.
    pub async fn start() -> Option<Self> {
        let program = program::find("nats-server")?;
        let mut nats = Self { program, port: program::free(), server: Restartable::default() };
        nats.run().await;
        Some(nats)
    }

    /// Starts it (again), with the streams that it had, and waits until it takes connections.
    pub async fn run(&mut self) {
        let mut command = Command::new(&self.program);
        command.args(["-a", "127.0.0.1", "-p", &self.port.to_string(), "-js", "-sd"]).arg(self.server.folder());
        self.server.start(&mut command);
        until("nats-server to listen", async || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.ok()).await;
    }

    /// Gone when this returns, without a word to anybody.
    pub async fn kill(&mut self) {
        self.server.kill().await;
    }

    /// # Panics
    /// If it was killed.
    pub fn program(&self) -> &Program {
        self.server.program()
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    async fn client(&self) -> Client {
        until("nats-server to answer", async || async_nats::connect(self.url()).await.ok()).await
    }

    /// When it returns the server has it.
    pub async fn publish(&self, subject: &str, payload: &str) {
        let client = self.client().await;
        client.publish(subject.to_owned(), payload.to_owned().into()).await.unwrap();
        // The server works through a connection in order.
        let inbox = client.new_inbox();
        let mut echo = client.subscribe(inbox.clone()).await.unwrap();
        client.publish(inbox, Default::default()).await.unwrap();
        echo.next().await.unwrap();
    }

    /// A stream on files.
    pub async fn stream(&self, name: &str, subject: &str) {
        let context = jetstream::new(self.client().await);
        let (name, subjects) = (name.to_owned(), vec![subject.to_owned()]);
        let config = jetstream::stream::Config { name, subjects, ..Default::default() };
        until("JetStream to make a stream", async || context.create_stream(config.clone()).await.ok()).await;
    }
}
