//! How one source is followed: connected as long as can be, each message to its tags, each tag to the cache; and what is believed while
//! the broker is away.

use super::{
    EventsState,
    config::{SourceConfig, WhileAway},
    mapping::{Mapping, Skipped},
};
use crate::{
    fanout::{Doubt, Engine},
    net::Backoff,
    store::Invalidation,
    sync::lock,
    telemetry::{EventsMetrics, Metrics},
};
use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

/// Tags that are invalidated one by one.
const MOST_TAGS: usize = 10_000;
/// Messages of one kind that mean nothing get one line in so long.
const QUIET: Duration = Duration::from_mins(1);

/// What brings messages.
pub(super) trait Source: Send + Sync + 'static {
    /// Connects and subscribes: no message that is published from then on is missed by the session.
    fn open(&self) -> BoxFuture<'_, Result<Opened, Lost>>;
}

/// A session, and whether messages may have been missed since the one before it.
pub(super) struct Opened {
    pub(super) session: Box<dyn Session>,
    pub(super) has_gap: bool,
}

/// Messages of one connection, in the order of their subject.
pub(super) trait Session: Send {
    /// As soon as there are any; none, where only [`Session::pending`] is another one.
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Message>, Lost>>;
    /// All that [`Session::next`] has given was dealt with, and need not come again.
    fn done(&mut self) -> BoxFuture<'_, Result<(), Lost>>;
    /// Messages that wait at the broker, as far as it tells.
    fn pending(&self) -> u64;
}

pub(super) struct Message {
    pub(super) subject: String,
    pub(super) payload: Bytes,
    /// When the broker had it, where it tells.
    pub(super) published: Option<SystemTime>,
}

/// Why there are no messages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Lost(pub(super) String);

#[derive(Debug)]
pub(super) struct Follower {
    name: String,
    mapping: Mapping,
    while_away: WhileAway,
    has_past: bool,
    engine: ArcSwap<Engine>,
    metrics: EventsMetrics,
    standing: Mutex<Standing>,
    /// Held while cached replies are not believed.
    doubt: Mutex<Option<Doubt>>,
}

#[derive(Debug, Default)]
struct Standing {
    connected: bool,
    error: Option<String>,
    pending: u64,
    taken: u64,
    skipped: u64,
    /// Lines about messages that mean nothing: when the last one was written, and how many have come since.
    told: BTreeMap<&'static str, (Instant, u64)>,
}

impl Follower {
    /// `has_past`: replies may be cached already of which this source could have said something.
    pub(super) fn new(source: &SourceConfig, engine: Arc<Engine>, has_past: bool, metrics: &Metrics) -> Self {
        Self {
            name: source.name.clone(),
            mapping: source.mapping.clone(),
            while_away: source.while_away,
            has_past,
            engine: ArcSwap::new(engine),
            metrics: metrics.events(&source.name),
            standing: Mutex::default(),
            doubt: Mutex::default(),
        }
    }

    /// From now on it is this engine's cache that is told, and doubted.
    pub(super) fn tell(&self, engine: Arc<Engine>) {
        let mut doubt = lock(&self.doubt);
        if doubt.is_some() {
            *doubt = Some(engine.doubt());
        }
        self.engine.store(engine);
    }

    pub(super) fn state(&self) -> EventsState {
        let standing = lock(&self.standing);
        EventsState {
            name: self.name.clone(),
            connected: standing.connected,
            error: standing.error.clone(),
            pending: standing.pending,
            taken: standing.taken,
            skipped: standing.skipped,
        }
    }

