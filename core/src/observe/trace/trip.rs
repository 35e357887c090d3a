//! The spans of one call upstream: what it was for each request that it was for, the call itself, and its attempts.

use super::{
    recorder::Recorder,
    span::{Span, SpanKind},
};
use crate::{
    model::{Code, TraceContext},
    observe::{Attempt, AttemptKind, Event, Listener, Spoken, Traced, Trip},
    sync::lock,
};
use http::HeaderMap;
use std::{
    borrow::Cow,
    sync::{Arc, Mutex},
};
use tokio::time::Instant;

/// Links of one span.
const MOST_LINKS: usize = 128;

/// A call as it leaves.
#[derive(Debug)]
pub struct Departure<'a> {
    /// The method that plugins have called.
    pub method: &'a Arc<str>,
    /// The method that is called upstream.
    pub via: &'a Arc<str>,
    /// Calls that it stands for.
    pub keys: usize,
    /// When the first of them was made.
    pub asked: Instant,
}

/// Records one call upstream.
#[derive(Debug)]
pub(in crate::observe) struct TripSpan {
    /// In whose trace it stands.
    owner: Arc<Recorder>,
    traced: Arc<Traced>,
    /// The requests that are recorded, each with its call span. Where the trip is for one call of one request, that is the trip's own.
    calls: Vec<(Arc<Recorder>, TraceContext)>,
    method: Arc<str>,
    via: Arc<str>,
    keys: usize,
    requests: usize,
    asked: Instant,
    left: Instant,
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    attempts: Vec<Began>,
    is_back: bool,
}

/// An attempt that has not ended.
#[derive(Debug)]
struct Began {
    span: u64,
    since: Instant,
    endpoint: Arc<str>,
    number: u32,
    kind: AttemptKind,
    /// Method and path; `None`: it is asked by gRPC.
    http: Option<(http::Method, Arc<str>)>,
}

impl TripSpan {
    /// `None`: none of the requests is recorded. `requests`: how many there are.
    pub(in crate::observe) fn of<'a>(
        recorders: impl Iterator<Item = &'a Arc<Recorder>>,
        requests: usize,
        departure: &Departure<'_>,
    ) -> Option<Arc<Self>> {
        let calls: Vec<_> = recorders.map(|recorder| (recorder.clone(), recorder.guest().another())).collect();
        let (owner, first) = calls.first().map(|(owner, call)| (owner.clone(), *call))?;
        let is_shared = departure.keys > 1 || requests > 1;
        let context = if is_shared { first.another() } else { first };
        let traced = Traced { context, requests: calls.iter().map(|(recorder, _)| recorder.context()).collect() };
        Some(Arc::new(Self {
            owner,
            traced: Arc::new(traced),
            calls,
            method: departure.method.clone(),
            via: departure.via.clone(),
            keys: departure.keys,
            requests,
            asked: departure.asked,
            left: Instant::now(),
            under_way: Mutex::default(),
        }))
    }

    pub(in crate::observe) fn traced(&self) -> &Arc<Traced> {
        &self.traced
    }

    /// Another attempt's span.
    pub(in crate::observe) fn attempt(&self) -> u64 {
        self.traced.context.another().span_id
    }

    /// What the backend is told of the trace by an attempt.
    pub(in crate::observe) fn tell(&self, span_id: u64, headers: &mut HeaderMap) {
        let context = TraceContext { span_id, ..self.traced.context };
        self.owner.trace().write(Some(context), headers);
    }

    fn is_shared(&self) -> bool {
        self.keys > 1 || self.requests > 1
    }

    fn attempt_ended(&self, began: &Began, code: Code, status: Option<u16>) {
        let context = TraceContext { span_id: began.span, ..self.traced.context };
        let ids = (context, Some(self.traced.context.span_id));
        let name = match &began.http {
            Some((method, path)) => format!("{method} {path}").into(),
            None => self.via.clone(),
        };
        let mut span = self.owner.span(ids, &name, SpanKind::Client, (began.since, Instant::now()));
        match &began.http {
            // As the semantic conventions have it, but for `url.full`: it has values in it.
            Some((method, path)) => {
                span.attributes
                    .put("http.request.method", method.to_string())
                    .put("url.template", path)
                    .put_any("http.response.status_code", status.map(u32::from))
                    .put_any("http.request.resend_count", began.number.checked_sub(1).filter(|count| *count > 0));
            }
            None => {
                span.attributes
                    .put("rpc.system.name", "grpc")
                    .put("rpc.method", &self.via)
                    .put("rpc.status_code", code.as_str());
            }
        }
        let (address, port) = split(&began.endpoint);
        let kind = match began.kind {
            AttemptKind::First => "first",
            AttemptKind::Retry => "retry",
            AttemptKind::Hedge => "hedge",
        };
        span.attributes
            .put("server.address", address)
            .put_any("server.port", port)
            .put("weft.attempt.number", began.number)
            .put("weft.attempt.kind", kind);
        match status.filter(|status| *status >= 400) {
            Some(status) => {
                span.attributes.put("error.type", status.to_string());
                span.error = Some(Cow::Borrowed(code.as_str()));
            }
            None => failed(&mut span, (code != Code::Ok).then_some(code)),
        }
        self.owner.hand_over(span);
    }

    /// All that is open ends: the attempts that were given up, the trip, and what it was for each request.
    fn end(&self, trip: Option<&Trip>) {
        let given_up = {
            let mut under_way = lock(&self.under_way);
            if std::mem::replace(&mut under_way.is_back, true) {
                return;
            }
            std::mem::take(&mut under_way.attempts)
        };
        given_up.iter().for_each(|began| self.attempt_ended(began, Code::Cancelled, None));
        let code = trip.map_or(Some(Code::Cancelled), |trip| trip.failed);
        if self.is_shared() {
            self.owner.hand_over(self.batch(trip, code));
        }
        let link = self.is_shared().then_some(self.traced.context);
        for (recorder, call) in &self.calls {
            let ids = (*call, Some(recorder.guest().span_id));
            // The first of the calls may have been another request's, from before this one began.
            let asked = self.asked.max(recorder.since());
            let mut span = recorder.span(ids, &self.method, SpanKind::Internal, (asked, Instant::now()));
            if !self.is_shared() {
                about(&mut span, trip);
            }
            link.into_iter().for_each(|link| span.link(link));
            failed(&mut span, code);
            recorder.hand_over(span);
        }
    }

    fn batch(&self, trip: Option<&Trip>, code: Option<Code>) -> Span {
        let parent = self.calls.first().map(|(_, call)| call.span_id);
        let ids = (self.traced.context, parent);
        let mut span = self.owner.span(
            ids,
            &format!("batch {}", self.via).into(),
            SpanKind::Internal,
            (self.left, Instant::now()),
        );
        span.attributes.put("weft.batch.keys", self.keys).put("weft.batch.requests", self.requests);
        about(&mut span, trip);
        span.links.extend(self.calls.iter().take(MOST_LINKS).map(|(_, call)| *call));
        span.dropped_links = u32::try_from(self.calls.len() - span.links.len()).unwrap_or(u32::MAX);
        failed(&mut span, code);
        span
    }
}

