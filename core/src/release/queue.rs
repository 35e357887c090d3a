//! Which artifact is read or compiled next. One is read at a time, and as many compiled as there are compilers; the smallest goes first,
//! and a small one finds a place also beside giants; one that a host has died of goes when there is nothing else to do.

use super::folder::Stamp;
use crate::model::Digest;
use std::path::PathBuf;

/// Up to this size an artifact, in bytes, needs not wait until a larger one is compiled. A plugin in Rust has about a MiB.
const SMALL: usize = 2 << 20;

/// What takes longer than a look at the folder may.
#[derive(Debug)]
pub(super) struct Job<W> {
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
    pub(super) digest: Digest,
    /// In bytes.
    pub(super) size: usize,
    pub(super) is_suspect: bool,
    pub(super) kind: Kind,
    pub(super) work: W,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Compile,
}

#[derive(Debug)]
pub(super) struct Queue<W> {
    waiting: Vec<Job<W>>,
    /// How many may be compiled at once, without the place for a small one.
    compilers: usize,
    /// Kind and size of what is under way.
    running: Vec<(Kind, usize)>,
}

impl<W> Queue<W> {
    pub(super) fn new(compilers: usize) -> Self {
        Self { waiting: Vec::new(), compilers, running: Vec::new() }
    }

    pub(super) fn push(&mut self, job: Job<W>) {
        self.waiting.push(job);
    }

    /// Jobs that wait or are under way.
    pub(super) fn open(&self) -> usize {
        self.waiting.len() + self.running.len()
    }

    /// The next job that may begin. Say [`Self::done`] when it has ended.
    pub(super) fn take(&mut self) -> Option<Job<W>> {
        let only_suspects = self.running.is_empty() && self.waiting.iter().all(|job| job.is_suspect);
        let may_begin = |job: &Job<W>| (!job.is_suspect || only_suspects) && self.has_place(job.kind, job.size);
        let free = self.waiting.iter().enumerate().filter(|(_, job)| may_begin(job));
        let at = free.min_by_key(|(_, job)| job.size).map(|(at, _)| at)?;
        let job = self.waiting.remove(at);
        self.running.push((job.kind, job.size));
        Some(job)
    }

    pub(super) fn done(&mut self, kind: Kind, size: usize) {
        if let Some(at) = self.running.iter().position(|running| *running == (kind, size)) {
            self.running.swap_remove(at);
        }
    }

    fn has_place(&self, kind: Kind, size: usize) -> bool {
        let running = || self.running.iter().filter(|(other, _)| *other == kind);
        match kind {
            Kind::Read => running().count() == 0,
            Kind::Compile => {
                let beside_large = size <= SMALL && running().all(|(_, size)| *size > SMALL);
                running().count() < self.compilers + usize::from(beside_large)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: usize = SMALL + 1;

    fn job(name: &str, kind: Kind, size: usize) -> Job<()> {
        let (path, stamp, digest) = (name.into(), Stamp::numbered(0), Digest::of(name.as_bytes()));
        Job { path, stamp, digest, size, is_suspect: name.starts_with("suspect"), kind, work: () }
    }

    fn queue(jobs: impl IntoIterator<Item = Job<()>>) -> Queue<()> {
        let mut queue = Queue::new(1);
        jobs.into_iter().for_each(|job| queue.push(job));
        queue
    }

    fn begun(queue: &mut Queue<()>) -> Vec<String> {
        std::iter::from_fn(|| queue.take()).map(|job| job.path.display().to_string()).collect()
    }

    #[test]
    fn a_small_one_is_held_up_by_no_giant() {
        let sizes = [("giant", LARGE + 7), ("large", LARGE), ("small", 9), ("tiny", 1)];
        let mut queue = queue([job("giant", Kind::Compile, LARGE + 7)]);
        assert_eq!(begun(&mut queue), ["giant"]);
        sizes.iter().skip(1).for_each(|(name, size)| queue.push(job(name, Kind::Compile, *size)));
        assert_eq!(begun(&mut queue), ["tiny"], "there is one place more, for small ones");
        queue.done(Kind::Compile, 1);
        assert_eq!(begun(&mut queue), ["small"]);
        queue.done(Kind::Compile, LARGE + 7);
        assert!(begun(&mut queue).is_empty(), "the small one has the only compiler now");
        queue.done(Kind::Compile, 9);
        assert_eq!((begun(&mut queue), queue.open()), (vec!["large".to_owned()], 1));
    }

    #[test]
    fn one_is_read_beside_those_that_are_compiled() {
        let mut queue =
            queue([job("read", Kind::Read, 1), job("next", Kind::Read, 2), job("code", Kind::Compile, LARGE)]);
        assert_eq!(begun(&mut queue), ["read", "code"]);
        queue.done(Kind::Read, 1);
        assert_eq!(begun(&mut queue), ["next"]);
    }

    #[test]
    fn what_a_host_has_died_of_begins_when_there_is_nothing_else() {
        let suspects = [job("suspect 1", Kind::Read, 1), job("suspect 2", Kind::Read, 2)];
        let mut queue = queue(suspects.into_iter().chain([job("good", Kind::Compile, 5)]));
        assert_eq!(begun(&mut queue), ["good"]);
        queue.done(Kind::Compile, 5);
        assert_eq!(begun(&mut queue), ["suspect 1"]);
        queue.done(Kind::Read, 1);
        assert_eq!(begun(&mut queue), ["suspect 2"]);
    }
}
