//! `weft openapi`.

use super::{Failure, Result, admin::Access, document, print, tell};
use crate::{
    artifact::{Artifact, Manifest},
    config::Config,
    mocks::Source,
    openapi::{self, Part, Surface, Told},
    release::{Claimant, Contender, Held, arrange},
};
use anyhow::Context;
use std::path::{Path, PathBuf};

/// Print what a client may ask and what it gets: an OpenAPI 3.1 document
///
/// The same artifacts and configuration give the same bytes, so that the document can stand in a repository. It is made of a configuration
/// and its plugin folder (with weft.toml, as a host would serve them), of artifacts alone, or asked of a running host.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The client; may be left out where there is one only
    #[arg(long)]
    client: Option<String>,
    /// Artifacts of the client, or folders with a contract and no code yet, instead of a configuration's folder
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "admin")]
    artifact: Vec<PathBuf>,
    /// The configuration, whose prefixes, hosts and rates the document names [default: weft.toml, unless --artifact is given]
    #[arg(long, conflicts_with = "admin")]
    config: Option<PathBuf>,
    /// Ask a running host, by the address of its admin interface
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// A file with a token of its [admin]; without it the environment's WEFT_ADMIN_TOKEN
    #[arg(long, value_name = "FILE", requires = "admin")]
    token_file: Option<PathBuf>,
    /// PEM file of the authority that has signed its certificate, where it is none of the system's
    #[arg(long, value_name = "FILE", requires = "admin")]
    ca: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result {
    if let Some(admin) = &arguments.admin {
        let access = Access::of(admin, arguments.token_file.clone(), arguments.ca.clone());
        let text = document::asked(&access, arguments.client.as_deref())?;
        print(String::from_utf8_lossy(&text).trim_end());
        return Ok(());
    }
    let config = match (&arguments.config, arguments.artifact.is_empty()) {
        (None, false) => None,
        (file, _) => {
            let file = file.as_deref().unwrap_or(Path::new("weft.toml"));
            // Secrets are none of a document's business.
            Some(Config::check(file).0.map_err(Failure::Mistakes)?)
        }
    };
    let plugins = match (&config, arguments.artifact.is_empty()) {
        (Some(config), true) => served(config)?.into_iter().map(Described::from).collect(),
        _ => arguments.artifact.iter().map(|place| described(place)).collect::<Result<Vec<_>>>()?,
    };
    let client = which(arguments.client.as_deref(), &plugins, config.as_ref())?;
    let surface = match &config {
        Some(config) => config.clients.named(&client).map(crate::routing::Client::surface).ok_or_else(|| {
            let known = config.clients.names().join(", ");
            Failure::Usage(format!("the configuration has no client `{client}`; it has: {known}"))
        })?,
        None => Surface::named(&client),
    };
    let mine: Vec<_> = plugins.iter().filter(|plugin| plugin.manifest.client == client).map(Described::part).collect();
    if let Some(other) = plugins.iter().find(|plugin| plugin.manifest.client != client && config.is_none()) {
        let (name, its) = (&other.manifest.name, &other.manifest.client);
        tell(&format!("note: left out: plugin `{name}` is for client `{its}`"));
    }
    if mine.is_empty() {
        tell(&format!("note: no plugin is for client `{client}`: the document has no endpoints"));
    }
    let document = openapi::document(&surface, mine).with_context(|| format!("client `{client}`"))?;
    print(openapi::text(&document).trim_end());
    Ok(())
}

/// What a document is made of: of a plugin, or of what stands for one before there is code.
struct Described {
    manifest: Manifest,
    told: Told,
}

impl From<Artifact> for Described {
    fn from(artifact: Artifact) -> Self {
        let told = Told::of(&artifact);
        Self { manifest: artifact.manifest, told }
    }
}

impl Described {
    fn part(&self) -> Part<'_> {
        let Manifest { name, version, endpoints, .. } = &self.manifest;
        Part { plugin: name, version, endpoints, told: &self.told }
    }
}

fn described(place: &Path) -> Result<Described> {
    if !place.is_dir() {
        return Ok(read(place)?.into());
    }
    if Source::has_code(place) {
        let at = place.display();
        let text =
            format!("{at} has code, which says what its endpoints are: `weft build {at}`, and give the artifact");
        return Err(Failure::Usage(text));
    }
    let Source { manifest, schema, files: mocks, .. } = Source::read(place, None).map_err(Failure::Mistakes)?;
    let of_service = |(service, methods): (&String, &Vec<String>)| {
        methods.iter().map(|method| (format!("{service}/{method}"), false)).collect::<Vec<_>>()
    };
    let methods = manifest.calls.iter().flat_map(of_service).collect();
    Ok(Described { manifest, told: Told { schema, mocks, methods } })
}

fn read(file: &Path) -> anyhow::Result<Artifact> {
    let at = file.display();
    let bytes = std::fs::read(file).with_context(|| format!("{at} can't be read"))?;
    Artifact::parse(bytes.into()).with_context(|| format!("{at} is no artifact"))
}

/// Those of a configuration's folder that a host would serve. What it would refuse is told, and left out.
fn served(config: &Config) -> anyhow::Result<Vec<Artifact>> {
    let folder = &config.plugins.folder;
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("the plugin folder {} can't be read", folder.display()))?;
    let is_hidden = |path: &Path| path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    let paths = entries.flatten().map(|entry| entry.path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|e| e == "wasm") && !is_hidden(path)).collect();
    paths.sort();
    let mut artifacts = Vec::new();
    for path in paths {
        match read(&path) {
            Ok(artifact) => artifacts.push((path, artifact)),
            Err(error) => tell(&format!("note: left out: {error:#}")),
        }
    }
    let contenders: Vec<_> =
        artifacts.iter().map(|(file, artifact)| Contender::from(Claimant { file, artifact })).collect();
    let arranged = arrange(&contenders, &Held::default());
    for (at, reasons) in &arranged.refused {
        let Some((file, _)) = artifacts.get(*at) else { continue };
        reasons.iter().for_each(|reason| tell(&format!("note: left out: {}: {reason}", file.display())));
    }
    let artifacts = artifacts.into_iter().enumerate();
    Ok(artifacts.filter(|(at, _)| arranged.serving.contains(at)).map(|(_, (_, artifact))| artifact).collect())
}

/// The client that is named; or the only one that there is.
fn which(named: Option<&str>, plugins: &[Described], config: Option<&Config>) -> Result<String> {
    let mut known: Vec<String> = match config {
        Some(config) => config.clients.names(),
        None => plugins.iter().map(|plugin| plugin.manifest.client.clone()).collect(),
    };
    known.sort();
    known.dedup();
    match (named, known.as_slice()) {
        (Some(named), _) => Ok(named.to_owned()),
        (None, [only]) => Ok(only.clone()),
        _ => Err(Failure::Usage(format!("which client? --client NAME, one of: {}", known.join(", ")))),
    }
}
