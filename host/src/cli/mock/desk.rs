//! What the host of the mocks reads: a private folder with its configuration and the plugins' stand-ins, gone when it ends.

use super::sources::Plugin;
use crate::{
    artifact::EndpointPolicy,
    cli::{Failure, Result},
    mocks::HEADERS,
};
use anyhow::Context;
use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder},
    net::SocketAddr,
    os::unix::fs::DirBuilderExt,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

/// What pages send, beside what the manifests ask for.
const USUAL: [&str; 8] = [
    "accept-language",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-none-match",
    "traceparent",
    "x-request-id",
    "x-weft-explain",
];

/// Whether an endpoint stands where the host shows the contract: then it goes first.
fn is_a_page(policy: &EndpointPolicy) -> bool {
    let path = policy.name.template();
    path == "/openapi.json" || path == "/problems" || path.starts_with("/problems/")
}

/// The folder.
#[derive(Debug)]
pub(super) struct Desk {
    folder: PathBuf,
    listen: SocketAddr,
}

impl Drop for Desk {
    fn drop(&mut self) {
        // What can't be removed lies where temporary things lie.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Desk {
    pub(super) fn new(listen: SocketAddr) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let folder = std::env::temp_dir().join(format!("weft-mock-{}-{now}", std::process::id()));
        // Fails where it is there already: nobody else can have made it.
        let private = |folder: &PathBuf| DirBuilder::new().mode(0o700).create(folder);
        private(&folder)
            .and_then(|()| private(&folder.join("plugins")))
            .with_context(|| format!("{} can't be made", folder.display()))?;
        Ok(Self { folder, listen })
    }

    pub(super) fn file(&self) -> PathBuf {
        self.folder.join("weft.toml")
    }

    /// Writes what has changed, and returns the clients that there are.
    pub(super) fn put(&self, plugins: &[Plugin]) -> Result<Vec<String>> {
        let clients: BTreeSet<&str> = plugins.iter().map(|plugin| plugin.manifest.client.as_str()).collect();
        let mut names = BTreeSet::new();
        for Plugin { manifest, artifact, place, .. } in plugins {
            let name = format!("{}.wasm", manifest.name);
            if !names.insert(name.clone()) {
                return Err(Failure::Usage(format!("plugin `{}` is there twice: {}", manifest.name, place.display())));
            }
            self.write(&format!("plugins/{name}"), artifact)?;
        }
        let folder = self.folder.join("plugins");
        for entry in fs::read_dir(&folder)?.flatten() {
            let is_gone =
                entry.file_name().to_str().is_none_or(|name| name.ends_with(".wasm") && !names.contains(name));
            if is_gone {
                fs::remove_file(entry.path())?;
            }
        }
        self.write("weft.toml", self.configuration(&clients, plugins).as_bytes())?;
        Ok(clients.into_iter().map(str::to_owned).collect())
    }

    /// Whole or not at all, and only where it differs.
    fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let file = self.folder.join(name);
        if fs::read(&file).is_ok_and(|before| before == bytes) {
            return Ok(());
        }
        let part = self.folder.join("part");
        let written = fs::write(&part, bytes).and_then(|()| fs::rename(&part, &file));
        written.with_context(|| format!("{} can't be written", file.display()))
    }

    fn configuration(&self, clients: &BTreeSet<&str>, plugins: &[Plugin]) -> String {
        let mut headers: BTreeSet<String> = HEADERS.into_iter().chain(USUAL).map(str::to_owned).collect();
        let mut granted = BTreeSet::new();
        for policy in plugins.iter().flat_map(|plugin| &plugin.manifest.endpoints) {
            headers.extend(policy.headers.iter().map(ToString::to_string));
            granted.extend(policy.response_headers.iter().map(ToString::to_string));
        }
        let granted: Vec<String> = granted.into_iter().collect();
        let mut text = format!(
            "[http]\nlisten = \"{}\"\ntimeout = \"5m\"\nexplain-scope = \"*\"\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n\
             [telemetry]\nlog-level = \"warn,access=info\"\nlog-caller = \"named\"\n\
             [plugins]\nfolder = \"plugins\"\nresponse-headers = {granted:?}\n",
            self.listen
        );
        for client in clients {
            let of_client = plugins.iter().filter(|plugin| plugin.manifest.client == *client);
            let shows = of_client.flat_map(|plugin| &plugin.manifest.endpoints).all(|policy| !is_a_page(policy));
            let prefix = if clients.len() > 1 { format!("prefix = \"/{client}\"\n") } else { String::new() };
            let headers: Vec<&String> = headers.iter().collect();
            text += &format!(
                "[[client]]\nname = {client:?}\n{prefix}openapi = {shows}\ncors = {{ origins = [\"*\"], headers = {headers:?} }}\n"
            );
        }
        text
    }
}
