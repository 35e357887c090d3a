//! Whatever wants to serve, what serves fits together.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A plugin of one client, with one file for each version and content.
#[derive(Debug, Clone)]
struct Plugin {
    name: String,
    version: Version,
    digest: Digest,
    endpoints: Vec<EndpointName>,
}

impl Claim for Plugin {
    fn plugin(&self) -> &str {
        &self.name
    }

    fn version(&self) -> &Version {
        &self.version
    }

    fn client(&self) -> &str {
        "web"
    }

    fn digest(&self) -> Digest {
        self.digest
    }

    fn file(&self) -> &Path {
        Path::new("file.wasm")
    }

    fn endpoints(&self) -> impl Iterator<Item = &EndpointName> {
        self.endpoints.iter()
    }
}

fn plugin(name: &str, version: u64, content: &str, paths: &[&str]) -> Plugin {
    let endpoints = paths.iter().map(|path| format!("GET {path}").parse().unwrap()).collect();
    let digest = Digest::of(format!("{name} {version} {content}").as_bytes());
    Plugin { name: name.to_owned(), version: Version::new(version, 0, 0), digest, endpoints }
}

fn contenders(plugins: &[Plugin]) -> Vec<Contender<Plugin>> {
    plugins.iter().cloned().map(Contender::from).collect()
}

fn held(plugins: &[Plugin]) -> Held {
    plugins.iter().flat_map(holdings).collect()
}

fn any_plugin() -> impl Strategy<Value = Plugin> {
    let paths = prop::sample::subsequence(vec!["/a", "/b", "/c/{x}", "/c/{y}", "/{*rest}"], 1..=3);
    ("[p-s]", 1..4_u64, "[xy]", paths).prop_map(|(name, version, content, mut paths)| {
        // One manifest can't have one place twice.
        if paths.contains(&"/c/{x}") {
            paths.retain(|path| *path != "/c/{y}");
        }
        plugin(&name, version, &content, &paths)
    })
}

proptest! {
    #[test]
    fn what_serves_fits_together_and_nobody_is_refused_without_a_reason(
        plugins in prop::collection::vec(any_plugin(), 0..12)
    ) {
        let arranged = arrange(&contenders(&plugins), &Held::new());
        let serving: Vec<_> = arranged.serving.iter().map(|at| &plugins[*at]).collect();
        let places: Vec<_> = serving.iter().flat_map(|one| one.endpoints.iter().map(EndpointName::place)).collect();
        prop_assert_eq!(places.iter().collect::<BTreeSet<_>>().len(), places.len());
        let names: Vec<_> = serving.iter().map(|one| &one.name).collect();
        prop_assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        prop_assert!(arranged.refused.values().all(|reasons| !reasons.is_empty()));
        prop_assert!(arranged.serving.iter().all(|at| !arranged.refused.contains_key(at)));
    }

    #[test]
    fn who_comes_later_takes_nothing_away(
        plugins in prop::collection::vec(any_plugin(), 0..8), late in any_plugin()
    ) {
        let before = arrange(&contenders(&plugins), &Held::new());
        let live: Vec<_> = before.serving.iter().map(|at| plugins[*at].clone()).collect();
        let mut all = plugins.clone();
        all.push(late.clone());
        let after = arrange(&contenders(&all), &held(&live));
        for one in live.iter().filter(|one| one.name != late.name) {
            let served: Vec<_> = after.serving.iter().map(|at| &all[*at].name).collect();
            prop_assert!(served.contains(&&one.name), "{one:?} serves no more");
        }
    }
}

#[test]
fn an_older_version_serves_where_the_newer_one_wants_what_is_anothers() {
    let all = [plugin("p", 1, "x", &["/a"]), plugin("q", 1, "x", &["/b"]), plugin("p", 2, "x", &["/a", "/b"])];
    let arranged = arrange(&contenders(&all), &held(&all[..2]));
    assert_eq!(arranged.serving, [0, 1]);
    let reasons = &arranged.refused[&2];
    assert!(reasons.len() == 1 && reasons[0].to_string().contains("GET /b"), "{reasons:?}");
}

#[test]
fn one_version_belongs_to_the_first_content_and_the_same_content_twice_is_one() {
    let all = [plugin("p", 1, "x", &["/a"]), plugin("p", 1, "x", &["/a"]), plugin("p", 1, "y", &["/a"])];
    let arranged = arrange(&contenders(&all), &Held::new());
    assert_eq!(arranged.serving, [0]);
    assert_eq!(arranged.refused.keys().collect::<Vec<_>>(), [&2]);
}

#[test]
fn what_stands_behind_serves_only_where_what_it_stands_behind_can_not() {
    let back = Contender { claim: plugin("p", 2, "x", &["/a"]), rank: 0, behind: Some(0) };
    let front = plugin("p", 1, "x", &["/a", "/b"]);
    let alone = [front.clone().into(), back.clone()];
    assert_eq!(arrange(&alone, &Held::new()).serving, [0], "a way back to a lower version");
    let other = plugin("q", 1, "x", &["/b"]);
    let beside = [front.into(), back, other.clone().into()];
    assert_eq!(arrange(&beside, &held(&[other])).serving, [1, 2]);
}

#[test]
fn what_was_asked_for_serves_before_higher_versions_where_it_can() {
    let asked = Contender { claim: plugin("p", 1, "x", &["/a"]), rank: 2, behind: None };
    let before = Contender { claim: plugin("p", 2, "y", &["/a"]), rank: 1, behind: None };
    let highest: Contender<_> = plugin("p", 3, "z", &["/a"]).into();
    let other = plugin("q", 1, "x", &["/b"]);
    let all = [highest.clone(), before.clone(), asked, other.clone().into()];
    assert_eq!(arrange(&all, &Held::new()).serving, [2, 3]);
    let greedy = Contender { claim: plugin("p", 1, "x", &["/a", "/b"]), rank: 2, behind: None };
    assert_eq!(arrange(&[highest, before, greedy, other.clone().into()], &held(&[other])).serving, [1, 3]);
}
