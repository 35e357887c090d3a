//! A real server that speaks as Nacos 2 does: rnacos (<https://crates.io/crates/rnacos>). It is not the Java server.

use crate::{
    program::{self, Program, Restartable, free},
    wait::until,
    web::Web,
};
use serde_json::Value;
use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    time::Duration,
};
use tokio::process::Command;

/// Who may ask a server that wants to know.
pub const USER: &str = "weft";
pub const PASSWORD: &str = "p&ss w=rd";

/// `rnacos` on free ports of 127.0.0.1. What was registered by HTTP is healthy for an hour.
#[derive(Debug)]
pub struct Nacos {
    program: PathBuf,
    http: u16,
    environment: Vec<(String, String)>,
    server: Restartable,
}

impl Nacos {
    /// `None`, loudly, where there is none (`cargo install rnacos --locked --version 0.8.8`).
    pub async fn start() -> Option<Self> {
        Self::begin(&[]).await
    }

    /// As [`Nacos::start`], with a login, and tokens that hold for so many seconds.
    pub async fn guarded(seconds: u32) -> Option<Self> {
        let seconds = seconds.to_string();
        let more = [
            ("RNACOS_ENABLE_OPEN_API_AUTH", "true"),
            ("RNACOS_INIT_ADMIN_USERNAME", USER),
            ("RNACOS_INIT_ADMIN_PASSWORD", PASSWORD),
            ("RNACOS_API_LOGIN_TIMEOUT", &seconds),
            ("RNACOS_API_LOGIN_ONE_MINUTE_LIMIT", "10000"),
        ];
        Self::begin(&more).await
    }

    async fn begin(more: &[(&str, &str)]) -> Option<Self> {
        let program = program::find("rnacos")?;
        // All clients look for gRPC at 1000 above; the console is as far above that.
        let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        let http = std::iter::repeat_with(free).find(|port| is_free(port + 1000) && is_free(port + 2000))?;
        let server = Restartable::default();
        let data = server.folder().to_str()?.to_owned();
        let (own, grpc, console) = (http.to_string(), (http + 1000).to_string(), (http + 2000).to_string());
        let raft = format!("127.0.0.1:{grpc}");
        let mut environment = vec![
            ("RNACOS_SDK_HOST", "127.0.0.1"),
            ("RNACOS_CONSOLE_HOST", "127.0.0.1"),
            ("RNACOS_HTTP_PORT", &own),
            ("RNACOS_GRPC_PORT", &grpc),
            ("RNACOS_HTTP_CONSOLE_PORT", &console),
            ("RNACOS_RAFT_NODE_ADDR", &raft),
            ("RNACOS_DATA_DIR", &data),
            ("RNACOS_CONFIG_DB_DIR", &data),
            ("RNACOS_NAMING_HEALTH_TIMEOUT_SECOND", "3600"),
            ("RNACOS_NAMING_INSTANCE_TIMEOUT_SECOND", "7200"),
            ("RUST_LOG", "info"),
            ("HOME", &data),
        ];
        environment.extend(more);
        let environment = environment.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let mut nacos = Self { program, http, environment, server };
        nacos.run().await;
        Some(nacos)
    }

    /// Starts it (again), and waits until it answers. It has forgotten all instances.
    ///
    /// Its first user it makes at two moments after its start alone: where it was not ready by then, as on a busy machine, it has none
    /// until it is started again.
    pub async fn run(&mut self) {
        for _ in 0..5 {
            let mut command = Command::new(&self.program);
            command.current_dir(self.server.folder()).env_clear();
            command.envs(self.environment.iter().map(|(key, value)| (key, value)));
            self.server.start(&mut command);
            until("nacos to answer", async || {
                let asked = self.web().get("/nacos/v1/ns/instance/list?serviceName=none").try_send().await.ok();
                let grpc = tokio::net::TcpStream::connect(self.grpc()).await.is_ok();
                asked.filter(|reply| grpc && [200, 403].contains(&reply.status))
            })
            .await;
            if tokio::time::timeout(Duration::from_secs(30), self.token()).await.is_ok() {
                return;
            }
            self.kill().await;
        }
        panic!("nacos has made no user at five starts");
    }

    /// # Panics
    /// If it was killed.
    pub fn program(&self) -> &Program {
        self.server.program()
    }

    /// Gone when this returns, without a word to anybody.
    pub async fn kill(&mut self) {
        self.server.kill().await;
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.http))
    }

    pub fn grpc(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.http + 1000))
    }

    /// An instance of a service, with more fields of a query (`&weight=3`).
    pub async fn put(&self, service: &str, address: SocketAddr, more: &str) {
        let (ip, port) = (address.ip(), address.port());
        self.put_at(service, &format!("ip={ip}&port={port}"), more).await;
    }

    /// As [`Nacos::put`], at whatever is said to be an address.
    pub async fn put_at(&self, service: &str, place: &str, more: &str) {
        self.change("POST", service, &format!("{place}{more}")).await;
    }

    pub async fn delete(&self, service: &str, address: SocketAddr, more: &str) {
        self.change("DELETE", service, &format!("ip={}&port={}{more}", address.ip(), address.port())).await;
    }

    async fn change(&self, method: &str, service: &str, fields: &str) {
        let path = format!("/nacos/v1/ns/instance?serviceName={service}&{fields}{}", self.token().await);
        self.web().request(method, &path).send().await.ok();
    }

    /// The instances of a service, whether they are healthy or not.
    pub async fn instances(&self, service: &str) -> Vec<Value> {
        let path = format!("/nacos/v1/ns/instance/list?serviceName={service}&healthyOnly=false{}", self.token().await);
        self.web().get(&path).send().await.ok().json()["hosts"].as_array().unwrap().clone()
    }

    async fn token(&self) -> String {
        if !self.environment.iter().any(|(key, _)| key == "RNACOS_ENABLE_OPEN_API_AUTH") {
            return String::new();
        }
        let login = "/nacos/v1/auth/login?username=weft&password=p%26ss%20w%3Drd";
        until("a login at nacos", async || {
            let reply = self.web().post(login).try_send().await.ok().filter(|reply| reply.status == 200)?;
            Some(format!("&accessToken={}", reply.json()["accessToken"].as_str()?))
        })
        .await
    }

    fn web(&self) -> Web {
        Web::new(self.address())
    }
}
