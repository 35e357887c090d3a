//! Which artifacts of a folder can't serve beside each other, known before any of them is compiled.

use super::{
    Refusal,
    table::{Versioned, highest},
};
use crate::{
    artifact::{Artifact, Digest},
    routing::Routes,
};
use std::{collections::HashMap, path::Path};

/// One artifact and the file that it came from.
#[derive(Debug, Clone, Copy)]
pub struct Claimant<'a> {
    pub file: &'a Path,
    pub artifact: &'a Artifact,
}

impl Versioned for Claimant<'_> {
    fn plugin(&self) -> &str {
        &self.artifact.manifest.name
    }

    fn version(&self) -> &semver::Version {
        &self.artifact.manifest.version
    }
}

impl Claimant<'_> {
    fn digest(&self) -> Digest {
        self.artifact.digest
    }
}

/// Those that a host which starts with all of them would refuse for the sake of another one, each with every reason. `claimants` come
/// in the order of their claim, which is that of their files' names.
pub fn clashes<'a>(claimants: &[Claimant<'a>]) -> Vec<(Claimant<'a>, Refusal)> {
    let (mut left, mut refused): (Vec<Claimant<'a>>, Vec<_>) = Default::default();
    for claimant in claimants {
        let is_same =
            |other: &&Claimant<'_>| other.plugin() == claimant.plugin() && other.version() == claimant.version();
        match left.iter().find(is_same) {
            // The same bytes twice are no clash.
            Some(other) if other.digest() == claimant.digest() => {}
            Some(other) => refused.push((*claimant, same_version(other))),
            None => left.push(*claimant),
        }
    }
    // Without one that clashes an older version of it may serve, and clash in its turn.
    while let Some((clashing, reasons)) = first_clash(&left) {
        left.retain(|other| other.digest() != clashing.digest());
        refused.extend(reasons.into_iter().map(|reason| (clashing, reason)));
    }
    refused
}

fn same_version(other: &Claimant<'_>) -> Refusal {
    Refusal::SameVersion {
        plugin: other.plugin().to_owned(),
        version: other.version().to_string(),
        file: other.file.display().to_string(),
    }
}

/// The first one that wants an endpoint of another plugin, and all that it wants of others.
fn first_clash<'a>(claimants: &[Claimant<'a>]) -> Option<(Claimant<'a>, Vec<Refusal>)> {
    let mut routes: HashMap<&str, Routes<()>> = HashMap::new();
    let all: Vec<_> = claimants.iter().collect();
    highest(&all).into_iter().find_map(|claimant| {
        let manifest = &claimant.artifact.manifest;
        let routes = routes.entry(&manifest.client).or_default();
        let add = |name| Some(Refusal::taken(&manifest.client, name, routes.add(name, &manifest.name, ()).err()?));
        let reasons: Vec<_> = manifest.endpoints.iter().map(|endpoint| &endpoint.name).filter_map(add).collect();
        (!reasons.is_empty()).then_some((*claimant, reasons))
    })
}
