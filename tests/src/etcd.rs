//! A real etcd with one member, to be frozen, killed and started again with what it knew.

use crate::{
    program::{self, Program, Restartable},
    tls::Authority,
    wait::until,
};
use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::{io::AsyncWriteExt, process::Command};

/// `etcd` on free ports of 127.0.0.1.
#[derive(Debug)]
pub struct Etcd {
    program: PathBuf,
    ctl: PathBuf,
    address: SocketAddr,
    arguments: Vec<OsString>,
    /// How `etcdctl` reaches it.
    words: Vec<OsString>,
    server: Restartable,
}

/// What kratos writes of an instance.
pub fn kratos(name: &str, address: SocketAddr) -> String {
    format!(
        r#"{{"id":"{address}","name":"{name}","version":"v1","metadata":null,"endpoints":["http://{address}","grpc://{address}"]}}"#
    )
}

impl Etcd {
    /// `None`, loudly, where there is none.
    ///
    /// # Panics
    /// If there is none and `WEFT_REQUIRE_NEIGHBOURS` is 1.
    pub async fn start() -> Option<Self> {
        Self::begin(None).await
    }

    /// As [`Etcd::start`], over TLS: it shows a certificate for `localhost` of this authority, and wants one from whoever asks.
    pub async fn over_tls(authority: &Authority) -> Option<Self> {
        Self::begin(Some(authority)).await
    }

    async fn begin(authority: Option<&Authority>) -> Option<Self> {
        let (program, ctl) = (program::find("etcd")?, program::find("etcdctl")?);
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let (address, peers) = (local(program::free()), local(program::free()));
        let server = Restartable::default();
        let tls = authority.map(|authority| {
            let [certificate, key] = authority.issue(server.folder(), "localhost");
            [authority.write(server.folder(), "ca.pem"), certificate, key]
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (client, peer) = (format!("{scheme}://{address}"), format!("http://{peers}"));
        let data = server.folder().join("data").into_os_string();
        let [data_dir, client_urls, advertised] = ["--data-dir", "--listen-client-urls", "--advertise-client-urls"];
        let [peer_urls, advertised_peers] = ["--listen-peer-urls", "--initial-advertise-peer-urls"];
        let mut arguments: Vec<OsString> = vec![
            data_dir.into(),
            data,
            client_urls.into(),
            client.clone().into(),
            advertised.into(),
            client.into(),
            peer_urls.into(),
            peer.clone().into(),
            advertised_peers.into(),
            peer.clone().into(),
            "--initial-cluster".into(),
            format!("default={peer}").into(),
            "--log-level".into(),
            "error".into(),
        ];
        let mut words: Vec<OsString> = vec!["--endpoints".into()];
        match &tls {
            Some([ca, certificate, key]) => {
                words.push(format!("https://localhost:{}", address.port()).into());
                let files = [
                    ("--trusted-ca-file", "--cacert", ca),
                    ("--cert-file", "--cert", certificate),
                    ("--key-file", "--key", key),
                ];
                for (of_server, of_client, file) in files {
                    arguments.extend([of_server.into(), file.into()]);
                    words.extend([of_client.into(), file.into()]);
                }
                arguments.push("--client-cert-auth".into());
            }
            None => words.push(address.to_string().into()),
        }
        let mut etcd = Self { program, ctl, address, arguments, words, server };
        etcd.run().await;
        Some(etcd)
    }

    /// Starts it (again), and waits until it answers.
    pub async fn run(&mut self) {
        self.server.start(Command::new(&self.program).args(&self.arguments));
        until("etcd to answer", async || self.try_ctl(&["get", "/"]).await).await;
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

    /// Where its files lie: `ca.pem`, `localhost.pem` and `localhost.key` where it speaks TLS.
    pub fn folder(&self) -> &Path {
        self.server.folder()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub async fn put(&self, key: &str, value: &str) {
        self.ctl(&["put", "--", key, value]).await;
    }

    /// Many at a time. Neither keys nor values have white space or quotes in them.
    pub async fn put_all(&self, entries: &[(String, String)]) {
        // As many as etcd takes in one transaction.
        for some in entries.chunks(128) {
            let puts: String = some.iter().map(|(key, value)| format!("put {key} {value}\n")).collect();
            let mut command = self.command(&["txn"]);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
            let mut input = child.stdin.take().unwrap();
            input.write_all(format!("\n{puts}\n\n").as_bytes()).await.unwrap();
            drop(input);
            assert!(child.wait().await.unwrap().success());
        }
    }

    /// A service's instance, as kratos writes it; the key.
    pub async fn register(&self, service: &str, address: SocketAddr) -> String {
        let key = format!("/microservices/{service}/{address}");
        self.put(&key, &kratos(service, address)).await;
        key
    }

    pub async fn delete(&self, key: &str) {
        self.ctl(&["del", key]).await;
    }

    /// The value of a key; empty where there is none.
    pub async fn get(&self, key: &str) -> String {
        self.ctl(&["get", "--print-value-only", key]).await
    }

    /// Keys that begin so.
    pub async fn keys(&self, prefix: &str) -> Vec<String> {
        let text = self.ctl(&["get", "--prefix", "--keys-only", prefix]).await;
        text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// A lease of so many seconds.
    pub async fn lease(&self, seconds: u32) -> String {
        let text = self.ctl(&["lease", "grant", &seconds.to_string()]).await;
        text.split_whitespace().nth(1).unwrap().to_owned()
    }

    /// History before now is kept no longer.
    pub async fn compact(&self) {
        let text = self.ctl(&["get", "/", "--write-out=json"]).await;
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        self.ctl(&["compact", "--physical", &answer["header"]["revision"].to_string()]).await;
    }

    /// What `etcdctl` prints.
    pub async fn ctl(&self, words: &[&str]) -> String {
        until(&format!("etcdctl {words:?}"), async || self.try_ctl(words).await).await
    }

    async fn try_ctl(&self, words: &[&str]) -> Option<String> {
        let output = self.command(words).stdin(Stdio::null()).output().await.unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.ctl);
        command.env("ETCDCTL_API", "3").args(&self.words).arg("--command-timeout=2s");
        command.args(words).kill_on_drop(true);
        command
    }
}
