//! Circles inside the modules: files beside each other, or folders of them, that import one another in a ring.
//!
//! What stands under a file is a part of it, so between these two there is no ring: at each level those count that stand beside each
//! other, each with all that is under it. Tests need not keep to it.

use super::source::{Source, is_word};
use std::collections::{BTreeMap, BTreeSet};

/// `fanout::session`, as a list; the root is empty.
type Place = Vec<String>;

/// What a package's files import from each other.
#[derive(Debug, Default)]
pub(super) struct Imports {
    files: BTreeMap<Place, File>,
}

#[derive(Debug, Default)]
struct File {
    /// What `use` makes known in the file, by the name that it has there.
    names: BTreeMap<String, Place>,
    /// All paths that begin with `crate::`, `super::` or `self::`, wherever they stand.
    paths: Vec<Place>,
}

impl Imports {
    pub(super) fn of(sources: &[Source]) -> Self {
        let files = sources.iter().map(|source| (source.place(), File::read(&source.code_without_tests())));
        Self { files: files.filter(|(place, _)| !place.iter().any(|name| name == "tests")).collect() }
    }

    /// The rings, with the place that they are found in: `fanout: cache, engine`.
    pub(super) fn rings(&self) -> BTreeSet<String> {
        let mut arrows: BTreeMap<Place, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for (level, from, to) in self.files.iter().flat_map(|(place, file)| self.arrows(place, file)) {
            arrows.entry(level).or_default().entry(from).or_default().insert(to);
        }
        // Between the top modules the layers say more.
        arrows.remove(&Place::new());
        let all = arrows.iter().flat_map(|(level, arrows)| rings(arrows).into_iter().map(move |ring| (level, ring)));
        all.map(|(level, ring)| format!("{}: {}", level.join("::"), ring.join(", "))).collect()
    }

    /// The arrows of one file: the level at which they lie, and between whom.
    fn arrows(&self, place: &Place, file: &File) -> Vec<(Place, String, String)> {
        let arrow = |path: &Place| {
            let target = self.resolve(&self.absolute(place, path)?, 0);
            let level = place.iter().zip(&target).take_while(|(a, b)| a == b).count();
            let (from, to) = (place.get(level)?, target.get(level)?);
            Some((place[..level].to_vec(), from.clone(), to.clone()))
        };
        file.paths.iter().filter_map(arrow).collect()
    }

    /// From the root. `None`: it leads out of the package.
    fn absolute(&self, file: &Place, path: &Place) -> Option<Place> {
        let (mut at, mut rest) = (file.clone(), path.iter().peekable());
        match rest.peek()?.as_str() {
            "crate" => at.clear(),
            "self" | "super" => {}
            child => {
                let child: Place = at.iter().cloned().chain([child.to_owned()]).collect();
                self.files.get(&child)?;
            }
        }
        for name in rest {
            match name.as_str() {
                "super" => drop(at.pop()),
                "crate" | "self" => {}
                _ => at.push(name.clone()),
            }
        }
        Some(at)
    }

    /// The file that a path leads to, through whatever hands it on.
    fn resolve(&self, path: &Place, turn: usize) -> Place {
        let mut at = Place::new();
        for name in path {
            let next: Place = at.iter().cloned().chain([name.clone()]).collect();
            if self.files.contains_key(&next) {
                at = next;
                continue;
            }
            let handed_on = self.files.get(&at).and_then(|file| file.names.get(name));
            let handed_on = handed_on.and_then(|path| self.absolute(&at, path)).filter(|_| turn < 8);
            return handed_on.map_or(at, |path| self.resolve(&path, turn + 1));
        }
        at
    }
}

impl File {
    fn read(code: &str) -> Self {
        let mut file = Self::default();
        for rest in after(code, "use ") {
            let mut leaves = Vec::new();
            tree(rest, &Place::new(), &mut leaves);
            file.names.extend(leaves);
        }
        for root in ["crate", "super", "self"] {
            for rest in after(code, &format!("{root}::")) {
                let mut leaves = Vec::new();
                tree(rest, &vec![root.to_owned()], &mut leaves);
                file.paths.extend(leaves.into_iter().map(|(_, path)| path));
            }
        }
        file
    }
}

