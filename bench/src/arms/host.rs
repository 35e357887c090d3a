//! The host as an arm: its configuration, its folder of plugins.

use super::{Arm, Server, Setting};
use crate::{
    artifacts::{self, set},
    fixture::{self, Fixture},
    process::{self, Process},
    roles::{Backends, Cache, PREFIX},
    tokens,
};
use anyhow::Context;
use bytes::Bytes;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;
use tokio::process::Command;

/// How the plugin of the pages runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isolation {
    Request,
    Reuse,
    /// Natively.
    None,
}

/// Bytes that may be cached.
const MOST_CACHED: u64 = 8 << 30;
/// Lets the bench reload a host's configuration.
pub(crate) const ADMIN_TOKEN: &str = "bench";

/// A host's folder: `weft.toml` and the plugins.
#[derive(Debug)]
pub(crate) struct Host {
    folder: TempDir,
    native: bool,
    /// The program whose host it is; this one where there is none.
    program: Option<PathBuf>,
}

impl Host {
    /// With the pages as its only plugin.
    pub(crate) fn of(fixture: &Fixture, setting: Setting, isolation: Isolation) -> anyhow::Result<Self> {
        let host = Self { native: isolation == Isolation::None, ..Self::empty(fixture.backends, setting, "", None)? };
        host.install("pages.wasm", &pages(&fixture.artifacts.pages, isolation)?)?;
        Ok(host)
    }

    /// The same, run by an earlier build, which keeps its compiled code apart.
    pub(crate) fn before(fixture: &Fixture, setting: Setting, isolation: Isolation) -> anyhow::Result<Self> {
        let program = fixture.baseline.clone().context("no --baseline")?;
        let compiled = fixture::folder("")?.join("compiled-before");
        let host = Self { program: Some(program), ..Self::empty(fixture.backends, setting, "", Some(&compiled))? };
        host.install("pages.wasm", &pages(&fixture.artifacts.pages, isolation)?)?;
        Ok(host)
    }

    /// Without a plugin; `more` stands at the end of `weft.toml`, and compiled code in a folder of its own if there is one.
    pub(crate) fn empty(
        backends: Backends,
        setting: Setting,
        more: &str,
        compiled: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("host-").tempdir_in(fixture::folder("hosts")?)?;
        std::fs::create_dir(folder.path().join("plugins"))?;
        let compiled = compiled.map_or_else(self::compiled, |own| Ok(own.to_owned()))?;
        let secret = folder.path().join("admin-token");
        std::fs::write(&secret, ADMIN_TOKEN)?;
        let text = configuration(backends, setting, more, &compiled, &secret)?;
        std::fs::write(folder.path().join("weft.toml"), text)?;
        Ok(Self { folder, native: false, program: None })
    }

    /// Puts an artifact into service as it should be done: under another name first, then renamed.
    pub(crate) fn install(&self, file: &str, artifact: &Bytes) -> anyhow::Result<()> {
        let part = self.plugins().join(format!(".{file}.part"));
        std::fs::write(&part, artifact)?;
        std::fs::rename(part, self.plugins().join(file))?;
        Ok(())
    }

    /// Takes an artifact out of service.
    pub(crate) fn remove(&self, file: &str) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(self.plugins().join(file))?)
    }

    /// The text of its configuration.
    pub(crate) fn text(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.config())?)
    }

    /// Another configuration, for the next reload.
    pub(crate) fn write(&self, text: &str) -> anyhow::Result<()> {
        let part = self.folder.path().join(".weft.toml.part");
        std::fs::write(&part, text)?;
        Ok(std::fs::rename(part, self.config())?)
    }

    fn plugins(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("weft.toml")
    }
}

/// Where compiled code is kept from one run to the next.
pub(crate) fn compiled() -> anyhow::Result<PathBuf> {
    Ok(fixture::folder("")?.join("compiled"))
}

