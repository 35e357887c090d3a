//! Who listens to the events of one request.

use super::{Event, FollowedCalls, Listener, Recorder, Stats, explain::Explain};
use std::sync::Arc;

/// All who listen to what happens for one request.
#[derive(Debug, Default)]
pub struct RequestObserver {
    pub(super) stats: Stats,
    /// Where a caller has asked for it, and may; or where somebody follows.
    pub(super) explain: Option<Explain>,
    /// By a caller.
    pub(super) is_asked: bool,
    /// Where its trace is sampled.
    pub(super) recorder: Option<Arc<Recorder>>,
    #[cfg(test)]
    pub(super) written: Option<super::tests::Written>,
}

impl RequestObserver {
    /// `explain`: each call is remembered, for the waterfall.
    pub fn new(explain: bool, recorder: Option<Arc<Recorder>>) -> Self {
        Self { explain: explain.then(Explain::default), is_asked: explain, recorder, ..Self::default() }
    }

    /// Each call is remembered for who follows, whatever the caller has asked for.
    pub fn followed(self, is_followed: bool) -> Self {
        let explain = self.explain.or_else(|| is_followed.then(Explain::default));
        Self { explain, ..self }
    }

    pub fn recorder(&self) -> Option<&Arc<Recorder>> {
        self.recorder.as_ref()
    }

    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The request's calls so far, where its caller has asked for them.
    pub fn explanation(&self) -> Option<serde_json::Value> {
        self.explain.as_ref().filter(|_| self.is_asked).map(Explain::to_json)
    }

    /// The same for who follows, where they are remembered.
    pub fn followed_calls(&self) -> Option<FollowedCalls> {
        let explain = self.explain.as_ref()?;
        Some(FollowedCalls::new(&self.stats, explain.origins().into_iter(), explain.to_json()))
    }
}

impl Listener for RequestObserver {
    fn on(&self, event: &Event<'_>) {
        self.stats.on(event);
        self.explain.on(event);
        self.recorder.as_deref().on(event);
        #[cfg(test)]
        self.written.on(event);
    }
}
