//! The plugins that are answered for: their folders and artifacts, read again when something of them was saved.

use crate::{
    artifact::{Artifact, EndpointSchema, Manifest, Sections},
    cli::{
        Failure, Result,
        stamps::Stamps,
        tell,
        toolchain::{self, Making},
    },
    mocks::{CONTRACT_FOLDER, MOCKS_FOLDER, Mocks, Source, stand_in},
    settings::Mistakes,
};
use anyhow::{Context, anyhow};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// A plugin that is answered for.
#[derive(Debug)]
pub(super) struct Plugin {
    pub(super) place: PathBuf,
    pub(super) manifest: Manifest,
    pub(super) mocks: Mocks,
    pub(super) schema: Vec<EndpointSchema>,
    /// What a host loads in its place.
    pub(super) artifact: Vec<u8>,
}

/// Where plugins are found.
#[derive(Debug)]
pub(super) struct Sources {
    places: Vec<PathBuf>,
    client: Option<String>,
    seed: u64,
    /// What the code in a folder says, and of which state of its files.
    described: BTreeMap<PathBuf, (Stamps, Vec<EndpointSchema>)>,
}

impl Sources {
    /// A folder without a manifest stands for the plugins right inside of it.
    pub(super) fn find(paths: &[PathBuf], client: Option<String>, seed: u64) -> Result<Self> {
        let mut places = Vec::new();
        for path in paths {
            let is_plugin = |folder: &Path| folder.join("plugin.toml").exists();
            if path.is_file() || is_plugin(path) {
                places.push(path.clone());
                continue;
            }
            let entries = fs::read_dir(path).with_context(|| format!("{} can't be read", path.display()))?;
            let mut inside: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
            inside.retain(|folder| is_plugin(folder));
            inside.sort();
            if inside.is_empty() {
                return Err(Failure::Usage(format!(
                    "there is no plugin.toml in {0}, nor in a folder right inside of it: name a plugin's folder, or make one with \
                     `weft new NAME --client CLIENT --mock-only`",
                    path.display()
                )));
            }
            places.extend(inside);
        }
        places.dedup();
        Ok(Self { places, client, seed, described: BTreeMap::new() })
    }

    /// All plugins of the client.
    pub(super) fn read(&mut self) -> Result<Vec<Plugin>> {
        let (mut plugins, mut mistakes) = (Vec::new(), Vec::new());
        for place in self.places.clone() {
            match self.plugin(&place) {
                Ok(plugin) => plugins.push(plugin),
                Err(Failure::Mistakes(more)) => mistakes.extend(more),
                Err(failure) => return Err(failure),
            }
        }
        if !mistakes.is_empty() {
            return Err(Failure::Mistakes(mistakes));
        }
        let Some(client) = &self.client else { return Ok(plugins) };
        let known: Vec<String> = plugins.iter().map(|plugin| plugin.manifest.client.clone()).collect();
        plugins.retain(|plugin| plugin.manifest.client == *client);
        if plugins.is_empty() {
            return Err(Failure::Usage(format!(
                "no plugin here is for client `{client}`; there are some for: {}",
                known.join(", ")
            )));
        }
        Ok(plugins)
    }

    fn plugin(&mut self, place: &Path) -> Result<Plugin> {
        if place.is_file() {
            return artifact(place, self.seed);
        }
        let schema = self.code(place)?;
        let Source { text, manifest, schema, files, .. } = Source::read(place, schema).map_err(Failure::Mistakes)?;
        let artifact =
            stand_in(&text, &schema, &files, self.seed).map_err(|reason| anyhow!("{}: {reason}", place.display()))?;
        let mocks = Mocks::read(&manifest, &schema, &files, MOCKS_FOLDER, &Mistakes::new());
        Ok(Plugin { place: place.to_owned(), manifest, mocks, schema, artifact })
    }

    /// What the code says, where it has the word: not while a contract stands beside it.
    fn code(&mut self, folder: &Path) -> Result<Option<Vec<EndpointSchema>>> {
        if Source::has_contract(folder) || !Source::has_code(folder) {
            return Ok(None);
        }
        let stamps = Stamps::of(code_of(folder));
        if let Some((of, schema)) = self.described.get(folder)
            && *of == stamps
        {
            return Ok(Some(schema.clone()));
        }
        tell(&format!("{}: asking the code for its endpoints", folder.display()));
        toolchain::add_target(folder)?;
        let _turn = toolchain::turn(&folder.join("plugin.toml"));
        let schema = toolchain::describe(&Making::new(folder, true))?.endpoints;
        self.described.insert(folder.to_owned(), (stamps, schema.clone()));
        Ok(Some(schema))
    }

    /// The state of all files that say something.
    pub(super) fn stamps(&self) -> Stamps {
        let mut paths = Vec::new();
        for place in &self.places {
            if place.is_file() {
                paths.push(place.clone());
                continue;
            }
            paths.push(place.join("plugin.toml"));
            paths.extend([CONTRACT_FOLDER, MOCKS_FOLDER].map(|folder| place.join(folder)));
            if !Source::has_contract(place) {
                paths.extend(code_of(place));
            }
        }
        Stamps::of(paths)
    }
}

fn code_of(folder: &Path) -> [PathBuf; 3] {
    ["Cargo.toml", "build.rs", "src"].map(|name| folder.join(name))
}

/// What a built one says is what counts of it.
fn artifact(file: &Path, seed: u64) -> Result<Plugin> {
    let shown = file.display();
    let bytes = fs::read(file).with_context(|| format!("{shown} can't be read"))?;
    let sections = Sections::read(&bytes).with_context(|| format!("{shown} is no artifact"))?;
    let Artifact { manifest, schema, mocks: files, .. } =
        Artifact::parse(bytes.into()).with_context(|| format!("{shown} is no artifact"))?;
    let artifact =
        stand_in(&sections.manifest, &schema, &files, seed).map_err(|reason| anyhow!("{shown}: {reason}"))?;
    let mistakes = Mistakes::new();
    let mocks = Mocks::read(&manifest, &schema, &files, &file.display().to_string(), &mistakes);
    if !mistakes.is_empty() {
        return Err(Failure::Mistakes(mistakes.into_sorted()));
    }
    Ok(Plugin { place: file.to_owned(), manifest, mocks, schema, artifact })
}