/// What follows each of these words.
fn after<'a>(code: &'a str, word: &str) -> Vec<&'a str> {
    let is_whole = |at: usize| !code[..at].ends_with(|c| is_word(c) || c == ':');
    code.match_indices(word).filter(|(at, _)| is_whole(*at)).map(|(at, _)| &code[at + word.len()..]).collect()
}

/// Reads a path, or a tree of them as it stands behind `use`: names and what they stand for. Gives back what follows.
fn tree<'a>(text: &'a str, before: &Place, leaves: &mut Vec<(String, Place)>) -> &'a str {
    let (mut path, mut rest) = (before.clone(), text.trim_start());
    if let Some(group) = rest.strip_prefix('{') {
        rest = group.trim_start();
        while !rest.is_empty() && !rest.starts_with('}') {
            let next = tree(rest, before, leaves).trim_start();
            // A comma, or a star.
            rest = next.strip_prefix([',', '*']).unwrap_or(next).trim_start();
        }
        return rest.strip_prefix('}').unwrap_or(rest);
    }
    let (name, next) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
    if !name.is_empty() && (name != "self" || path.is_empty()) {
        path.push(name.to_owned());
    }
    if let Some(deeper) = next.trim_start().strip_prefix("::").filter(|_| !name.is_empty()) {
        return tree(deeper, &path, leaves);
    }
    let other = next.trim_start().strip_prefix("as ").map(str::trim_start);
    let (known, next) = match other {
        Some(other) => other.split_at(other.find(|c| !is_word(c)).unwrap_or(other.len())),
        None => (path.last().map_or("", String::as_str), next),
    };
    leaves.push((known.to_owned(), path.clone()));
    next
}

/// Those that reach each other.
fn rings(arrows: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<Vec<&str>> {
    let all: BTreeMap<&str, _> = arrows.keys().map(|name| (name.as_str(), reached(arrows, name))).collect();
    let ring = |name: &&str| {
        let back = |other: &&str| all.get(other).is_some_and(|reached| reached.contains(name));
        all.get(name).into_iter().flatten().copied().filter(back).collect::<Vec<_>>()
    };
    all.keys().map(ring).filter(|ring| ring.len() > 1).collect()
}

fn reached<'a>(arrows: &'a BTreeMap<String, BTreeSet<String>>, from: &'a str) -> BTreeSet<&'a str> {
    let (mut reached, mut left) = (BTreeSet::new(), vec![from]);
    while let Some(name) = left.pop() {
        let next = arrows.get(name).into_iter().flatten().map(String::as_str);
        left.extend(next.filter(|next| reached.insert(*next)));
    }
    reached
}

#[test]
fn a_ring_is_found_through_whatever_hands_it_on() {
    let file = |path: &str, text: &str| Source { path: path.into(), text: text.to_owned() };
    let rings = |one: &str, other: &str| {
        let sources = [
            file("lib.rs", "mod room;"),
            file("room.rs", "mod one; mod other; mod third; pub use one::One; use other::{Other as Renamed};"),
            file("room/one.rs", one),
            file("room/other.rs", "mod inner;"),
            file("room/other/inner.rs", other),
            file("room/third.rs", "use super::one::One;"),
        ];
        Imports::of(&sources).rings().into_iter().collect::<Vec<_>>()
    };
    for one in ["use super::other::Other;", "use crate::room::{third, Renamed};", "fn f() { super::Renamed::g() }"] {
        for other in ["use crate::room::One;", "use super::super::{one::{self, One}};", "use crate::room::one as x;"] {
            assert!(rings(one, other)[0].starts_with("room: one, other"), "{one} {other}");
        }
        let tests = "#[cfg(test)]\nmod tests { use crate::room::One; }";
        assert!(!rings(one, tests).contains(&"room: one, other".to_owned()), "tests may");
    }
    let parts =
        "use super::super::Own; use crate::room; // super::one::One\nconst S: &str = \"super::super::one::One\";";
    assert!(rings("use super::other::inner;", parts).is_empty(), "what stands above is no neighbour");
}
