//! The backends of a plugin under development: which there are, by its `[calls]`, and what stands for each, a mock or a real one.

use crate::{
    artifact::{Artifact, Manifest},
    cli::{Failure, Result},
    config::Config,
    fanout::{self, BackendConfig, looks_safe_by_name},
    settings::nearest,
    upstream::{self, StandIn},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

/// Where a mocked backend is said to be: nobody connects there.
const NOWHERE: &str = "static://127.0.0.1:9";

/// `--backend NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    name: String,
    /// Where it is, as in `endpoints` of weft.toml; `None`: mocked.
    endpoints: Option<String>,
}

impl Choice {
    /// For clap.
    pub(super) fn read(text: &str) -> std::result::Result<Self, String> {
        let expected = "expected NAME=mock or NAME=http://HOST:PORT, as in catalog=http://localhost:50051";
        let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or(expected)?;
        let endpoints = match value.split_once("://") {
            None if value == "mock" => None,
            Some(("http", at)) => Some(format!("static://{}", at.trim_end_matches('/'))),
            Some(("https", _)) => {
                return Err(format!(
                    "TLS needs the authority that is trusted: say so in [backend.{name}] of a weft.toml (`endpoints`, `tls`), and name it by --config"
                ));
            }
            Some(("static" | "dns" | "etcd" | "consul" | "nacos" | "kubernetes", _)) => Some(value.to_owned()),
            _ => return Err(format!("`{value}` is no backend: {expected}")),
        };
        Ok(Self { name: name.to_owned(), endpoints })
    }
}

/// One backend.
#[derive(Debug)]
pub(super) struct Backend {
    name: String,
    services: BTreeSet<String>,
    stands: Stands,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stands {
    Mock {
        /// Because nobody has said otherwise.
        by_default: bool,
    },
    At(String),
    /// As the configuration says.
    Configured,
}

/// All backends of one artifact.
#[derive(Debug)]
pub(super) struct Backends {
    list: Vec<Backend>,
    /// `[backend.NAME.method."…"]` by method: what was guessed from the protos.
    guessed: BTreeMap<String, String>,
    scoped: BTreeSet<String>,
}

impl Backends {
    /// Those that this artifact calls, and what stands for them by these choices and by the configuration, if there is one.
    pub(super) fn of(artifact: &Artifact, choices: &[Choice], real: Option<&Config>) -> Result<Self> {
        let list = named(&artifact.manifest, choices, real)?;
        let is_guessed = |method: &&String| {
            let service = method.split_once('/').map_or("", |(service, _)| service);
            real.is_none_or(|real| real.fanout.backend_of(service).is_none())
        };
        let (mut guessed, mut scoped) = (BTreeMap::new(), BTreeSet::new());
        for method in artifact.methods.iter().filter(is_guessed) {
            if looks_safe_by_name(&artifact.descriptors, method) {
                scoped.insert(method.clone());
                guessed.extend(fanout::propose(&artifact.descriptors, method).map(|rule| (method.clone(), rule)));
            }
        }
        Ok(Self { list, guessed, scoped })
    }

    /// Their tables of weft.toml. Safe methods are of scope `public`: nobody's identity is passed on here, and so calls of one without a
    /// token travel together as those of signed-in callers do in production.
    pub(super) fn tables(&self) -> String {
        let mut text = String::new();
        for Backend { name, services, stands } in &self.list {
            let endpoints = match stands {
                Stands::At(endpoints) => endpoints,
                Stands::Mock { .. } | Stands::Configured => NOWHERE,
            };
            let list: Vec<&String> = services.iter().collect();
            text += &format!("[backend.{name:?}]\nservices = {list:?}\nendpoints = {endpoints:?}\n");
            let of_it =
                |method: &&String| method.split_once('/').is_some_and(|(service, _)| services.contains(service));
            for method in self.scoped.iter().filter(of_it) {
                let rule = self.guessed.get(method).map(|rule| format!("{rule}\n")).unwrap_or_default();
                text += &format!("[backend.{name:?}.method.{method:?}]\nscope = \"public\"\n{rule}");
            }
        }
        text
    }

    /// Puts what stands for each into a configuration that was read from these tables.
    pub(super) fn put_into(&self, config: &mut Config, real: Option<&Config>, mock: &Arc<dyn StandIn>) {
        for written in &mut config.fanout.backends {
            let Some(backend) = self.list.iter().find(|backend| backend.name == written.name) else { continue };
            let is_of_it = |other: &&BackendConfig| {
                backend.services.iter().any(|service| other.services.iter().any(|served| served == service))
            };
            let configured = real.and_then(|real| real.fanout.backends.iter().find(is_of_it));
            if let Some(configured) = configured {
                // Where it is comes from here, everything else from there.
                let services = std::mem::take(&mut written.services);
                let upstream = written.upstream.clone();
                let name = written.name.clone();
                *written = BackendConfig { name, services, ..configured.clone() };
                if backend.stands != Stands::Configured {
                    let protocol = configured.upstream.protocol;
                    written.upstream = upstream::Config { protocol, ..upstream };
                }
            }
            if matches!(backend.stands, Stands::Mock { .. }) {
                written.upstream.stand_in = Some(mock.clone());
            }
        }
        if let Some(real) = real {
            config.fanout.cache_bytes = real.fanout.cache_bytes;
            config.fanout.cache_entries = real.fanout.cache_entries;
            config.forward = real.forward.clone();
        }
    }

