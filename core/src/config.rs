//! `weft.toml` as a whole: each module reads its own table; here they are put together, and every mistake is found before anything
//! starts.

pub mod memory;

use crate::{
    admin, edge, events, fanout, gateway, identity, plugin, register, release,
    routing::Clients,
    settings::{self, Document, Mistake, Mistakes, Table},
    telemetry, traces,
};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// A configuration without mistakes.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file and the text that it was read from.
    pub file: PathBuf,
    pub text: String,
    pub http: edge::Config,
    pub admin: admin::Config,
    /// `None` without an `[identity]`: then nobody has one.
    pub identity: Option<identity::Config>,
    pub forward: fanout::Forward,
    pub clients: Clients,
    pub plugins: release::Config,
    pub limits: plugin::Config,
    pub fanout: fanout::Config,
    pub streams: gateway::StreamsConfig,
    pub events: events::Config,
    pub telemetry: telemetry::Config,
    /// Where others find this host.
    pub register: Option<register::Config>,
    pub traces: traces::Config,
}

impl Config {
    /// Reads a file. Relative paths in it are relative to its folder.
    pub fn load(file: &Path) -> Result<Self, Vec<Mistake>> {
        Self::parse(file, &settings::text(file).map_err(|mistake| vec![mistake])?)
    }

    /// How the file wants its host to log, as far as it can be read; before anything is known to be wrong with the rest.
    pub fn telemetry(file: &Path) -> telemetry::Config {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let mistakes = Mistakes::new();
        let document = Document::parse(file, &text, &mistakes);
        telemetry::Config::read(&document.table(&mistakes).table("telemetry"))
    }

    /// As [`Config::load`], on a machine that need not have the secrets of the one that will serve; with those that are not there. Nothing
    /// can be started with it.
    pub fn check(file: &Path) -> (Result<Self, Vec<Mistake>>, Vec<Mistake>) {
        let mistakes = Mistakes::without_secrets();
        match settings::text(file) {
            Ok(text) => (Self::parse_with(file, &text, &mistakes), mistakes.away()),
            Err(mistake) => (Err(vec![mistake]), Vec::new()),
        }
    }

    /// As [`Config::load`], with the text given.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Vec<Mistake>> {
        Self::parse_with(file, text, &Mistakes::new())
    }

    fn parse_with(file: &Path, text: &str, mistakes: &Mistakes) -> Result<Self, Vec<Mistake>> {
        let folder = file.parent().unwrap_or(Path::new(""));
        let config = {
            let document = Document::parse(file, text, mistakes);
            let mut config = Self::read(&document.table(mistakes), folder);
            (config.file, config.text) = (file.to_owned(), text.to_owned());
            config
        };
        let found = mistakes.sorted();
        if found.is_empty() { Ok(config) } else { Err(found) }
    }

    fn read(root: &Table<'_>, folder: &Path) -> Self {
        let (identity, admin, telemetry) = (root.table("identity"), root.table("admin"), root.table("telemetry"));
        let limits = plugin::Config::read(&root.table("limits"));
        let http = edge::Config::read(&root.table("http"), folder, limits.response);
        let mut config = Self {
            register: register::Config::read(&root.table("register"), http.listen),
            file: PathBuf::new(),
            text: String::new(),
            http,
            admin: admin::Config::read(&admin, folder),
            identity: identity::Config::read(&identity),
            forward: fanout::Forward::read(&identity.table("forward")),
            clients: Clients::read(root),
            plugins: release::Config::read(&root.table("plugins")),
            limits,
            fanout: fanout::Config::read(root),
            streams: gateway::StreamsConfig::read(&root.table("streams")),
            events: events::Config::read(&root.table("events"), folder),
            telemetry: telemetry::Config::read(&telemetry),
            traces: traces::Config::read(&telemetry.table("trace"), folder),
        };
        if is_same_place(config.http.listen, config.admin.listen) {
            let address = config.http.listen;
            admin.mistake("listen", format!("{address} is `http.listen` as well: give one of the two another port"));
        }
        config.plugins.folder = folder.join(&config.plugins.folder);
        config.plugins.history = config.plugins.history.map(|history| folder.join(history));
        config.plugins.compiling.folder = folder.join(&config.plugins.compiling.folder);
        if let Some(settings) = &mut config.identity {
            settings.resolve(folder, &identity);
            settings.check(&config.forward, &config.fanout.backends, &identity);
        }
        config.register.iter_mut().for_each(|register| register.resolve(folder, root));
        for backend in &mut config.fanout.backends {
            if let Some(fanout::Given { source: fanout::DescriptorSource::File(path), place }) =
                &mut backend.descriptors
            {
                *path = folder.join(&path);
                if let Err(error) = std::fs::metadata(&path) {
                    root.note(place.mistake(format!("{}: {error}", path.display())));
                }
            }
            if let Some(tls) = &mut backend.upstream.tls {
                tls.resolve(folder, root);
            }
            backend.upstream.endpoints.resolve(folder, root);
        }
        config
    }
}

/// Whether only one of two listeners can have its address.
fn is_same_place(one: SocketAddr, other: SocketAddr) -> bool {
    let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (is_any || one.ip() == other.ip())
}

#[cfg(test)]
mod tests;
