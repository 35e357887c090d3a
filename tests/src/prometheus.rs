//! A real Prometheus in a process of its own, and its `promtool`.

use crate::{
    process::{Ended, ended},
    program::{self, Program},
    wait::until,
    web::Web,
};
use serde_json::Value;
use std::{net::SocketAddr, path::Path, process::Stdio};
use tokio::{io::AsyncWriteExt, process::Command};

/// Killed when dropped.
#[derive(Debug)]
pub struct Prometheus {
    _program: Program,
    web: Web,
}

impl Prometheus {
    /// With this configuration, in this folder of files that it names, once it is ready. `None`, loudly, where there is no `prometheus`.
    pub async fn start(config: &str, files: &[&Path]) -> Option<Self> {
        let prometheus = program::find("prometheus")?;
        let (folder, port) = (program::folder(), program::free());
        let file = folder.path().join("prometheus.yaml");
        std::fs::write(&file, config).unwrap();
        for file in files {
            std::fs::copy(file, folder.path().join(file.file_name().unwrap())).unwrap();
        }
        let mut command = Command::new(prometheus);
        let flag = |name: &str, value: &Path| format!("--{name}={}", value.display());
        command.arg(flag("config.file", &file)).arg(flag("storage.tsdb.path", &folder.path().join("data")));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--enable-feature=exemplar-storage");
        let program = Program::start(&mut command, folder).until_listening(port).await;
        let web = Web::new(SocketAddr::from(([127, 0, 0, 1], port)));
        until("Prometheus to be ready", async || (web.get("/-/ready").send().await.status == 200).then_some(())).await;
        Some(Self { _program: program, web })
    }

    /// What its API says, under `data`.
    pub async fn get(&self, path: &str) -> Value {
        self.web.get(&format!("/api/v1/{path}")).send().await.ok().json()["data"].take()
    }

    /// The value of a query that has one series; none while it has none.
    pub async fn value(&self, query: &str) -> Option<f64> {
        let found = self.get(&format!("query?query={}", escaped(query))).await;
        found["result"][0]["value"][1].as_str()?.parse().ok()
    }

    /// The exemplars of a query's series in the last hour.
    pub async fn exemplars(&self, query: &str) -> Vec<Value> {
        let now = crate::tokens::now();
        let path = format!("query_exemplars?query={}&start={}&end={}", escaped(query), now - 3600, now + 3600);
        let series = self.get(&path).await;
        let series = series.as_array().cloned().unwrap_or_default();
        series.into_iter().flat_map(|mut series| series["exemplars"].take().as_array().cloned().unwrap()).collect()
    }
}

/// For a query string.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Runs `promtool` with `input`. `None`, loudly, where there is none.
pub async fn promtool(arguments: &[&str], folder: &Path, input: &str) -> Option<Ended> {
    let mut command = Command::new(program::find("promtool")?);
    command.args(arguments).current_dir(folder).kill_on_drop(true);
    if input.is_empty() {
        return Some(ended(&mut command).await);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(Ended { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) })
}
