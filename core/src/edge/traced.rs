//! What a trace is told of a request as a whole.

use super::{answer::Over, request::Head};
use crate::{
    gateway::Trail,
    observe::{Attributes, Recorder, Served, Stats},
};

/// Methods that there may be a series for, by the semantic conventions for HTTP.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];

/// A request and what is known of it. Dropped before it was answered, its client has gone away, and who records it is told so.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) head: Head,
    pub(super) trail: Trail,
    is_over: bool,
}

impl Open {
    pub(super) fn new(head: Head) -> Self {
        Self { head, trail: Trail::default(), is_over: false }
    }

    /// It is over.
    pub(super) fn served(mut self, over: &Over<'_>) {
        self.is_over = true;
        self.tell(Some(over));
    }

    fn tell(&self, over: Option<&Over<'_>>) {
        let Self { head, trail, .. } = self;
        let of_guest = trail.observer.as_ref().and_then(|observer| observer.recorder());
        if let Some(recorder) = of_guest.or(head.recorder.as_ref()) {
            tell(recorder, head, trail, over);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.is_over {
            self.tell(None);
        }
    }
}

fn tell(recorder: &Recorder, head: &Head, trail: &Trail, over: Option<&Over<'_>>) {
    let found = trail.endpoint.as_ref();
    let mut attributes = Attributes::default();
    attributes.put_any("weft.client", trail.client.clone());
    if let Some(found) = found {
        attributes.put("weft.plugin", found.release.name.clone());
        attributes.put("weft.plugin.version", found.release.version.to_string());
    }
    if let Some(stats) = trail.stats() {
        attributes.put("weft.calls", stats.calls()).put("weft.calls.upstream", Stats::upstream(stats));
    }
    attributes.put_any("weft.cache", over.and_then(|over| over.cache?.to_str().ok()).map(word));
    let method = METHODS.into_iter().find(|known| *known == head.method.as_str()).unwrap_or("_OTHER");
    recorder.served(Served {
        method,
        route: found.map(|found| found.policy.name.template()),
        status: over.map(|over| over.status.as_u16()),
        problem: over.and_then(|over| over.fault).map(|fault| fault.problem.kind.as_str()),
        attributes,
    });
}

/// Of `cache-status`, how the response came to be.
fn word(said: &str) -> &'static str {
    match said {
        _ if said.contains("stale") => "stale",
        _ if said.contains("; hit") => "hit",
        _ if said.contains("; collapsed") => "coalesced",
        _ => "miss",
    }
}
