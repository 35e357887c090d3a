//! Each target on its corpus, on thousands of seeded mutations of it, and on noise.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests, too, may end the test")]

use std::{fs, path::Path};
use weft_fuzz::TARGETS;

const MUTATIONS: usize = 4_000;

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

/// One to four small changes.
fn mutated(bytes: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => bytes[at] = random.next() as u8,
            2 => bytes.truncate(at),
            3 => bytes.insert(at, random.next() as u8),
            4 if !bytes.is_empty() => drop(bytes.remove(at)),
            _ => bytes.extend_from_slice(&other[random.below(other.len())..]),
        }
    }
    bytes
}

#[test]
fn every_file_of_the_corpus_matters() {
    for (name, target) in TARGETS {
        let files = corpus(name);
        assert!(files.len() >= 4, "{name} has nothing to begin with");
        for (file, bytes) in files {
            assert!(target(&bytes), "{file} does not come as far as to test anything");
        }
    }
}

#[test]
fn mutations_of_the_corpus_break_no_promise() {
    for (name, target) in TARGETS {
        let (files, mut random) = (corpus(name), Random(1));
        let mattered = (0..MUTATIONS).filter(|_| {
            let one = &files[random.below(files.len())].1;
            let other = &files[random.below(files.len())].1;
            target(&mutated(one, other, &mut random))
        });
        let mattered = mattered.count();
        assert!(mattered > MUTATIONS / 10, "of {MUTATIONS} mutations of {name} only {mattered} tested anything");
    }
}

#[test]
fn noise_breaks_no_promise() {
    let mut random = Random(2);
    for (_, target) in TARGETS {
        for _ in 0..MUTATIONS {
            let length = random.below(120);
            target(&random.bytes(length));
        }
    }
}