impl Listener for TripSpan {
    fn on(&self, event: &Event<'_>) {
        match *event {
            Event::AttemptBegan(Attempt { endpoint, number, kind, span, by, .. }) => {
                let (since, endpoint) = (Instant::now(), endpoint.clone());
                let http = match by {
                    Spoken::Grpc => None,
                    Spoken::Http { method, path } => Some((method.clone(), path.clone())),
                };
                lock(&self.under_way).attempts.push(Began { span, since, endpoint, number, kind, http });
            }
            Event::AttemptEnded { attempt, code, status, .. } => {
                let mut under_way = lock(&self.under_way);
                let place = under_way.attempts.iter().position(|began| began.number == attempt.number);
                let began = place.map(|place| under_way.attempts.swap_remove(place));
                drop(under_way);
                began.into_iter().for_each(|began| self.attempt_ended(&began, code, status));
            }
            Event::Back(trip) => self.end(Some(trip)),
            _ => {}
        }
    }
}

impl Drop for TripSpan {
    fn drop(&mut self) {
        // Nobody waited for it any more.
        self.end(None);
    }
}

fn about(span: &mut Span, trip: Option<&Trip>) {
    let Some(trip) = trip else { return };
    span.attributes
        .put("weft.call.gathered_seconds", trip.gathered.as_secs_f64())
        .put("weft.call.attempts", trip.attempts)
        .put_any("weft.refused_by", trip.refused_by.map(|by| by.as_str()))
        .put_any("weft.call.alone", trip.alone);
}

fn failed(span: &mut Span, code: Option<Code>) {
    if let Some(code) = code {
        span.attributes.put("error.type", code.as_str());
        span.error = Some(Cow::Borrowed(code.as_str()));
    }
}

/// `[::1]:50051` as address and port.
fn split(endpoint: &str) -> (String, Option<u32>) {
    match endpoint.rsplit_once(':').map(|(address, port)| (address, port.parse::<u16>())) {
        Some((address, Ok(port))) => (address.trim_matches(['[', ']']).to_owned(), Some(port.into())),
        _ => (endpoint.to_owned(), None),
    }
}
