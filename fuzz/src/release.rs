//! Files that want to serve beside each other.

use crate::input::Input;
use semver::Version;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use weft_core::{
    artifact::EndpointName,
    model::Digest,
    release::{Claim, Contender, Held, arrange, holdings},
};

const PATHS: [&str; 6] = ["GET /a", "GET /b/{x}", "GET /b/{y}", "GET /{*rest}", "POST /a", "GET /b/c"];

#[derive(Debug, Clone)]
struct File {
    plugin: String,
    client: String,
    version: Version,
    digest: Digest,
    endpoints: Vec<EndpointName>,
}

impl Claim for File {
    fn plugin(&self) -> &str {
        &self.plugin
    }

    fn version(&self) -> &Version {
        &self.version
    }

    fn client(&self) -> &str {
        &self.client
    }

    fn digest(&self) -> Digest {
        self.digest
    }

    fn file(&self) -> &Path {
        Path::new("plugin.wasm")
    }

    fn endpoints(&self) -> impl Iterator<Item = &EndpointName> {
        self.endpoints.iter()
    }
}

/// Bytes as files, four for each: the plugin with its client, its version, its endpoints, and whom it stands behind.
fn contenders(input: &mut Input<'_>, count: usize) -> Vec<Contender<File>> {
    let mut contenders: Vec<Contender<File>> = Vec::new();
    for at in 0..count {
        let (who, version, paths, behind) = (input.byte(), input.byte(), input.byte(), input.byte());
        let (plugin, client) = (format!("p{}", who % 5), format!("c{}", who % 5 / 3));
        let mut places = BTreeSet::new();
        let named = PATHS.iter().enumerate().filter(|(bit, _)| paths >> bit & 1 == 1);
        let endpoints: Vec<EndpointName> = named.map(|(_, name)| name.parse().unwrap()).collect();
        // One manifest can't have one place twice.
        let endpoints: Vec<_> = endpoints.into_iter().filter(|name| places.insert(name.place())).collect();
        // The same bytes are the same plugin.
        let content = format!("{plugin} {} {paths}", version % 4);
        let version = Version::new(u64::from(version % 4), 0, 0);
        let claim = File { plugin, client, version, digest: Digest::of(content.as_bytes()), endpoints };
        let behind = (behind % 4 == 3 && at > 0).then(|| usize::from(behind / 4) % at);
        contenders.push(Contender { claim, rank: 0, behind });
    }
    contenders
}

/// Whatever lies in a folder: what serves fits together, each plugin once; who is refused is told why, and who serves is not; what comes
/// later takes nothing from another plugin that serves.
pub fn release(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let first = contenders(&mut input, bytes.len().min(40) / 4);
    let (before, live) = checked(&first, &Held::new());
    let mut all = first.clone();
    let late: Vec<_> = contenders(&mut input, 2).into_iter().map(|late| Contender::from(late.claim)).collect();
    all.extend(late.iter().cloned());
    let (_, after) = checked(&all, &live.iter().flat_map(|file| holdings(*file)).collect());
    // What stood in for another file goes when that one can serve.
    let stood_in = first.iter().filter(|contender| contender.behind.is_some());
    let excused: BTreeSet<_> = late.iter().chain(stood_in).map(|contender| &contender.claim.plugin).collect();
    for file in live.iter().filter(|file| !excused.contains(&file.plugin)) {
        assert!(after.iter().any(|other| other.plugin == file.plugin), "{file:?} serves no more");
    }
    before > 1
}

/// How many serve, and which.
fn checked<'a>(contenders: &'a [Contender<File>], held: &Held) -> (usize, Vec<&'a File>) {
    let arranged = arrange(contenders, held);
    let serving: Vec<&File> = arranged.serving.iter().map(|at| &contenders[*at].claim).collect();
    let mut owners = BTreeMap::new();
    for file in &serving {
        for name in &file.endpoints {
            let other = owners.insert((&file.client, name.place()), &file.plugin);
            assert!(other.is_none(), "{name} of {} belongs to {other:?} as well", file.plugin);
        }
    }
    let plugins: BTreeSet<_> = serving.iter().map(|file| &file.plugin).collect();
    assert_eq!(plugins.len(), serving.len(), "each plugin serves once");
    assert!(arranged.refused.iter().all(|(at, why)| !why.is_empty() && !arranged.serving.contains(at)));
    // Whoever stands behind another one stands back without a word.
    for contender in contenders.iter().filter(|contender| contender.behind.is_none()) {
        let newer = serving.iter().find(|file| file.plugin == contender.claim.plugin);
        let is_refused = arranged.refused.keys().any(|at| contenders[*at].claim.plugin == contender.claim.plugin);
        assert!(newer.is_some() || is_refused, "{contender:?} does not serve, and nobody says why");
    }
    (serving.len(), serving)
}