    /// Until the future is dropped.
    pub(super) async fn run(self: Arc<Self>, source: impl Source) {
        let mut backoff = Backoff::of_neighbours();
        self.doubt();
        // What hosts share may be older than this process.
        let mut has_past = self.has_past || self.engine.load().shared().is_some();
        loop {
            let begun = Instant::now();
            let lost = match source.open().await {
                Ok(Opened { session, has_gap }) => {
                    self.is_there();
                    if has_gap && has_past && self.while_away == WhileAway::Doubt {
                        self.engine.load_full().invalidate_everywhere(&Invalidation::All).await;
                    }
                    has_past = true;
                    self.listen(session).await
                }
                Err(lost) => lost,
            };
            self.doubt();
            self.is_away(&lost);
            tokio::time::sleep(backoff.pause_after(begun.elapsed())).await;
        }
    }

    fn doubt(&self) {
        if self.while_away == WhileAway::Doubt {
            lock(&self.doubt).get_or_insert_with(|| self.engine.load().doubt());
        }
    }

    async fn listen(&self, mut session: Box<dyn Session>) -> Lost {
        loop {
            self.waiting(session.pending());
            if session.pending() == 0 {
                *lock(&self.doubt) = None;
            }
            let messages = match session.next().await {
                Ok(messages) => messages,
                Err(lost) => return lost,
            };
            if let Some(what) = self.invalidated(&messages).await {
                self.engine.load_full().invalidate_everywhere(&what).await;
            }
            // Only now: what is lost before is brought once more.
            if let Err(lost) = session.done().await {
                return lost;
            }
        }
    }

    /// What they say has changed; everything, where they say so of too much to tell it apart.
    async fn invalidated(&self, messages: &[Message]) -> Option<Invalidation> {
        let mut all = BTreeSet::new();
        for message in messages {
            // Each may be a megabyte to read.
            tokio::task::consume_budget().await;
            match self.mapping.tags(&message.subject, &message.payload) {
                Ok(tags) => {
                    self.metrics.taken.inc();
                    lock(&self.standing).taken += 1;
                    if all.len() <= MOST_TAGS {
                        all.extend(tags);
                    }
                }
                Err(reason) => self.skip(message, &reason),
            }
        }
        if let Some(published) = messages.last().and_then(|message| message.published) {
            let lag = SystemTime::now().duration_since(published).unwrap_or_default();
            self.metrics.lag_seconds.set(lag.as_secs_f64());
        }
        match all.len() {
            0 => None,
            1..=MOST_TAGS => Some(Invalidation::Tags(all.into_iter().collect())),
            _ => Some(Invalidation::All),
        }
    }

    fn skip(&self, message: &Message, reason: &Skipped) {
        self.metrics.skipped(reason.reason());
        let now = Instant::now();
        let mut standing = lock(&self.standing);
        standing.skipped += 1;
        let more = match standing.told.get_mut(reason.reason()) {
            Some((since, count)) if now.duration_since(*since) < QUIET => {
                *count += 1;
                return;
            }
            Some((_, count)) => *count,
            None => 0,
        };
        standing.told.insert(reason.reason(), (now, 0));
        drop(standing);
        tracing::warn!(
            events = %self.name,
            subject = %message.subject,
            more,
            "a message was passed over, as {reason}; `more` were since the last such line"
        );
    }

    fn waiting(&self, pending: u64) {
        self.metrics.pending.set(i64::try_from(pending).unwrap_or(i64::MAX));
        lock(&self.standing).pending = pending;
    }

    fn is_there(&self) {
        self.metrics.connected.set(1);
        let mut standing = lock(&self.standing);
        standing.connected = true;
        standing.error = None;
        drop(standing);
        tracing::info!(events = %self.name, "the source of events is there");
    }

    fn is_away(&self, lost: &Lost) {
        self.metrics.connected.set(0);
        let mut standing = lock(&self.standing);
        let is_new = standing.connected || standing.error.is_none();
        standing.connected = false;
        standing.error = Some(lost.0.clone());
        drop(standing);
        if is_new {
            let meanwhile = match self.while_away {
                WhileAway::Serve => "cached replies are served until their lifetimes end",
                WhileAway::Doubt => "cached replies are not believed until it is back and caught up with",
            };
            tracing::warn!(events = %self.name, "the source of events is away: {lost}; {meanwhile}");
        }
    }
}