/// The pages with this isolation.
pub(crate) fn pages(artifact: &Bytes, isolation: Isolation) -> anyhow::Result<Bytes> {
    let word = if isolation == Isolation::Reuse { "reuse" } else { "request" };
    artifacts::stamped(artifact, |manifest| set(manifest, "limits", "isolation", word))
}

pub(crate) async fn start(host: Host, arm: Arm) -> anyhow::Result<Server> {
    let config = host.config().display().to_string();
    let command = if host.native {
        process::role(&["as-unsandboxed", &config])?
    } else if let Some(program) = &host.program {
        let mut command = Command::new(program);
        command.args(["serve", "--config", &config]);
        command
    } else {
        process::role(&["serve", "--config", &config])?
    };
    let log = fixture::folder("logs")?.join(format!("{}.log", arm.name()));
    let process = Process::start(command, "weft serves on http://", &log).await?;
    Ok(Server { arm, address: process.address(0)?, process, host: Some(Arc::new(host)) })
}

fn configuration(
    backends: Backends,
    setting: Setting,
    more: &str,
    compiled: &Path,
    token: &Path,
) -> anyhow::Result<String> {
    let Backends { catalog, people, reviews } = backends;
    let cached = match setting.cache {
        Cache::Off => "",
        Cache::Principal => ", cache = { ttl = \"10m\" }",
        Cache::Public => ", cache = { ttl = \"10m\", scope = \"public\" }",
    };
    let batch = |method: &str, via: &str, key: &str, keys: &str, items: &str, missing: &str| {
        format!(
            "method.{method:?} = {{ batch = {{ via = {via:?}, key = {key:?}, keys = {keys:?}, items = {items:?}, \
             item-key = {key:?}, missing = {missing:?}, max = 100 }}{cached} }}"
        )
    };
    let backend = |name: &str, service: &str, address: std::net::SocketAddr, methods: &[String]| {
        format!(
            "[backend.{name}]\nservices = [{service:?}]\nendpoints = \"static://{address}\"\ntimeout = \"5s\"\n\
             max-reply = \"16MiB\"\n{}\n\n",
            methods.join("\n")
        )
    };
    let mut text = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\nconnections = 20000\n\
         connections-per-ip = 20000\nfirst-bytes = \"5m\"\n\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken = {:?}\n\n\
         [telemetry]\nlog-level = \"warn\"\n\n\
         [identity]\nissuers = [{:?}]\naudience = [{:?}]\nalgorithms = [\"EdDSA\"]\njwks = {:?}\n\n\
         [identity.forward]\nsubject = \"x-md-global-subject\"\n\n\
         [[client]]\nname = \"web\"\nprefix = {PREFIX:?}\n\n[[client]]\nname = \"hostile\"\nprefix = \"/hostile\"\n\n\
         [plugins]\nfolder = \"plugins\"\ncompiled = {:?}\n\n\
         [limits]\ncalls = 30000\n\n[cache]\nmax-bytes = \"{}GiB\"\nmax-entries = {}\n\n",
        format!("file:{}", token.display()),
        tokens::ISSUER,
        tokens::AUDIENCE,
        tokens::jwks(),
        compiled,
        // Far above what the entries take: their number is the bound.
        MOST_CACHED >> 30,
        setting.entries,
    );
    let films = [batch("catalog.v1.Films/GetFilm", "BatchGetFilms", "id", "ids", "films", "fails")];
    text.push_str(&backend("catalog", "catalog.v1.Films", catalog, &films));
    let persons = [batch("people.v1.People/GetPerson", "BatchGetPeople", "id", "ids", "people", "omitted")];
    text.push_str(&backend("people", "people.v1.People", people, &persons));
    let list = format!("method.\"reviews.v1.Reviews/ListReviews\" = {{ safe = true{cached} }}");
    let summaries =
        batch("reviews.v1.Reviews/GetSummary", "BatchGetSummaries", "film_id", "film_ids", "summaries", "omitted");
    text.push_str(&backend("reviews", "reviews.v1.Reviews", reviews, &[list, summaries]));
    text.push_str(more);
    Ok(text)
}
