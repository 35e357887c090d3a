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

/// Something to be removed from the second tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) number: u64,
    pub(super) what: Untrue,
    /// Whether the other hosts have to be told.
    pub(super) tell: bool,
}

#[derive(Debug)]
pub(super) struct Doubts {
    state: Mutex<State>,
    asked: watch::Sender<u64>,
    done: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// The last job for each tag, and the last for everything.
    tags: HashMap<String, u64>,
    all: Option<u64>,
    jobs: Vec<Job>,
    last: u64,
}

impl Default for Doubts {
    fn default() -> Self {
        Self { state: Mutex::default(), asked: watch::Sender::new(0), done: watch::Sender::new(0) }
    }
}

impl Doubts {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on it is in doubt. Gives back the number of the job.
    pub(super) fn add(&self, what: &Untrue, tell: bool) -> u64 {
        let mut state = self.state();
        state.last += 1;
        let number = state.last;
        match what {
            Untrue::Tags(tags) if state.tags.len() + tags.len() <= MOST_TAGS => {
                state.tags.extend(tags.iter().map(|tag| (tag.clone(), number)));
                state.jobs.push(Job { number, what: what.clone(), tell });
            }
            _ => {
                // It does the work of all that wait.
                let tell = tell || state.jobs.iter().any(|job| job.tell);
                state.tags.clear();
                state.all = Some(number);
                state.jobs = vec![Job { number, what: Untrue::All, tell }];
            }
        }
        drop(state);
        self.asked.send_replace(number);
        number
    }

    pub(super) fn is_doubtful(&self, tags: &[String]) -> bool {
        let state = self.state();
        state.all.is_some() || (!state.tags.is_empty() && tags.iter().any(|tag| state.tags.contains_key(tag)))
    }

    /// The oldest job, once there is one.
    pub(super) async fn next(&self) -> Job {
        let mut asked = self.asked.subscribe();
        loop {
            if let Some(job) = self.state().jobs.first().cloned() {
                return job;
            }
            // The sender lives as long as we do.
            let _ = asked.changed().await;
        }
    }

    pub(super) fn finish(&self, job: &Job) {
        let mut state = self.state();
        state.jobs.retain(|other| other.number != job.number);
        match &job.what {
            Untrue::Tags(tags) => tags.iter().for_each(|tag| {
                if state.tags.get(tag) == Some(&job.number) {
                    state.tags.remove(tag);
                }
            }),
            Untrue::All if state.all == Some(job.number) => state.all = None,
            Untrue::All => {}
        }
        drop(state);
        self.done.send_replace(job.number);
    }

    /// Until the job with this number was done; or one after it, which did its work.
    pub(super) async fn done(&self, number: u64) {
        let _ = self.done.subscribe().wait_for(|done| *done >= number).await;
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
    async fn a_tag_is_in_doubt_until_its_last_job_is_done() {
        let doubts = Doubts::default();
        doubts.add(&tags(&["a", "b"]), true);
        doubts.add(&tags(&["a"]), false);
        let first = doubts.next().await;
        doubts.finish(&first);
        assert_eq!((is_doubtful(&doubts, "a"), is_doubtful(&doubts, "b")), (true, false));
        let second = doubts.next().await;
        doubts.finish(&second);
        assert!(!is_doubtful(&doubts, "a"));
        doubts.done(2).await;
    }

    #[tokio::test]
    async fn too_many_tags_are_everything() {
        let doubts = Doubts::default();
        for tag in 0..=MOST_TAGS {
            doubts.add(&tags(&[&tag.to_string()]), tag == 0);
        }
        assert!(is_doubtful(&doubts, "never heard of"));
        let job = doubts.next().await;
        assert_eq!((&job.what, job.tell), (&Untrue::All, true), "what was to be told is told");
        doubts.finish(&job);
        assert!(!is_doubtful(&doubts, "0"));
        doubts.done(1).await;
    }
}
