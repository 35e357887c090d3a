//! A real receiver of traces with an interface to ask it: otelite (<https://crates.io/crates/otelite>). It keeps no links.

use crate::{
    program::{self, Program, find, free},
    wait::until,
    web::Web,
};
use serde_json::Value;
use std::net::SocketAddr;
use tokio::process::Command;

/// otelite with an empty store, gone when dropped.
#[derive(Debug)]
pub struct Otelite {
    _program: Program,
    grpc: u16,
    http: u16,
    api: u16,
}

impl Otelite {
    /// `None`, loudly, where there is none (`cargo install otelite --locked --version 0.1.156`).
    pub async fn start() -> Option<Self> {
        let file = find("otelite")?;
        let ports @ [grpc, http, api] = [free(), free(), free()];
        let folder = program::folder();
        let mut command = Command::new(file);
        command.args(["serve", "--addr", &format!("127.0.0.1:{api}"), "--storage-path"]).arg(folder.path());
        command.env("OTELITE_OTLP_GRPC_PORT", grpc.to_string()).env("OTELITE_OTLP_HTTP_PORT", http.to_string());
        command.env("HOME", folder.path());
        let mut program = Program::start(&mut command, folder);
        for port in ports {
            program = program.until_listening(port).await;
        }
        Some(Self { _program: program, grpc, http, api })
    }

    pub fn grpc(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.grpc))
    }

    pub fn http(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.http))
    }

    /// The spans of a trace, once there are so many.
    pub async fn trace(&self, trace: &str, spans: usize) -> Vec<Value> {
        let web = Web::new(SocketAddr::from(([127, 0, 0, 1], self.api)));
        until("a trace in otelite", async || {
            let reply = web.get(&format!("/api/traces/{trace}")).send().await;
            let found = if reply.status == 200 { reply.json()["spans"].as_array().cloned() } else { None };
            found.filter(|found| found.len() >= spans)
        })
        .await
    }
}
