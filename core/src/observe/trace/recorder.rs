//! What is recorded of one request.

use super::{
    authored::{Authored, Open, bounded, cut},
    moments::{Moment, Moments},
    span::{Attributes, Span, SpanKind, SpanSink},
};
use crate::{
    model::{Trace, TraceContext},
    observe::{Degraded, Ended, Event, Listener, Origin, RefusedBy, Trip},
    sync::lock,
};
use std::{
    borrow::Cow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::Instant;

/// Of a span's name, in bytes: receivers make lists of names, and some refuse long ones. Methods and paths stand whole in attributes.
const LONGEST_NAME: usize = 256;

/// Trips of one request that it has joined late, of which each has one call span.
const LATE: usize = 1024;

/// Records one request.
#[derive(Debug)]
pub struct Recorder {
    sink: Arc<dyn SpanSink>,
    trace: Trace,
    /// One moment by the clock that people have, and by the one that never jumps.
    anchor: (u64, Instant),
    since: Instant,
    /// The span of the guest, the parent of all calls.
    guest: TraceContext,
    moments: Mutex<Moments>,
    /// Trips that it has joined after they had left.
    late: Mutex<Vec<Arc<Trip>>>,
    is_served: AtomicBool,
    authored: Mutex<Authored>,
}

impl Recorder {
    pub(super) fn new(sink: Arc<dyn SpanSink>, trace: Trace, since: Instant) -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let anchor = (nanos(wall), Instant::now());
        let guest = trace.context.another();
        Self {
            sink,
            trace,
            anchor,
            since,
            guest,
            moments: Mutex::default(),
            late: Mutex::default(),
            is_served: AtomicBool::new(false),
            authored: Mutex::default(),
        }
    }

    /// The request's own span.
    pub fn context(&self) -> TraceContext {
        self.trace.context
    }

    pub(super) fn trace(&self) -> &Trace {
        &self.trace
    }

    pub(super) fn guest(&self) -> TraceContext {
        self.guest
    }

    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// Nanoseconds since 1970.
    pub(super) fn at(&self, instant: Instant) -> u64 {
        let (wall, anchor) = self.anchor;
        match instant.checked_duration_since(anchor) {
            Some(later) => wall.saturating_add(nanos(later)),
            None => wall.saturating_sub(nanos(anchor.saturating_duration_since(instant))),
        }
    }

    /// A span of this request's trace that has ended.
    pub(super) fn span(
        &self,
        ids: (TraceContext, Option<u64>),
        name: &Arc<str>,
        kind: SpanKind,
        time: (Instant, Instant),
    ) -> Span {
        let ((context, parent), (start, end)) = (ids, time);
        let name = match cut(name, LONGEST_NAME) {
            short if short.len() < name.len() => short.into(),
            _ => name.clone(),
        };
        Span {
            context,
            parent,
            state: self.trace.state().cloned(),
            name,
            kind,
            start: self.at(start),
            end: self.at(end),
            attributes: Attributes::default(),
            events: Vec::new(),
            dropped_events: 0,
            links: Vec::new(),
            dropped_links: 0,
            error: None,
        }
    }

    /// A span of the plugin's author begins, under another one or (0) under the guest's. 0: there are too many.
    pub fn begin_span(&self, name: &str, parent: u32) -> u32 {
        lock(&self.authored).begin(name, parent, self.guest)
    }

    /// It ends, with what is to be said of it.
    pub fn end_span(&self, span: u32, said: Vec<(String, String)>) {
        let open = lock(&self.authored).end(span);
        if let Some(open) = open {
            self.ended_span(&open, bounded(said));
        }
    }

    /// Those that the guest has left open end with it.
    pub(super) fn end_spans(&self) {
        let left = lock(&self.authored).end_all();
        left.iter().for_each(|open| self.ended_span(open, Attributes::default()));
    }

    fn ended_span(&self, open: &Open, attributes: Attributes) {
        let ids = (open.context, Some(open.parent));
        let mut span = self.span(ids, &open.name, SpanKind::Internal, (open.since, Instant::now()));
        span.attributes = attributes;
        self.hand_over(span);
    }

    /// Once: the request has been answered.
    pub(super) fn is_over(&self) {
        self.is_served.store(true, Relaxed);
    }

    pub(super) fn hand_over(&self, span: Span) {
        self.sink.take(span);
    }

    pub(super) fn take_moments(&self) -> Moments {
        std::mem::take(&mut *lock(&self.moments))
    }

    fn moment(
        &self,
        name: &'static str,
        method: Option<&Arc<str>>,
        calls: u32,
        detail: Option<(&'static str, &'static str)>,
    ) {
        lock(&self.moments).add(Moment { name, method: method.cloned(), detail }, calls);
    }

    fn ended(&self, Ended { method, takers, started, end }: &Ended<'_>) {
        let calls = takers.count();
        match (end.trip, end.origin) {
            (Some(trip), _) => self.came_late(trip, *method, started.unwrap_or(trip.started)),
            (None, Origin::Cache) => self.moment("cache.hit", *method, calls, None),
            (None, Origin::Stale) => self.moment("cache.stale", *method, calls, None),
            (None, Origin::Refused) => {
                let by = end.refused_by.map(|by| ("weft.refused_by", RefusedBy::as_str(by)));
                self.moment("call.refused", *method, calls, by);
            }
            (None, _) => {
                if let Err(code) = end.result {
                    self.moment("call.failed", *method, calls, Some(("rpc.status_code", code.as_str())));
                }
            }
        }
    }

    /// A trip that had left before this request asked for the same has no call span for it yet: here it is.
    fn came_late(&self, trip: &Arc<Trip>, method: Option<&Arc<str>>, started: Instant) {
        let own = self.trace.context;
        let (Some(method), traced) = (method, trip.traced.as_deref()) else { return };
        if traced.is_some_and(|traced| traced.requests.contains(&own)) {
            return;
        }
        {
            let mut late = lock(&self.late);
            if late.len() >= LATE || late.iter().any(|other| Arc::ptr_eq(other, trip)) {
                return;
            }
            late.push(trip.clone());
        }
        let ids = (self.guest.another(), Some(self.guest.span_id));
        let mut span = self.span(ids, method, SpanKind::Internal, (started, Instant::now()));
        span.attributes.put("weft.call.origin", Origin::Coalesced.as_str());
        traced.into_iter().for_each(|traced| span.link(traced.context));
        span.error = trip.failed.map(|code| Cow::Borrowed(code.as_str()));
        self.hand_over(span);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // Who served it has said nothing of its end.
        if !*self.is_served.get_mut() {
            let ids = (self.trace.context, self.trace.parent);
            let mut span = self.span(ids, &"HTTP".into(), SpanKind::Server, (self.since, Instant::now()));
            span.attributes.put("error.type", "abandoned");
            span.error = Some(Cow::Borrowed("abandoned"));
            self.hand_over(span);
        }
    }
}

impl Listener for Recorder {
    fn on(&self, event: &Event<'_>) {
        match event {
            Event::Joined { method } => self.moment("call.coalesced", Some(method), 1, None),
            Event::Ended(ended) => self.ended(ended),
            Event::Degraded { method, how } => {
                self.moment("degraded", Some(method), 1, Some(("weft.degraded.how", Degraded::as_str(*how))));
            }
            Event::Abandoned { method, takers, .. } => {
                self.moment("call.abandoned", Some(method), takers.count(), None);
            }
            _ => {}
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
