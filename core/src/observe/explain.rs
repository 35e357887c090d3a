//! The waterfall of one request, for those who may ask: which calls waited for which, what travelled together, and how long.

use super::{Ended, Event, Listener, Origin, RefusedBy, Taker, Trip};
use crate::{model::Code, sync::lock};
use serde_json::{Value, json};
use std::{
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::time::Instant;

/// Width of the drawn waterfall, in characters.
const WIDTH: usize = 40;

/// The calls of one request as they end.
#[derive(Debug)]
pub(super) struct Explain {
    since: Instant,
    calls: Mutex<Vec<Recorded>>,
}

#[derive(Debug)]
struct Recorded {
    ticket: u32,
    method: Arc<str>,
    depth: u16,
    start_ms: f64,
    end_ms: f64,
    result: Result<usize, Code>,
    origin: Origin,
    age: Duration,
    refused_by: Option<RefusedBy>,
    cut: bool,
    trip: Option<Arc<Trip>>,
}

impl Default for Explain {
    fn default() -> Self {
        Self { since: Instant::now(), calls: Mutex::default() }
    }
}

impl Listener for Explain {
    fn on(&self, event: &Event<'_>) {
        match event {
            Event::Ended(ended) => self.ended(ended),
            Event::Abandoned { method, takers, started } => {
                let now = self.millis(Instant::now());
                let taker = |taker| Recorded {
                    start_ms: self.millis(*started),
                    ..Recorded::new(method, taker, now, Err(Code::Cancelled))
                };
                self.calls().extend(takers.first.iter().chain(takers.duplicates).map(taker));
            }
            _ => {}
        }
    }
}

impl Recorded {
    /// One that was never sent.
    fn new(method: &Arc<str>, &(ticket, depth): &Taker, now: f64, result: Result<usize, Code>) -> Self {
        let (origin, age) = (Origin::Upstream, Duration::ZERO);
        let (method, refused_by, cut, trip) = (method.clone(), None, false, None);
        Self { ticket, method, depth, start_ms: now, end_ms: now, result, origin, age, refused_by, cut, trip }
    }
}

impl Explain {
    fn ended(&self, Ended { method, takers, started, end }: &Ended<'_>) {
        let Some(method) = method else { return };
        let now = Instant::now();
        let (start_ms, now) = (self.millis(started.unwrap_or(now)), self.millis(now));
        let taken = |taker, origin| Recorded {
            start_ms,
            origin,
            age: end.age,
            refused_by: end.refused_by,
            cut: end.cut,
            trip: end.trip.cloned(),
            ..Recorded::new(method, taker, now, end.result)
        };
        let mut calls = self.calls();
        calls.extend(takers.first.iter().map(|taker| taken(taker, end.origin)));
        calls.extend(takers.duplicates.iter().map(|taker| taken(taker, end.origin.for_duplicates())));
    }

    /// Where the replies of its calls came from.
    pub(super) fn origins(&self) -> Vec<Origin> {
        self.calls().iter().map(|call| call.origin).collect()
    }

    fn calls(&self) -> MutexGuard<'_, Vec<Recorded>> {
        lock(&self.calls)
    }

    fn millis(&self, at: Instant) -> f64 {
        let millis = at.saturating_duration_since(self.since).as_secs_f64() * 1e3;
        (millis * 100.0).round() / 100.0
    }

    pub(super) fn to_json(&self) -> Value {
        let mut calls = self.calls();
        calls.sort_by_key(|call| call.ticket);
        let mut trips: Vec<&Arc<Trip>> = Vec::new();
        for trip in calls.iter().filter_map(|call| call.trip.as_ref()) {
            if !trips.iter().any(|other| Arc::ptr_eq(other, trip)) {
                trips.push(trip);
            }
        }
        let number = |trip: &Arc<Trip>| trips.iter().position(|other| Arc::ptr_eq(other, trip));
        let call = |call: &Recorded| {
            let (code, bytes) = match call.result {
                Ok(bytes) => ("OK", bytes),
                Err(code) => (code.as_str(), 0),
            };
            json!({
                "ticket": call.ticket, "method": *call.method, "depth": call.depth, "start_ms": call.start_ms, "end_ms": call.end_ms,
                "origin": call.origin.as_str(), "code": code, "bytes": bytes, "age_ms": call.age.as_millis() as u64,
                "refused_by": call.refused_by.map(RefusedBy::as_str), "cut": call.cut,
                "trip": call.trip.as_ref().and_then(number),
            })
        };
        let trip = |trip: &&Arc<Trip>| {
            json!({
                "via": *trip.via, "keys": trip.keys, "attempts": trip.attempts, "endpoint": trip.endpoint.as_deref(),
                "code": trip.failed.map_or("OK", Code::as_str), "alone": trip.alone, "gathered_ms": trip.gathered.as_secs_f64() * 1e3,
                "start_ms": self.millis(trip.started), "end_ms": self.millis(trip.ended),
            })
        };
        json!({
            "waterfall": self.draw(&calls),
            "trips": trips.iter().map(trip).collect::<Vec<_>>(),
            "calls": calls.iter().map(call).collect::<Vec<_>>(),
        })
    }

    /// One line for all calls of a method that started and ended together: `   0.0 ▕██████        ▏  12.1 ms  100× people.v1…`.
    fn draw(&self, calls: &[Recorded]) -> Vec<String> {
        let total = calls.iter().map(|call| call.end_ms).fold(0.01, f64::max);
        let mut groups: Vec<(&Recorded, usize)> = Vec::new();
        for call in calls {
            let alike = |(other, _): &&mut (&Recorded, usize)| {
                let same_trip = match (&other.trip, &call.trip) {
                    (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                    (None, None) => true,
                    _ => false,
                };
                same_trip
                    && other.method == call.method
                    && other.origin == call.origin
                    && other.refused_by == call.refused_by
                    && other.depth == call.depth
            };
            match groups.iter_mut().find(alike) {
                Some((_, count)) => *count += 1,
                None => groups.push((call, 1)),
            }
        }
        groups.iter().map(|(call, count)| line(call, *count, total)).collect()
    }
}

fn line(call: &Recorded, count: usize, total: f64) -> String {
    let column = |ms: f64| ((ms / total * WIDTH as f64).round() as usize).min(WIDTH);
    let (start, end) = (column(call.start_ms), column(call.end_ms));
    let end = end.max(start + 1).min(WIDTH.max(start + 1));
    let bar: String = (0..WIDTH).map(|at| if (start..end).contains(&at) { '█' } else { ' ' }).collect();
    let mut text = format!(
        "{:>7.1} ▕{bar}▏ {:>7.1} ms  {count:>4}× {} ({}",
        call.start_ms,
        call.end_ms,
        call.method,
        call.origin.as_str()
    );
    // Writing to a string can't fail.
    if let Some(by) = call.refused_by {
        let _ = write!(text, " by the {}", by.as_str());
    }
    if call.cut {
        text.push_str(", cut");
    }
    if let Some(trip) = &call.trip {
        if trip.keys > 1 {
            let _ = write!(text, ", {} keys via {}", trip.keys, trip.via);
        }
        if trip.attempts > 1 {
            let _ = write!(text, ", {} attempts", trip.attempts);
        }
        if trip.alone.is_some() {
            text.push_str(", alone: anonymous");
        }
    }
    if let Err(code) = call.result {
        let _ = write!(text, ", {code}");
    }
    if let Some(Trip { failed: Some(code), endpoint: Some(endpoint), .. }) = call.trip.as_deref() {
        match &call.result {
            // Something stands in for the reply, and nobody else would say why.
            Ok(_) => drop(write!(text, ", instead of {code} from {endpoint}")),
            Err(_) => drop(write!(text, " from {endpoint}")),
        }
    }
    text.push(')');
    text
}
