//! What may still stand in the second tier although it is true no more: from the moment it is known until it was removed there,
//! however long that takes, nobody reads it.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// Tags in doubt; one more, and everything is.
const MOST_TAGS: usize = 10_000;

/// What is true no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Untrue {
    /// Entries with one of these tags.
    Tags(Vec<String>),
    All,
}

/// Something to be removed from the second tier: all that was in doubt when it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    /// Of the last doubt that it removes.
    pub(super) number: u64,
    pub(super) what: Untrue,
    /// What the other hosts have to be told of it: never what was heard from them, which would go round for ever.
    pub(super) tell: Option<Untrue>,
}

#[derive(Debug)]
pub(super) struct Doubts {
    state: Mutex<State>,
    asked: watch::Sender<u64>,
    done: watch::Sender<u64>,
}

/// Equal tags are one doubt, so that it takes no more room however often they are said.
#[derive(Debug, Default)]
struct State {
    tags: HashMap<String, Doubt>,
    all: Option<Doubt>,
    last: u64,
}

#[derive(Debug, Clone, Copy)]
struct Doubt {
    /// Of the last time that it was said.
    number: u64,
    tell: bool,
}

impl Default for Doubts {
    fn default() -> Self {
        Self { state: Mutex::default(), asked: watch::Sender::new(0), done: watch::Sender::new(0) }
    }
}

impl State {
    fn add(&mut self, what: &Untrue, tell: bool) {
        self.last += 1;
        let number = self.last;
        if let Untrue::Tags(tags) = what {
            for tag in tags {
                let told = self.tags.get(tag).is_some_and(|doubt| doubt.tell);
                if self.tags.len() < MOST_TAGS || self.tags.contains_key(tag) {
                    self.tags.insert(tag.clone(), Doubt { number, tell: tell || told });
                } else {
                    // What was to be told of them is told with everything.
                    let tell = self.tags.drain().fold(tell, |tell, (_, doubt)| tell || doubt.tell);
                    return self.doubt_all(number, tell);
                }
            }
        } else {
            self.doubt_all(number, tell);
        }
    }

    fn doubt_all(&mut self, number: u64, tell: bool) {
        let tell = tell || self.all.is_some_and(|all| all.tell);
        self.all = Some(Doubt { number, tell });
    }

    fn job(&self) -> Option<Job> {
        if self.all.is_none() && self.tags.is_empty() {
            return None;
        }
        let tags =
            |told: bool| self.tags.iter().filter(move |(_, doubt)| doubt.tell || !told).map(|(tag, _)| tag.clone());
        let what = if self.all.is_some() { Untrue::All } else { Untrue::Tags(tags(false).collect()) };
        let tell = match self.all {
            Some(Doubt { tell: true, .. }) => Some(Untrue::All),
            _ => Some(tags(true).collect::<Vec<_>>()).filter(|tags| !tags.is_empty()).map(Untrue::Tags),
        };
        Some(Job { number: self.last, what, tell })
    }
}

impl Doubts {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on it is in doubt. Gives back the number of the doubt.
    pub(super) fn add(&self, what: &Untrue, tell: bool) -> u64 {
        let mut state = self.state();
        state.add(what, tell);
        let number = state.last;
        drop(state);
        self.asked.send_replace(number);
        number
    }

    pub(super) fn is_doubtful(&self, tags: &[String]) -> bool {
        let state = self.state();
        state.all.is_some() || (!state.tags.is_empty() && tags.iter().any(|tag| state.tags.contains_key(tag)))
    }

    /// All that is in doubt, as one job; `None`: nothing is.
    pub(super) fn pending(&self) -> Option<Job> {
        self.state().job()
    }

    /// As [`Doubts::pending`], once something is in doubt.
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

    /// What was said again meanwhile stays in doubt.
    pub(super) fn finish(&self, job: &Job) {
        let mut state = self.state();
        let stays = |doubt: &Doubt| doubt.number > job.number;
        state.tags.retain(|_, doubt| stays(doubt));
        state.all = state.all.filter(stays);
        drop(state);
        self.done.send_replace(job.number);
    }

    /// Until the doubt with this number was removed.
    pub(super) async fn done(&self, number: u64) {
        let _ = self.done.subscribe().wait_for(|done| *done >= number).await;
    }

    /// Until nothing is in doubt.
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

    fn tags(names: &[&str]) -> Untrue {
        Untrue::Tags(names.iter().map(|&name| name.to_owned()).collect())
    }

    fn is_doubtful(doubts: &Doubts, tag: &str) -> bool {
        doubts.is_doubtful(&["other".to_owned(), tag.to_owned()])
    }

    #[tokio::test]
    async fn a_tag_is_in_doubt_until_what_was_said_last_is_done() {
        let doubts = Doubts::default();
        doubts.add(&tags(&["a", "b"]), true);
        let first = doubts.next().await;
        doubts.add(&tags(&["a"]), false);
        doubts.finish(&first);
        assert_eq!((is_doubtful(&doubts, "a"), is_doubtful(&doubts, "b")), (true, false));
        let second = doubts.next().await;
        assert_eq!((&second.what, second.number), (&tags(&["a"]), 2));
        doubts.finish(&second);
        assert!(!is_doubtful(&doubts, "a"));
        doubts.done(2).await;
        doubts.settled().await;
    }

    #[tokio::test]
    async fn equal_tags_are_one_doubt_however_often_they_are_said() {
        let doubts = Doubts::default();
        for turn in 0..3 * MOST_TAGS {
            doubts.add(&tags(&["a", "b"]), turn == 0);
        }
        assert!(!is_doubtful(&doubts, "c"), "the bound is for different ones");
        let job = doubts.next().await;
        let Untrue::Tags(found) = &job.what else { panic!("{job:?}") };
        assert_eq!((found.len(), &job.tell), (2, &Some(job.what.clone())), "in no order, but in one");
        doubts.finish(&job);
        assert_eq!(doubts.pending(), None, "one job for all");
    }

    #[tokio::test]
    async fn what_was_heard_from_others_is_not_told_to_them_again() {
        let doubts = Doubts::default();
        doubts.add(&tags(&["heard"]), false);
        doubts.add(&tags(&["own"]), true);
        assert_eq!(doubts.next().await.tell, Some(tags(&["own"])));
        doubts.add(&Untrue::All, false);
        let job = doubts.next().await;
        assert_eq!((&job.what, &job.tell), (&Untrue::All, &Some(tags(&["own"]))));
        doubts.finish(&job);
        doubts.add(&tags(&["heard"]), false);
        assert_eq!(doubts.next().await.tell, None);
    }

    #[tokio::test]
    async fn too_many_tags_are_everything() {
        let doubts = Doubts::default();
        for tag in 0..=MOST_TAGS {
            doubts.add(&tags(&[&tag.to_string()]), tag == 0);
        }
        assert!(is_doubtful(&doubts, "never heard of"));
        let job = doubts.next().await;
        assert_eq!((&job.what, &job.tell), (&Untrue::All, &Some(Untrue::All)), "what was to be told is told");
        doubts.finish(&job);
        assert!(!is_doubtful(&doubts, "0"));
        doubts.done(1).await;
    }
}
