//! All releases and what is wanted of them, as values: what may happen to them is decided here, and kept by the store.

use super::record::{Event, Name, Record, State};
use crate::model::Digest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Releases of which is known; beyond, those go that ended longest ago.
pub(super) const MOST_RECORDS: usize = 2_000;
/// Events that are kept, in memory and on disk.
pub(super) const MOST_EVENTS: usize = 10_000;
/// Releases of one plugin of which the bytes are kept.
pub(super) const MOST_KEPT: usize = 10;

/// Why something can't be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    #[error("{plugin} {version} is {}, and can't become {}", .from.map_or("unknown", State::as_str), .to.as_str())]
    Step { plugin: String, version: String, from: Option<State>, to: State },
    #[error("no release {0} is known here")]
    Unknown(String),
}

/// Who changes something, when, and why.
#[derive(Debug, Clone, Copy)]
pub struct Cause<'a> {
    pub by: &'a str,
    pub reason: &'a str,
    /// Milliseconds since 1970.
    pub at: u64,
}

/// The release of a plugin that somebody has asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goal {
    pub digest: Digest,
    /// What was asked for before, or served: it stands by, and takes its place where it can't serve.
    pub before: Option<Digest>,
    /// Whether `before` was asked for itself.
    pub before_asked: bool,
    /// Whether it has served since it was asked for.
    pub served: bool,
    /// It was asked for by lying in the folder: once it serves, the folder says what goes on.
    pub by_folder: bool,
}

impl Goal {
    /// As it was before this was asked for.
    pub fn back(&self) -> Option<Self> {
        let digest = self.before.filter(|_| self.before_asked)?;
        Some(Self { digest, before: None, before_asked: false, served: true, by_folder: false })
    }

    pub fn names(&self, digest: &Digest) -> bool {
        self.digest == *digest || self.before == Some(*digest)
    }
}

/// What is to be written, as one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    pub events: Vec<Event>,
    pub records: BTreeSet<Digest>,
    pub forgotten: BTreeSet<Digest>,
    pub goals: BTreeSet<String>,
    /// Events with lower numbers are kept no longer.
    pub first: u64,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.records.is_empty() && self.forgotten.is_empty() && self.goals.is_empty()
    }
}

/// Releases, what is wanted of them, and how that came.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    records: BTreeMap<Digest, Record>,
    goals: BTreeMap<String, Goal>,
    events: VecDeque<Event>,
    next: u64,
    batch: Batch,
}

impl Ledger {
    /// As it was written before.
    pub fn of(records: Vec<Record>, goals: BTreeMap<String, Goal>, events: Vec<Event>) -> Self {
        let next = events.last().map_or(0, |event| event.number + 1);
        let records = records.into_iter().map(|record| (record.digest, record)).collect();
        Self { records, goals, events: events.into(), next, batch: Batch::default() }
    }

    pub fn record(&self, digest: &Digest) -> Option<&Record> {
        self.records.get(digest)
    }

    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    pub fn of_plugin(&self, plugin: &str) -> impl Iterator<Item = &Record> {
        self.records.values().filter(move |record| record.name.plugin == plugin)
    }

    /// In the order of their numbers, from this one on.
    pub fn events(&self, from: u64) -> impl Iterator<Item = &Event> {
        let at = self.events.partition_point(|event| event.number < from);
        self.events.range(at..)
    }

    /// The number that the next event gets: another one than before where anything has changed.
    pub fn revision(&self) -> u64 {
        self.next
    }

    pub fn goal(&self, plugin: &str) -> Option<Goal> {
        self.goals.get(plugin).copied()
    }

    pub fn goals(&self) -> impl Iterator<Item = (&String, &Goal)> {
        self.goals.iter()
    }

    /// Without one, of a plugin the highest version serves that can.
    pub fn set_goal(&mut self, plugin: &str, goal: Option<Goal>) {
        let before = match goal {
            Some(goal) => self.goals.insert(plugin.to_owned(), goal),
            None => self.goals.remove(plugin),
        };
        if before != goal {
            self.batch.goals.insert(plugin.to_owned());
        }
    }

