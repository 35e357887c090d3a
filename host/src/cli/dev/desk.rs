//! What the host of `weft dev` reads: a private folder with its configuration and the artifact that was built last.

use super::backends::Backends;
use crate::{
    artifact::Artifact,
    cli::{
        Failure, Result,
        private::{Private, client_table, granted},
    },
    config::Config,
    identity,
    model::Digest,
    plugin::ITSELF,
};
use std::net::SocketAddr;

/// The one file of its plugin folder.
const ARTIFACT: &str = "plugins/plugin.wasm";

/// The folder.
#[derive(Debug)]
pub(super) struct Desk {
    folder: Private,
}

impl Desk {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { folder: Private::new("dev")? })
    }

    /// Puts the artifact where the host finds it, by one rename.
    pub(super) fn put(&self, artifact: &Artifact) -> Result {
        Ok(self.folder.write(ARTIFACT, &artifact.bytes)?)
    }

    /// The configuration of a host for this artifact, in which everybody is believed.
    pub(super) fn configure(&self, artifact: &Artifact, backends: &Backends, http: SocketAddr) -> Result<Config> {
        let text = text(artifact, backends, http);
        self.folder.write("weft.toml", text.as_bytes())?;
        let mut config = Config::load(&self.folder.config()).map_err(Failure::Mistakes)?;
        config.identity = Some(identity::Config::anybody());
        config.plugins.compiling.worker = Some(ITSELF.into());
        Ok(config)
    }
}

/// By which a host is known that has to begin anew: of everything but the artifact's code.
pub(super) fn shape(artifact: &Artifact, backends: &Backends) -> Digest {
    let text = text(artifact, backends, SocketAddr::from(([0, 0, 0, 0], 0)));
    let protos = Digest::of(&artifact.descriptors.encode_to_vec());
    Digest::of(format!("{text}{protos}").as_bytes())
}

fn text(artifact: &Artifact, backends: &Backends, http: SocketAddr) -> String {
    let manifest = &artifact.manifest;
    let policies = || manifest.endpoints.iter();
    let own: Vec<_> = policies().collect();
    format!(
        "[http]\nlisten = \"{http}\"\nexplain-scope = \"*\"\ntimeout = \"300s\"\ndrain = \"300s\"\n\
         [admin]\nlisten = \"127.0.0.1:0\"\n\
         [plugins]\nfolder = \"plugins\"\nhistory = \"\"\n{}{}{}",
        granted(policies()),
        client_table(&manifest.client, None, &own, policies(), &[]),
        backends.tables(),
    )
}
