//! What may still stand in the shared tier although it is true no more: from the moment it is known until it was removed there,
//! however long that takes, nobody reads it.

use crate::sync::lock;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};
use tokio::sync::watch;

/// Tags that are pending; one more, and everything is.
const MOST_TAGS: usize = 10_000;

/// What is true no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalidation {
    /// Entries with one of these tags.
    Tags(Vec<String>),
    All,
}

/// Something to be removed from the shared tier: all that was pending when it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    /// Of the last invalidation that it carries out.
    pub(super) number: u64,
    pub(super) what: Invalidation,
    /// What the other hosts have to be told of it: never what was heard from them, which would go round for ever.
    pub(super) tell: Option<Invalidation>,
}

#[derive(Debug)]
pub(super) struct PendingInvalidations {
    state: Mutex<State>,
    asked: watch::Sender<u64>,
    done: watch::Sender<u64>,
}

/// Equal tags are pending once, so that it takes no more room however often they are said.
#[derive(Debug, Default)]
struct State {
    tags: HashMap<String, Pending>,
    all: Option<Pending>,
    last: u64,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    /// Of the last time that it was said.
    number: u64,
    tell: bool,
}

impl Default for PendingInvalidations {
    fn default() -> Self {
        Self { state: Mutex::default(), asked: watch::Sender::new(0), done: watch::Sender::new(0) }
    }
}

impl State {
    fn add(&mut self, what: &Invalidation, tell: bool) {
        self.last += 1;
        let number = self.last;
        if let Invalidation::Tags(tags) = what {
            for tag in tags {
                let told = self.tags.get(tag).is_some_and(|pending| pending.tell);
                if self.tags.len() < MOST_TAGS || self.tags.contains_key(tag) {
                    self.tags.insert(tag.clone(), Pending { number, tell: tell || told });
                } else {
                    // What was to be told of them is told with everything.
                    let tell = self.tags.drain().fold(tell, |tell, (_, pending)| tell || pending.tell);
                    return self.add_all(number, tell);
                }
            }
        } else {
            self.add_all(number, tell);
        }
    }

    fn add_all(&mut self, number: u64, tell: bool) {
        let tell = tell || self.all.is_some_and(|all| all.tell);
        self.all = Some(Pending { number, tell });
    }

    fn job(&self) -> Option<Job> {
        if self.all.is_none() && self.tags.is_empty() {
            return None;
        }
        let tags =
            |told: bool| self.tags.iter().filter(move |(_, pending)| pending.tell || !told).map(|(tag, _)| tag.clone());
        let what = if self.all.is_some() { Invalidation::All } else { Invalidation::Tags(tags(false).collect()) };
        let tell = match self.all {
            Some(Pending { tell: true, .. }) => Some(Invalidation::All),
            _ => Some(tags(true).collect::<Vec<_>>()).filter(|tags| !tags.is_empty()).map(Invalidation::Tags),
        };
        Some(Job { number: self.last, what, tell })
    }
}

impl PendingInvalidations {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// From now on it is pending, under the number that comes back.
    pub(super) fn add(&self, what: &Invalidation, tell: bool) -> u64 {
        let mut state = self.state();
        state.add(what, tell);
        let number = state.last;
        drop(state);
        self.asked.send_replace(number);
        number
    }

    pub(super) fn is_pending(&self, tags: &[String]) -> bool {
        let state = self.state();
        state.all.is_some() || (!state.tags.is_empty() && tags.iter().any(|tag| state.tags.contains_key(tag)))
    }

    /// All that is pending, as one job; `None`: nothing is.
    pub(super) fn pending(&self) -> Option<Job> {
        self.state().job()
    }

    /// As [`PendingInvalidations::pending`], once something is.
    pub(super) async fn next(&self) -> Job {
        let mut asked = self.asked.subscribe();
        loop {
            if let Some(job) = self.pending() {
                return job;
            }
            // The sender lives as long as we do.
            let _ = asked.changed().await;
        }
    }

    /// What was said again meanwhile stays pending.
    pub(super) fn finish(&self, job: &Job) {
        let mut state = self.state();
        let stays = |pending: &Pending| pending.number > job.number;
        state.tags.retain(|_, pending| stays(pending));
        state.all = state.all.filter(stays);
        drop(state);
        self.done.send_replace(job.number);
    }

    /// Until the invalidation with this number was carried out.
    pub(super) async fn done(&self, number: u64) {
        let _ = self.done.subscribe().wait_for(|done| *done >= number).await;
    }

    /// Until nothing is pending.
    pub(super) async fn settled(&self) {
        let mut done = self.done.subscribe();
        while self.pending().is_some() {
            let _ = done.changed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(names: &[&str]) -> Invalidation {
        Invalidation::Tags(names.iter().map(|&name| name.to_owned()).collect())
    }

    fn is_pending(pending: &PendingInvalidations, tag: &str) -> bool {
        pending.is_pending(&["other".to_owned(), tag.to_owned()])
    }

    #[tokio::test]
    async fn a_tag_is_pending_until_what_was_said_last_is_done() {
        let pending = PendingInvalidations::default();
        pending.add(&tags(&["a", "b"]), true);
        let first = pending.next().await;
        pending.add(&tags(&["a"]), false);
        pending.finish(&first);
        assert_eq!((is_pending(&pending, "a"), is_pending(&pending, "b")), (true, false));
        let second = pending.next().await;
        assert_eq!((&second.what, second.number), (&tags(&["a"]), 2));
        pending.finish(&second);
        assert!(!is_pending(&pending, "a"));
        pending.done(2).await;
        pending.settled().await;
    }

    #[tokio::test]
    async fn equal_tags_are_pending_once_however_often_they_are_said() {
        let pending = PendingInvalidations::default();
        for turn in 0..3 * MOST_TAGS {
            pending.add(&tags(&["a", "b"]), turn == 0);
        }
        assert!(!is_pending(&pending, "c"), "the bound is for different ones");
        let job = pending.next().await;
        let Invalidation::Tags(found) = &job.what else { panic!("{job:?}") };
        assert_eq!((found.len(), &job.tell), (2, &Some(job.what.clone())), "in no order, but in one");
        pending.finish(&job);
        assert_eq!(pending.pending(), None, "one job for all");
    }

    #[tokio::test]
    async fn what_was_heard_from_others_is_not_told_to_them_again() {
        let pending = PendingInvalidations::default();
        pending.add(&tags(&["heard"]), false);
        pending.add(&tags(&["own"]), true);
        assert_eq!(pending.next().await.tell, Some(tags(&["own"])));
        pending.add(&Invalidation::All, false);
        let job = pending.next().await;
        assert_eq!((&job.what, &job.tell), (&Invalidation::All, &Some(tags(&["own"]))));
        pending.finish(&job);
        pending.add(&tags(&["heard"]), false);
        assert_eq!(pending.next().await.tell, None);
    }

    #[tokio::test]
    async fn too_many_tags_are_everything() {
        let pending = PendingInvalidations::default();
        for tag in 0..=MOST_TAGS {
            pending.add(&tags(&[&tag.to_string()]), tag == 0);
        }
        assert!(is_pending(&pending, "never heard of"));
        let job = pending.next().await;
        assert_eq!(
            (&job.what, &job.tell),
            (&Invalidation::All, &Some(Invalidation::All)),
            "what was to be told is told"
        );
        pending.finish(&job);
        assert!(!is_pending(&pending, "0"));
        pending.done(1).await;
    }
}
