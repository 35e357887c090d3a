//! Which releases serve beside each other. The rules on clashes stand here and nowhere else: a host arranges what it has loaded, `weft
//! check` what it would load.

#[cfg(test)]
mod tests;

use super::Refusal;
use crate::{
    artifact::{Artifact, EndpointName},
    model::Digest,
    routing::Routes,
};
use semver::Version;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::Path,
};

/// One version of a plugin that wants to serve.
pub trait Claim {
    fn plugin(&self) -> &str;
    fn version(&self) -> &Version;
    fn client(&self) -> &str;
    fn digest(&self) -> Digest;
    fn file(&self) -> &Path;
    fn endpoints(&self) -> impl Iterator<Item = &EndpointName>;
}

/// An artifact and the file that it came from.
#[derive(Debug, Clone, Copy)]
pub struct Claimant<'a> {
    pub file: &'a Path,
    pub artifact: &'a Artifact,
}

impl Claim for Claimant<'_> {
    fn plugin(&self) -> &str {
        &self.artifact.manifest.name
    }

    fn version(&self) -> &Version {
        &self.artifact.manifest.version
    }

    fn client(&self) -> &str {
        &self.artifact.manifest.client
    }

    fn digest(&self) -> Digest {
        self.artifact.digest
    }

    fn file(&self) -> &Path {
        self.file
    }

    fn endpoints(&self) -> impl Iterator<Item = &EndpointName> {
        self.artifact.manifest.endpoints.iter().map(|policy| &policy.name)
    }
}

/// A claim in its place among others.
#[derive(Debug, Clone)]
pub struct Contender<C> {
    pub claim: C,
    /// Of one plugin the highest rank serves, and of that the highest version.
    pub rank: u8,
    /// It stands back, unless this one (by its place in the list) is refused.
    pub behind: Option<usize>,
}

impl<C> From<C> for Contender<C> {
    fn from(claim: C) -> Self {
        Self { claim, rank: 0, behind: None }
    }
}

/// Client, plugin, and method with path: who serves what.
pub type Held = HashSet<(String, String, String)>;

/// What `claim` would hold, if it served.
pub fn holdings<C: Claim>(claim: &C) -> impl Iterator<Item = (String, String, String)> {
    claim.endpoints().map(|name| (claim.client().to_owned(), claim.plugin().to_owned(), name.place()))
}

/// Places in the list of contenders.
#[derive(Debug, Default)]
pub struct Arrangement {
    /// In the order of the list, for each plugin one.
    pub serving: Vec<usize>,
    /// Each with all reasons. Whoever is in neither list stands back behind a higher version, or behind the same bytes.
    pub refused: BTreeMap<usize, Vec<Refusal>>,
}

/// Of each plugin the highest rank serves that can, and of that the highest version. `contenders` come in the order of their claims: one version of a plugin belongs to
/// the first digest that has it. What is `held` stays with the plugin that holds it, as long as that declares it; beyond this an endpoint
/// belongs to the first plugin that declares it, and a release that wants what another one has is refused whole.
pub fn arrange<C: Claim>(contenders: &[Contender<C>], held: &Held) -> Arrangement {
    let mut refused = BTreeMap::new();
    loop {
        let standing = standing(contenders, &refused);
        let clash = match same_version(&standing) {
            Some((at, reason)) => Some((at, vec![reason])),
            None => endpoints_taken(&highest(&standing), held),
        };
        match clash {
            // Without it all is arranged anew: an older version of it may serve, and keeps what it has.
            Some((at, reasons)) => drop(refused.insert(at, reasons)),
            None => {
                let serving = highest(&standing).into_iter().map(|(at, ..)| at).collect();
                return Arrangement { serving, refused };
            }
        }
    }
}

/// With the places in the list.
type Standing<'a, C> = Vec<(usize, u8, &'a C)>;

/// Those that may serve, the same bytes once.
fn standing<'a, C: Claim>(contenders: &'a [Contender<C>], refused: &BTreeMap<usize, Vec<Refusal>>) -> Standing<'a, C> {
    let mut known = BTreeSet::new();
    let is_standing = |(at, contender): &(usize, &Contender<C>)| {
        !refused.contains_key(at) && contender.behind.is_none_or(|front| refused.contains_key(&front))
    };
    let standing =
        contenders.iter().enumerate().filter(is_standing).map(|(at, contender)| (at, contender.rank, &contender.claim));
    standing.filter(|(_, _, claim)| known.insert(claim.digest())).collect()
}

/// The first one whose version another digest has.
fn same_version<C: Claim>(standing: &Standing<'_, C>) -> Option<(usize, Refusal)> {
    let mut first: BTreeMap<(&str, &Version), &C> = BTreeMap::new();
    standing.iter().find_map(|(at, _, claim)| {
        let owner = first.insert((claim.plugin(), claim.version()), claim)?;
        let (plugin, version) = (claim.plugin().to_owned(), claim.version().to_string());
        Some((*at, Refusal::SameVersion { plugin, version, file: owner.file().display().to_string() }))
    })
}

fn highest<'a, C: Claim>(standing: &Standing<'a, C>) -> Standing<'a, C> {
    let mut newest: BTreeMap<&str, (u8, &Version)> = BTreeMap::new();
    for (_, rank, claim) in standing {
        let first = newest.entry(claim.plugin()).or_insert((*rank, claim.version()));
        *first = (*first).max((*rank, claim.version()));
    }
    let is_newest = |(_, rank, claim): &&(usize, u8, &C)| newest.get(claim.plugin()) == Some(&(*rank, claim.version()));
    standing.iter().filter(is_newest).copied().collect()
}

/// The first one that wants endpoints of other plugins, and all that it wants of them.
fn endpoints_taken<C: Claim>(serving: &Standing<'_, C>, held: &Held) -> Option<(usize, Vec<Refusal>)> {
    let mut routes: HashMap<&str, Routes<()>> = HashMap::new();
    let is_held = |claim: &C, name: &EndpointName| {
        held.contains(&(claim.client().to_owned(), claim.plugin().to_owned(), name.place()))
    };
    [true, false].into_iter().find_map(|first| {
        serving.iter().find_map(|(at, _, claim)| {
            let mine = claim.endpoints().filter(|name| is_held(claim, name) == first);
            let routes = routes.entry(claim.client()).or_default();
            let add = |name| Some(Refusal::taken(claim.client(), name, routes.add(name, claim.plugin(), ()).err()?));
            let reasons: Vec<_> = mine.filter_map(add).collect();
            (!reasons.is_empty()).then_some((*at, reasons))
        })
    })
}
