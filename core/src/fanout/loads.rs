//! The way of one load: a flight is answered by the shared tier, or by a call of the method; what came is kept, and told to all who wait.

use super::{
    call::Outcome,
    flight::{Flight, Flights, Load, LoadGuard, Unsent},
    inbox::Post,
    scope::Scoped,
    tiers::Tiers,
};
use crate::{
    model::{Code, Failure},
    observe::{Audience, Departure, Event, Leaving, Listener, Origin, RefusedBy, Trip},
    upstream::{Answer, Outgoing, Transport},
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use tokio::{runtime::Handle, task::AbortHandle, time::Instant};

/// Loads under way, and where that is kept which they bring.
#[derive(Debug)]
pub(super) struct Loads {
    pub(super) flights: Arc<Flights>,
    pub(super) tiers: Arc<Tiers>,
}

impl Loads {
    /// Starts the load of one flight that is sent alone.
    pub(super) fn start(self: &Arc<Self>, unsent: Unsent<'_>, scoped: &Arc<Scoped>) {
        let Some(flight) = unsent.take() else { return };
        // From here on the flight is the task's, whether it is ever run or not.
        let guard = LoadGuard::new(self.flights.clone(), vec![flight.clone()]);
        let load = Load::new(1);
        if !flight.attach(&load) {
            return;
        }
        let (loads, scoped) = (self.clone(), scoped.clone());
        let task = spawn(async move {
            // All of it: a block takes along only what it names.
            let _guard = guard;
            if flight.plan.cache.is_none() || !loads.take_shared(vec![flight.clone()]).await.is_empty() {
                let loaded = load_one(&flight, &scoped).await;
                loads.settle(&flight, loaded, &mut Post::default());
            }
        });
        load.runs_as(task);
    }

    /// Ends those flights that the shared tier has a fresh reply for; gives back the others.
    pub(super) async fn take_shared(&self, flights: Vec<Arc<Flight>>) -> Vec<Arc<Flight>> {
        let (found, left) = self.tiers.find_shared(flights).await;
        let mut post = Post::default();
        for (flight, outcome) in found {
            self.flights.end(&flight, &outcome, &mut post);
        }
        left
    }

    /// Keeps the result where the plan says so, then hands it to all who wait. In this order, so that a call that comes
    /// between the two finds one or the other. Where a load failed, an old reply may stand in.
    pub(super) fn settle(&self, flight: &Arc<Flight>, loaded: Loaded, post: &mut Post) {
        let is_whole = !loaded.cut;
        if is_whole {
            self.tiers.put_shared(flight, &loaded.result);
        }
        let mut outcome = loaded.into_outcome();
        if let Some(rule) = flight.plan.cache {
            if is_whole {
                self.tiers.keep(flight, &outcome.result, rule);
            }
            if outcome.is_backend_failure()
                && let Some((bytes, age)) = self.tiers.own.standby(&flight.key, rule.stale_if_error)
            {
                outcome = outcome.instead(bytes, Origin::Stale, age);
            }
        }
        self.flights.end(flight, &outcome, post);
    }

    /// The same for all of them.
    pub(super) fn settle_all<'a>(&self, flights: impl IntoIterator<Item = &'a Arc<Flight>>, loaded: &Loaded) {
        let mut post = Post::default();
        for flight in flights {
            self.settle(flight, loaded.clone(), &mut post);
        }
    }
}

/// One call of the method itself, for one flight.
pub(super) async fn load_one(flight: &Flight, scoped: &Scoped) -> Loaded {
    let plan = &flight.plan;
    let Some(deadline) = flight.ends() else { return Loaded::unwanted() };
    let mut audience = Audience::default();
    flight.invite(&mut audience);
    let outgoing = Outgoing {
        method: plan.method.clone(),
        message: flight.key.request.clone(),
        metadata: scoped.metadata.clone(),
        deadline,
        source: scoped.source,
        cut: Arc::default(),
        audience,
    };
    let started = Instant::now();
    let gathered = started.saturating_duration_since(flight.started);
    Leaves { method: &plan.name, keys: 1, gathered, started, alone: None }.send(&*plan.backend, outgoing).await
}

/// What is known of a call as it leaves the host.
#[derive(Debug)]
pub(super) struct Leaves<'a> {
    /// The method that plugins have called.
    pub(super) method: &'a Arc<str>,
    pub(super) keys: usize,
    pub(super) gathered: Duration,
    pub(super) started: Instant,
    pub(super) alone: Option<&'static str>,
}

impl Leaves<'_> {
    /// Out and back, told to all whom it is for.
    pub(super) async fn send(self, backend: &dyn Transport, mut outgoing: Outgoing) -> Loaded {
        let Self { method, keys, gathered, started, alone } = self;
        let via = outgoing.method.name.clone();
        let asked = started.checked_sub(gathered).unwrap_or(started);
        outgoing.audience.sets_out(&Departure { method, via: &via, keys, asked });
        let audience = outgoing.audience.clone();
        audience.on(&Event::Left(Leaving { via: &via, keys, requests: audience.len() }));
        let Answer { result, attempts, endpoint, refused_by, sent, cut } = backend.call(outgoing).await;
        let (failed, ended) = (result.as_ref().err().map(|failure| failure.code), Instant::now());
        let traced = audience.traced();
        let trip = Arc::new(Trip {
            via,
            keys,
            attempts,
            endpoint,
            failed,
            refused_by,
            gathered,
            started,
            ended,
            alone,
            traced,
        });
        audience.on(&Event::Back(&trip));
        Loaded { result, trip: Some(trip), refused_by, sent, cut }
    }
}

/// What a load brought.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub(super) result: Result<Bytes, Failure>,
    pub(super) trip: Option<Arc<Trip>>,
    /// Who refused the call, where it was not sent.
    pub(super) refused_by: Option<RefusedBy>,
    /// It may have reached the backend.
    pub(super) sent: bool,
    /// It is not all that there is, so it is not kept.
    pub(super) cut: bool,
}

impl Loaded {
    pub(super) fn unwanted() -> Self {
        let failure = Failure::new(Code::Cancelled, "nobody waits for the reply");
        Self { result: Err(failure), trip: None, refused_by: None, sent: false, cut: false }
    }

    /// The part of one item in what a batch brought.
    pub(super) fn part(&self, result: Result<Bytes, Failure>) -> Self {
        Self { result, trip: self.trip.clone(), refused_by: None, sent: self.sent, cut: false }
    }

    pub(super) fn into_outcome(self) -> Outcome {
        let Self { result, trip, refused_by, cut, .. } = self;
        let origin = if refused_by.is_some() { Origin::Refused } else { Origin::Upstream };
        Outcome { trip, origin, refused_by, cut, ..Outcome::upstream(result.map_err(Arc::new)) }
    }
}

/// Runs it; where the runtime is gone, drops it, and its guards do what is to be done.
pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
    Some(Handle::try_current().ok()?.spawn(task).abort_handle())
}
