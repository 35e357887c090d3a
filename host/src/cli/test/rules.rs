//! How calls become batches while a plugin is tested: as its host is configured, as its manifest says, or as its protos suggest.

use super::names::beside;
use crate::{
    artifact::{Artifact, Manifest},
    cli::{Failure, Result},
    config::Config,
    fanout::{self, Forward, MethodConfig},
    mocks::replies::Batch,
    settings::{Document, Mistakes, nearest},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// The rules, and where they come from.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) from: String,
    pub(super) methods: BTreeMap<String, MethodConfig>,
    /// Backends with their services.
    groups: Vec<(String, Vec<String>)>,
    pub(super) forward: Forward,
    /// The claims of a caller's tenant and scopes.
    pub(super) claims: (String, String),
    /// Methods that may be called as often as a list has items.
    pub(super) may_grow: BTreeSet<String>,
}

impl Rules {
    /// Those of `config`, else of `[test]` of the plugin's manifest, else of AIP-231.
    pub(super) fn read(artifact: &Artifact, folder: &Path, config: Option<&Path>) -> Result<Self> {
        let file = beside(folder, "plugin.toml");
        let (own, may_grow) = of_manifest(&file, artifact)?;
        let nothing = Self {
            from: String::new(),
            methods: BTreeMap::new(),
            groups: Vec::new(),
            forward: Forward::default(),
            claims: ("tenant".to_owned(), "scope".to_owned()),
            may_grow,
        };
        if let Some(config) = config {
            return of_host(config, nothing);
        }
        if let Some(methods) = own {
            return Ok(Self { from: format!("[test.rules] of {}", file.display()), methods, ..nothing });
        }
        let proposed = artifact.methods.iter().filter_map(|method| Some((method.clone(), proposed(artifact, method)?)));
        Ok(Self { from: "AIP-231, by the protos".to_owned(), methods: proposed.collect(), ..nothing })
    }

    /// Each backend of the plugin's calls, with its services.
    pub(super) fn backends(&self, manifest: &Manifest) -> Vec<(String, Vec<String>)> {
        let calls = |service: &String| manifest.calls.contains_key(service);
        let mut backends: Vec<_> =
            self.groups.iter().filter(|(_, services)| services.iter().any(calls)).cloned().collect();
        for service in manifest.calls.keys() {
            if !backends.iter().any(|(_, services)| services.contains(service)) {
                backends.push((service.clone(), vec![service.clone()]));
            }
        }
        backends
    }

    /// The batch methods, and how they hold keys and items.
    pub(super) fn batches(&self) -> Vec<(String, Batch)> {
        let batch = |(method, rules): (&String, &MethodConfig)| {
            let (service, single) = method.split_once('/')?;
            let rule = rules.batch.as_ref()?;
            let batch = Batch {
                single: Some(single.to_owned()),
                key: rule.key.clone(),
                keys: rule.keys.clone(),
                items: rule.items.clone(),
                item_key: rule.item_key.clone(),
                item: rule.item.clone(),
                wrap: rule.wrap.clone(),
            };
            Some((format!("{service}/{}", rule.via), batch))
        };
        self.methods.iter().filter_map(batch).collect()
    }

    /// What calls of the method are batched by.
    pub(super) fn via(&self, method: &str) -> Option<String> {
        let (service, _) = method.split_once('/')?;
        Some(format!("{service}/{}", self.methods.get(method)?.batch.as_ref()?.via))
    }

    /// As they are told: `catalog.v1.Films/GetFilm → BatchGetFilms`.
    pub(super) fn told(&self) -> Vec<String> {
        let batched = self.methods.iter().filter_map(|(method, rules)| Some((method, rules.batch.as_ref()?)));
        batched.map(|(method, rule)| format!("{method} → {}", rule.via)).collect()
    }
}

type Own = (Option<BTreeMap<String, MethodConfig>>, BTreeSet<String>);

/// `[test]` of `plugin.toml`: `rules` by method, as they stand in `weft.toml`, and `may-grow`.
fn of_manifest(file: &Path, artifact: &Artifact) -> Result<Own> {
    let Ok(text) = fs::read_to_string(file) else { return Ok((None, BTreeSet::new())) };
    let mistakes = Mistakes::new();
    let read = {
        let document = Document::parse(file, &text, &mistakes);
        let root = document.table(&mistakes);
        // What else there is has been read before.
        root.names();
        let test = root.table("test");
        let rules = test.table("rules");
        let granted: Vec<&str> = artifact.methods.iter().map(String::as_str).collect();
        let is_granted = |method: &str| artifact.manifest.grants(method);
        let unknown = |method: &str| {
            let near = nearest(method, granted.iter().copied());
            near.map_or_else(
                || "is not in [calls]".to_owned(),
                |near| format!("`{method}` is not in [calls]; did you mean `{near}`?"),
            )
        };
        let mut methods = BTreeMap::new();
        for (method, table) in rules.named_tables() {
            if !is_granted(&method) {
                table.mistake("", unknown(&method));
            }
            methods.insert(method, MethodConfig::read(&table));
        }
        let may_grow: Vec<String> = test.or("may-grow", Vec::new());
        for method in may_grow.iter().filter(|method| !is_granted(method)) {
            test.mistake("may-grow", unknown(method));
        }
        (rules.exists().then_some(methods), may_grow.into_iter().collect())
    };
    match mistakes.into_sorted() {
        mistakes if mistakes.is_empty() => Ok(read),
        mistakes => Err(Failure::Mistakes(mistakes)),
    }
}

/// Of the host that will serve it. Where its backends are, and who they are told is calling, is of no use here.
fn of_host(file: &Path, nothing: Rules) -> Result<Rules> {
    let config = Config::check(file).0.map_err(Failure::Mistakes)?;
    let mut rules = Rules { from: file.display().to_string(), forward: config.forward.clone(), ..nothing };
    if let Some(identity) = &config.identity {
        rules.claims = (identity.tenant_claim.clone(), identity.scope_claim.clone());
    }
    for backend in config.fanout.backends {
        rules.groups.push((backend.name, backend.services));
        rules.methods.extend(backend.methods.into_iter().map(|(name, method)| {
            // Whatever a backend speaks, here it answers with messages.
            (name, MethodConfig { http: None, response_body: None, ..method })
        }));
    }
    Ok(rules)
}

/// What AIP-231 suggests for the method. Its replies are for everybody: else calls of an endpoint without a caller would travel alone.
fn proposed(artifact: &Artifact, method: &str) -> Option<MethodConfig> {
    let text = format!("scope = \"public\"\n{}\n", fanout::propose(&artifact.descriptors, method)?);
    let mistakes = Mistakes::new();
    let document = Document::parse(Path::new("AIP-231"), &text, &mistakes);
    let read = MethodConfig::read(&document.table(&mistakes));
    // One that is proposed can be read; else there is none.
    mistakes.is_empty().then_some(read)
}
