//! What a trace is told of a request as a whole.

use super::{answer::Over, request::Head};
use crate::{
    gateway::Trail,
    observe::{Attributes, Recorder, Served, Stats},
};

/// Methods that there may be a series for, by the semantic conventions for HTTP.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];

/// Tells who records the request, where somebody does, that it is over.
pub(super) fn served(head: &Head, trail: &Trail, over: &Over<'_>) {
    let of_guest = trail.observer.as_ref().and_then(|observer| observer.recorder());
    if let Some(recorder) = of_guest.or(head.recorder.as_ref()) {
        tell(recorder, head, trail, over);
    }
}

fn tell(recorder: &Recorder, head: &Head, trail: &Trail, over: &Over<'_>) {
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
    attributes.put_any("weft.cache", over.cache.and_then(|said| said.to_str().ok()).map(word));
    let method = METHODS.into_iter().find(|known| *known == head.method.as_str()).unwrap_or("_OTHER");
    recorder.served(Served {
        method,
        route: found.map(|found| found.policy.name.template()),
        status: over.status.as_u16(),
        problem: over.fault.map(|fault| fault.problem.kind.as_str()),
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
