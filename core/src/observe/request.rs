//! Who listens to the events of one request.

use super::{Event, Listener, Recorder, Stats, explain::Explain};
use std::sync::Arc;

/// All who listen to what happens for one request.
#[derive(Debug, Default)]
pub struct RequestObserver {
    pub(super) stats: Stats,
    /// Where a caller has asked for it, and may.
    pub(super) explain: Option<Explain>,
    /// Where its trace is sampled.
    pub(super) recorder: Option<Arc<Recorder>>,
    #[cfg(test)]
    pub(super) written: Option<super::tests::Written>,
}

impl RequestObserver {
    /// `explain`: each call is remembered, for the waterfall.
    pub fn new(explain: bool, recorder: Option<Arc<Recorder>>) -> Self {
        Self { explain: explain.then(Explain::default), recorder, ..Self::default() }
    }

    pub fn recorder(&self) -> Option<&Arc<Recorder>> {
        self.recorder.as_ref()
    }

    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The request's calls so far, where they are remembered.
    pub fn explanation(&self) -> Option<serde_json::Value> {
        self.explain.as_ref().map(Explain::to_json)
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
