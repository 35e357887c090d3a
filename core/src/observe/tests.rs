//! A listener that writes down what it hears, and what events cost those who don't listen.

use super::*;
use crate::model::Code;
use std::sync::{Arc, Mutex};

/// Writes down what a request hears, a line an event.
#[derive(Debug, Default)]
pub(super) struct Written(Mutex<Vec<String>>);

/// An observer that writes down what it hears, and what it has heard so far.
pub(crate) fn written() -> (Arc<RequestObserver>, impl Fn() -> Vec<String>) {
    let observer = Arc::new(RequestObserver { written: Some(Written::default()), ..RequestObserver::default() });
    let heard = {
        let observer = observer.clone();
        move || std::mem::take(&mut *observer.written.as_ref().unwrap().0.lock().unwrap())
    };
    (observer, heard)
}

impl Listener for Written {
    fn on(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(line(event));
    }
}

fn last(method: &str) -> &str {
    method.rsplit('/').next().unwrap()
}

fn line(event: &Event<'_>) -> String {
    match event {
        Event::Asked { calls, depth } => format!("asked: {calls} calls, depth {depth}"),
        Event::LookedUp { method, found } => format!("looked up: {} {}", last(method), found.as_str()),
        Event::Joined { method } => format!("joined: {}", last(method)),
        Event::Gathered { method, keys } => format!("gathered: {} {keys}", last(method)),
        Event::Left(Leaving { via, keys, requests }) => {
            format!("left: {} {keys} keys for {requests} requests", last(via))
        }
        Event::AttemptBegan(Attempt { endpoint, number, kind, .. }) => {
            format!("attempt {number}: {kind:?} at {endpoint}")
        }
        Event::AttemptEnded { attempt, code, took, .. } => format!("attempt {}: {code} after {took:?}", attempt.number),
        Event::Back(trip) => {
            let Trip { via, attempts, failed, refused_by, .. } = &***trip;
            let (code, by) = (failed.map_or("OK", Code::as_str), refused_by.map_or("sent", RefusedBy::as_str));
            format!("back: {} {code} after {attempts} attempts, {by}", last(via))
        }
        Event::OddReply(OddReply { via, oddity, .. }) => format!("odd: {} {oddity:?}", last(via)),
        Event::Degraded { method, how } => format!("degraded: {} {}", last(method), how.as_str()),
        Event::Ended(Ended { method, takers, end, .. }) => {
            let code = end.result.err().map_or("OK", Code::as_str);
            let method = method.map_or("?", |method| last(method));
            format!("ended: {method} {:?}+{} {} {code}", takers.first, takers.duplicates.len(), end.origin.as_str())
        }
        Event::Abandoned { method, takers, .. } => format!("abandoned: {} {}", last(method), takers.count()),
        Event::GuestRan(cost) => format!("guest ran: {} crossings", cost.crossings),
        Event::GuestCrashed => "guest crashed".to_owned(),
    }
}

/// Whoever reports has made nothing that would have to be taken away again: an event owns nothing, so making one allocates nothing.
#[test]
fn an_event_owns_nothing_and_is_small() {
    fn is_copied<T: Copy>() {}
    is_copied::<Event<'_>>();
    assert!(!std::mem::needs_drop::<Event<'_>>());
    assert!(size_of::<Event<'_>>() <= 160, "{}", size_of::<Event<'_>>());
}

/// Sums are kept for every request, and all else for who asked for it.
#[test]
fn what_is_remembered_is_remembered_for_who_listens() {
    let method: Arc<str> = "s.S/M".into();
    let takers = TakenBy { first: Some((0, 1)), duplicates: &[(1, 1)] };
    let end = End {
        result: Ok(7),
        origin: Origin::Upstream,
        age: std::time::Duration::ZERO,
        refused_by: None,
        cut: false,
        trip: None,
    };
    let event = Event::Ended(Ended { method: Some(&method), takers, started: None, end });
    for (explains, remembered) in [(false, 0), (true, 2)] {
        let observer = RequestObserver::new(explains, None);
        observer.on(&event);
        assert_eq!(observer.stats().bytes(), 14);
        assert_eq!(Arc::strong_count(&method), 1 + remembered);
        assert_eq!(observer.explanation().is_some(), explains);
    }
}

#[test]
fn an_audience_has_each_request_once() {
    let requests: Vec<Arc<RequestObserver>> = (0..3).map(|_| Arc::default()).collect();
    let mut audience = Audience::default();
    audience.on(&Event::GuestCrashed);
    for place in [0, 0, 1, 0, 2, 1, 2] {
        audience.add(&requests[place]);
    }
    assert_eq!(audience.len(), 3);
    let via: Arc<str> = "s.S/M".into();
    audience.clone().on(&Event::Left(Leaving { via: &via, keys: 7, requests: audience.len() }));
    assert!(requests.iter().all(|request| request.stats().upstream() == 1));
}
