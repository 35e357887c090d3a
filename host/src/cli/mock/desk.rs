//! What the host of the mocks reads: a private folder with its configuration and the plugins' stand-ins, gone when it ends.

use super::sources::Plugin;
use crate::{
    cli::{
        Failure, Result,
        private::{Private, client_table, granted},
    },
    mocks::HEADERS,
};
use std::{collections::BTreeSet, fs, net::SocketAddr};

/// The folder.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) folder: Private,
    listen: SocketAddr,
}

impl Desk {
    pub(super) fn new(listen: SocketAddr) -> Result<Self> {
        Ok(Self { folder: Private::new("mock")?, listen })
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
            self.folder.write(&format!("plugins/{name}"), artifact)?;
        }
        let folder = self.folder.path().join("plugins");
        for entry in fs::read_dir(&folder)?.flatten() {
            let is_gone =
                entry.file_name().to_str().is_none_or(|name| name.ends_with(".wasm") && !names.contains(name));
            if is_gone {
                fs::remove_file(entry.path())?;
            }
        }
        self.folder.write("weft.toml", self.configuration(&clients, plugins).as_bytes())?;
        Ok(clients.into_iter().map(str::to_owned).collect())
    }

    fn configuration(&self, clients: &BTreeSet<&str>, plugins: &[Plugin]) -> String {
        let policies = || plugins.iter().flat_map(|plugin| &plugin.manifest.endpoints);
        let mut text = format!(
            "[http]\nlisten = \"{}\"\ntimeout = \"5m\"\nexplain-scope = \"*\"\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n\
             [telemetry]\nlog-level = \"warn,access=info\"\nlog-caller = \"named\"\n\
             [plugins]\nfolder = \"plugins\"\nhistory = \"\"\n{}",
            self.listen,
            granted(policies())
        );
        for client in clients {
            let of_client = plugins.iter().filter(|plugin| plugin.manifest.client == *client);
            let of_client = of_client.flat_map(|plugin| &plugin.manifest.endpoints).collect::<Vec<_>>();
            let prefix = (clients.len() > 1).then(|| format!("/{client}"));
            text += &client_table(client, prefix, &of_client, policies(), &HEADERS);
        }
        text
    }
}
