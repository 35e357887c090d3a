//! Browsers that are signed in: random ids that only they and this host know, for a while.

use super::role::Role;
use crate::{model::Digest, sync::lock};
use std::{collections::HashMap, sync::Mutex, time::Duration};
use tokio::time::Instant;

/// Sessions at the same time. A further one takes the place of the one that ends first.
const MOST: usize = 200;

#[derive(Debug)]
pub(super) struct Sessions {
    life: Duration,
    /// By the digest of their ids.
    open: Mutex<HashMap<Digest, Session>>,
}

/// A browser that is signed in.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// Of the token that it was begun with.
    pub(super) name: String,
    pub(super) role: Role,
    /// Whose releases it may change, if not all.
    pub(super) clients: Option<Vec<String>>,
    /// What its pages say with every change.
    pub(super) csrf: String,
    until: Instant,
}

impl Session {
    pub(super) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

impl Sessions {
    pub(super) fn new(life: Duration) -> Self {
        Self { life, open: Mutex::default() }
    }

    /// A new one, and the id that its browser is given.
    pub(super) fn begin(&self, name: &str, role: Role, clients: Option<Vec<String>>) -> (String, Session) {
        let (id, csrf) = (random(), random());
        let session = Session { name: name.to_owned(), role, clients, csrf, until: Instant::now() + self.life };
        let mut open = lock(&self.open);
        open.retain(|_, session| !session.left().is_zero());
        if open.len() >= MOST
            && let Some(first) = open.iter().min_by_key(|(_, session)| session.until).map(|(id, _)| *id)
        {
            open.remove(&first);
        }
        open.insert(Digest::of(id.as_bytes()), session.clone());
        (id, session)
    }

    pub(super) fn find(&self, id: &str) -> Option<Session> {
        let open = lock(&self.open);
        open.get(&Digest::of(id.as_bytes())).filter(|session| !session.left().is_zero()).cloned()
    }

    pub(super) fn end(&self, id: &str) {
        lock(&self.open).remove(&Digest::of(id.as_bytes()));
    }
}

/// 256 bits, from a generator that is seeded by the system and fit for secrets.
fn random() -> String {
    Digest::of(&rand::random::<[u8; 32]>()).hex()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn sessions_end_and_are_bounded() {
        let sessions = Sessions::new(Duration::from_mins(1));
        let (first, session) = sessions.begin("t", Role::Viewer, None);
        assert_eq!(sessions.find(&first).map(|found| found.csrf), Some(session.csrf));
        assert!(sessions.find("").is_none() && sessions.find(&first.to_uppercase()).is_none());
        tokio::time::advance(Duration::from_secs(1)).await;
        let ids: Vec<_> = (0..MOST).map(|_| sessions.begin("t", Role::Viewer, None).0).collect();
        assert!(sessions.find(&first).is_none(), "it ended first, so it makes room");
        assert!(ids.iter().all(|id| sessions.find(id).is_some()));
        sessions.end(&ids[0]);
        assert!(sessions.find(&ids[0]).is_none());
        tokio::time::advance(Duration::from_mins(1)).await;
        assert!(ids.iter().all(|id| sessions.find(id).is_none()));
        sessions.begin("t", Role::Viewer, None);
        assert_eq!(lock(&sessions.open).len(), 1);
    }
}