    /// What is said of them at the start.
    pub(super) fn told(&self, real: Option<&Path>) -> Vec<String> {
        let mut lines = Vec::new();
        if self.list.is_empty() {
            lines.push("backends: none, since [calls] in plugin.toml grants nothing".to_owned());
        }
        for Backend { name, services, stands } in &self.list {
            let services = services.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let what = match stands {
                Stands::Mock { by_default: true } => {
                    format!("mocked, replies made from its protos; a real one: --backend {name}=http://HOST:PORT")
                }
                Stands::Mock { by_default: false } => "mocked, replies made from its protos".to_owned(),
                Stands::At(endpoints) => format!("at {endpoints}"),
                Stands::Configured => {
                    format!("as in {}", real.map(|real| real.display().to_string()).unwrap_or_default())
                }
            };
            lines.push(format!("backend {name} ({services}): {what}"));
        }
        if !self.guessed.is_empty() {
            let rules: Vec<String> = self
                .guessed
                .iter()
                .map(|(method, rule)| format!("{method} by {}", rule.split('"').nth(1).unwrap_or_default()))
                .collect();
            lines.push(format!(
                "batched by rules that are guessed from the protos (AIP-231): {}; those of a host: --config weft.toml",
                rules.join(", ")
            ));
        }
        lines
    }
}

/// The backends that `[calls]` grants methods of. A choice that is for none of them is a mistake.
pub(super) fn named(manifest: &Manifest, choices: &[Choice], real: Option<&Config>) -> Result<Vec<Backend>> {
    let mut backends: BTreeMap<String, Backend> = BTreeMap::new();
    for service in manifest.calls.keys() {
        let configured = real.and_then(|real| real.fanout.backend_of(service));
        let alone = choices.iter().find(|choice| choice.name == *service);
        let name = match (alone, configured) {
            (Some(choice), _) => choice.name.clone(),
            (None, Some(backend)) => backend.name.clone(),
            (None, None) => name_of(service, manifest.calls.keys()),
        };
        let chosen = choices.iter().find(|choice| choice.name == name);
        let stands = match (chosen.map(|choice| &choice.endpoints), configured) {
            (Some(Some(endpoints)), _) => Stands::At(endpoints.clone()),
            (Some(None), _) => Stands::Mock { by_default: false },
            (None, Some(_)) => Stands::Configured,
            (None, None) => Stands::Mock { by_default: true },
        };
        let new = || Backend { name: name.clone(), services: BTreeSet::new(), stands };
        backends.entry(name.clone()).or_insert_with(new).services.insert(service.clone());
    }
    check_names(choices, &backends)?;
    Ok(backends.into_values().collect())
}

/// A choice that is for nothing is a mistake in the choice.
fn check_names(choices: &[Choice], backends: &BTreeMap<String, Backend>) -> Result {
    for (at, choice) in choices.iter().enumerate() {
        if choices.iter().take(at).any(|other| other.name == choice.name) {
            return Err(Failure::Usage(format!("--backend {}: it is said twice what stands for it", choice.name)));
        }
        if backends.contains_key(&choice.name) {
            continue;
        }
        let names: Vec<&str> = backends.keys().map(String::as_str).collect();
        let hint = match nearest(&choice.name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "[calls] in plugin.toml grants nothing".to_owned(),
            None => format!("there are: {} (or a whole service, as in [calls])", names.join(", ")),
        };
        return Err(Failure::Usage(format!("--backend {}: the plugin calls no such backend; {hint}", choice.name)));
    }
    Ok(())
}

/// `catalog` for `catalog.v1.Films` and all services beside it; a longer name where two packages would have the same.
fn name_of<'a>(service: &str, all: impl Iterator<Item = &'a String>) -> String {
    let whole = package(service);
    let short = |package: &[String]| package.last().cloned().unwrap_or_default();
    let is_taken = all.map(|other| package(other)).any(|other| other != whole && short(&other) == short(&whole));
    if is_taken { whole.join("-") } else { short(&whole) }
}

/// Without versions; of a service without a package, its own name.
fn package(service: &str) -> Vec<String> {
    let (package, own) = service.rsplit_once('.').unwrap_or(("", service));
    let is_version =
        |part: &&str| part.strip_prefix('v').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
    let parts: Vec<String> =
        package.split('.').filter(|part| !part.is_empty() && !is_version(part)).map(str::to_owned).collect();
    if parts.is_empty() { vec![own.to_ascii_lowercase()] } else { parts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_and_what_is_none_says_what_is() {
        let of = |text: &str| Choice::read(text).map(|choice| (choice.name, choice.endpoints));
        assert_eq!(of("catalog=mock"), Ok(("catalog".to_owned(), None)));
        let there = Some("static://localhost:50051".to_owned());
        assert_eq!(of("catalog=http://localhost:50051/"), Ok(("catalog".to_owned(), there)));
        assert_eq!(of("a=dns://films:1"), Ok(("a".to_owned(), Some("dns://films:1".to_owned()))));
        for (text, reason) in [
            ("catalog", "expected NAME=mock or"),
            ("=mock", "expected NAME=mock or"),
            ("a=localhost:1", "`localhost:1` is no backend: expected"),
            ("a=ftp://b", "`ftp://b` is no backend"),
            ("a=https://b", "say so in [backend.a] of a weft.toml"),
        ] {
            assert!(of(text).unwrap_err().contains(reason), "{text}: {:?}", of(text));
        }
    }

    #[test]
    fn a_backend_is_named_after_its_package() {
        let all = ["catalog.v1.Films", "a.people.v1.People", "b.people.v1alpha.Names", "Ping", "shop.v2.Carts"];
        let all: Vec<String> = all.map(str::to_owned).to_vec();
        let names: Vec<String> = all.iter().map(|service| name_of(service, all.iter())).collect();
        assert_eq!(names, ["catalog", "a-people", "b-people", "ping", "shop"]);
    }
}
