//! What it means for an endpoint's policy that its code answers in parts.

use super::manifest::EndpointPolicy;
use crate::settings::Mistakes;
use http::HeaderName;

/// What a client comes back with that has lost a stream.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

impl EndpointPolicy {
    /// Where a client left off is always told, and what belongs to one client at a time is kept for nobody.
    pub(super) fn becomes_a_stream(&mut self, mistakes: &Mistakes) {
        self.streams = true;
        self.produces = vec!["text/event-stream".to_owned()];
        if !self.headers.contains(&LAST_EVENT_ID) {
            self.headers.push(LAST_EVENT_ID);
        }
        for (what, is_there) in [("cache", self.cache.is_some()), ("idempotency", self.idempotency.is_some())] {
            if is_there {
                let text = format!("the code answers in parts (`EventStream`), which are never kept: remove `{what}`");
                mistakes.add(self.place.mistake(text));
            }
        }
        if self.fields.is_some() {
            let text = "the code answers in parts (`EventStream`), of which nothing can be chosen: remove `fields`";
            mistakes.add(self.place.mistake(text));
        }
    }
}