    /// Another state, and the event of it. A release that is not known yet begins as staged.
    pub fn step(&mut self, digest: Digest, name: &Name, to: State, cause: Cause<'_>) -> Result<(), Illegal> {
        let from = self.records.get(&digest).map(|record| record.state);
        if !from.map_or(to == State::Staged, |from| from.may_become(to)) {
            let (plugin, version) = (name.plugin.clone(), name.version.to_string());
            return Err(Illegal::Step { plugin, version, from, to });
        }
        let number = self.next;
        self.next += 1;
        let (by, reason) = (cause.by.to_owned(), cause.reason.to_owned());
        let before = self.records.get(&digest);
        let record = Record {
            digest,
            name: name.clone(),
            state: to,
            since: cause.at,
            by: by.clone(),
            reason: reason.clone(),
            barred: matches!(to, State::RolledBack | State::Rejected)
                || (to != State::Staged && before.is_some_and(|before| before.barred)),
            kept: before.is_some_and(|before| before.kept),
            live_at: if to == State::Live { Some(number) } else { before.and_then(|before| before.live_at) },
            revision: number,
        };
        let (plugin, version, at) = (name.plugin.clone(), name.version.clone(), cause.at);
        let event = Event { number, at, digest, plugin, version, from, to, by, reason };
        self.records.insert(digest, record);
        self.batch.records.insert(digest);
        self.batch.forgotten.remove(&digest);
        self.batch.events.push(event.clone());
        self.events.push_back(event);
        self.forget();
        Ok(())
    }

    /// Whether nothing but an explicit apply puts it into service again.
    pub fn set_barred(&mut self, digest: &Digest, barred: bool) {
        if let Some(record) = self.records.get_mut(digest).filter(|record| record.barred != barred) {
            record.barred = barred;
            self.batch.records.insert(*digest);
        }
    }

    pub fn set_kept(&mut self, digest: &Digest, kept: bool) {
        if let Some(record) = self.records.get_mut(digest).filter(|record| record.kept != kept) {
            record.kept = kept;
            self.batch.records.insert(*digest);
        }
    }

    /// What serves or is on its way, and what was asked for.
    fn is_needed(&self, record: &Record) -> bool {
        !matches!(record.state, State::Retired | State::Rejected | State::RolledBack) || self.is_asked_for(record)
    }

    fn is_asked_for(&self, record: &Record) -> bool {
        self.goals.get(&record.name.plugin).is_some_and(|goal| goal.names(&record.digest))
    }

    /// Of the kept releases of this plugin, those that are too many: the ones of which nothing was heard for longest.
    pub fn too_many_kept(&self, plugin: &str) -> Vec<Digest> {
        let serves = |record: &Record| matches!(record.state, State::Live | State::Draining);
        let kept = self.of_plugin(plugin).filter(|record| record.kept && !serves(record) && !self.is_asked_for(record));
        let mut kept: Vec<_> = kept.map(|record| (record.revision, record.digest)).collect();
        kept.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        kept.into_iter().skip(MOST_KEPT).map(|(_, digest)| digest).collect()
    }

    /// The release that served before the one that serves now, of those that may.
    pub fn before_live(&self, plugin: &str) -> Option<&Record> {
        let may = |record: &&Record| !record.barred && record.state != State::Live;
        let served = self.of_plugin(plugin).filter(may).filter_map(|record| Some((record.live_at?, record)));
        served.max_by_key(|(at, _)| *at).map(|(_, record)| record)
    }

    fn forget(&mut self) {
        while self.events.len() > MOST_EVENTS {
            self.events.pop_front();
        }
        self.batch.first = self.events.front().map_or(0, |event| event.number);
        // Looked for now and then: there may be more of what is needed.
        while self.records.len() > MOST_RECORDS && self.next.is_multiple_of(64) {
            let ended = self.records.values().filter(|record| !self.is_needed(record) && !record.kept);
            let Some(oldest) = ended.min_by_key(|record| record.revision).map(|record| record.digest) else { break };
            self.records.remove(&oldest);
            self.batch.records.remove(&oldest);
            self.batch.forgotten.insert(oldest);
        }
    }

    /// What has changed since it was taken last.
    pub fn take_batch(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }

    /// What could not be written is written with what comes next.
    pub fn give_back(&mut self, batch: Batch) {
        let later = std::mem::replace(&mut self.batch, batch);
        self.batch.events.extend(later.events);
        self.batch.records.extend(later.records);
        self.batch.forgotten.extend(later.forgotten);
        self.batch.goals.extend(later.goals);
        self.batch.first = self.batch.first.max(later.first);
        // However long nothing can be written, no more waits than would be kept.
        let first = self.batch.first;
        self.batch.events.retain(|event| event.number >= first);
    }
}
