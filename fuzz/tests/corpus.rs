//! Each target on its corpus, on thousands of seeded mutations of it, and on noise.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests, too, may end the test")]

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
};
use weft_fuzz::{TARGETS, Target};

/// Mutations of one round. Those that sign, read a text twice and more, or go through a host, take their time in a build for debugging.
fn mutations(target: &str) -> usize {
    match target {
        "token" | "artifact" | "configuration" | "manifest" | "edge" | "gateway" | "mocks" => 1_000,
        _ => 4_000,
    }
}

/// `WEFT_FUZZ_ROUNDS=100` searches for longer; each round has its own mutations.
fn rounds() -> u64 {
    std::env::var("WEFT_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1)
}

/// splitmix64: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect();
    files.sort();
    files
}

/// One to four small changes, or a part of another file.
fn mutated(bytes: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(8) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => bytes[at] = random.next() as u8,
            2 if random.below(4) == 0 => bytes.truncate(at),
            3 => bytes.insert(at, random.next() as u8),
            4 if !bytes.is_empty() => drop(bytes.remove(at)),
            // A character that means something to somebody.
            5 if !bytes.is_empty() => {
                bytes[at] = *b"\n\0\"'/{}[].=,:;&%+-*0919 ".get(random.below(24)).unwrap_or(&b'a')
            }
            // A piece of the same file once more, or of another one.
            6 => {
                let from = random.below(bytes.len());
                let piece = bytes[from..bytes.len().min(from + random.below(24))].to_vec();
                bytes.splice(at..at, piece);
            }
            7 => {
                let from = random.below(other.len());
                let piece = other[from..other.len().min(from + random.below(40))].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => bytes.extend_from_slice(&other[random.below(other.len())..]),
        }
    }
    bytes
}

/// Runs the target; bytes that break a promise are kept in a file, to become a part of the corpus.
fn run((name, target): Target, bytes: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| target(bytes))).unwrap_or_else(|panic| {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("broken-by-{name}"));
        fs::write(&file, bytes).unwrap();
        eprintln!("{name}: the bytes that broke it are in {}", file.display());
        resume_unwind(panic)
    })
}

fn on_mutations(target: Target) {
    let (name, files) = (target.0, corpus(target.0));
    for round in 1..=rounds() {
        let mut random = Random(round);
        let mattered = (0..mutations(name)).filter(|_| {
            let one = &files[random.below(files.len())].1;
            let other = &files[random.below(files.len())].1;
            run(target, &mutated(one, other, &mut random))
        });
        let (mattered, all) = (mattered.count(), mutations(name));
        assert!(mattered > all / 10, "of {all} mutations of {name} only {mattered} tested anything");
    }
}

#[test]
fn every_file_of_the_corpus_matters() {
    for (name, target) in TARGETS {
        let files = corpus(name);
        assert!(files.len() >= 4, "{name} has nothing to begin with");
        for (file, bytes) in files {
            // Once of ten times, as a host that is slow to answer may hear first that its client has left.
            assert!((0..10).any(|_| target(&bytes)), "{file} does not come as far as to test anything");
        }
    }
}

#[test]
fn noise_breaks_no_promise() {
    let mut random = Random(2);
    for target in TARGETS {
        for _ in 0..mutations(target.0) {
            let length = random.below(120);
            run(target, &random.bytes(length));
        }
    }
}

/// One test for each target, so that each is told and can be run alone.
macro_rules! mutations_break_no_promise_of {
    ($($name:ident),+) => {
        mod mutations_break_no_promise_of {
            $(#[test]
            fn $name() {
                super::on_mutations((stringify!($name), weft_fuzz::$name));
            })+
        }

        #[test]
        fn no_target_is_left_out() {
            assert_eq!(TARGETS.map(|(name, _)| name), [$(stringify!($name)),+]);
            let programs = concat!(env!("CARGO_MANIFEST_DIR"), "/cargo-fuzz/fuzz_targets");
            $(assert!(Path::new(programs).join(concat!(stringify!($name), ".rs")).exists(), "cargo-fuzz: {}", stringify!($name));)+
        }
    };
}

mutations_break_no_promise_of!(
    batch,
    answers,
    fields,
    manifest,
    artifact,
    configuration,
    contract,
    mocks,
    template,
    message,
    query,
    selection,
    token,
    json,
    forwarded,
    backend,
    record,
    registry,
    slices,
    release,
    gateway,
    edge
);
