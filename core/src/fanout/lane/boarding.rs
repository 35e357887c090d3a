//! Where the new flights of one exchange are put before any of them leaves.

use super::{LaneKey, Lanes, Passenger};
use crate::fanout::{
    engine::Engine,
    flight::{Unsent, end_without_answer},
    plan::Plan,
    scope::Scoped,
};
use hashbrown::HashMap;
use std::sync::Arc;

/// Those who enter one lane.
type Together = (Arc<Plan>, Arc<Scoped>, Vec<Passenger>);

/// Calls of one exchange that go into lanes, gathered so that each lane is entered once. Dropped before they were sent, they end.
#[derive(Debug)]
pub(in crate::fanout) struct Boarding {
    engine: Arc<Engine>,
    lanes: HashMap<(u32, LaneKey), Together>,
}

impl Boarding {
    pub(in crate::fanout) fn new(engine: Arc<Engine>) -> Self {
        Self { engine, lanes: HashMap::new() }
    }

    /// A new flight goes into a lane with others, or on its own.
    pub(in crate::fanout) fn send(&mut self, unsent: Unsent<'_>, scoped: &Arc<Scoped>) {
        let Some(flight) = unsent.flight() else { return };
        let plan = &flight.plan;
        let single = plan.batch.as_ref().and_then(|batch| batch.rule.split_request(&flight.key.request).ok());
        let Some(single) = single else { return self.engine.load(unsent, scoped) };
        let key = (plan.id, LaneKey { scope: flight.key.scope.clone(), rest: single.rest });
        let entry = self.lanes.entry(key).or_insert_with(|| (plan.clone(), scoped.clone(), Vec::new()));
        entry.2.extend(unsent.take().map(|flight| Passenger { key: single.key, flight }));
    }

    pub(in crate::fanout) fn leave(mut self) {
        let engine = self.engine.clone();
        for ((_, lane), (plan, scoped, passengers)) in self.lanes.drain() {
            Lanes::enter(&engine, &plan, lane, &scoped, passengers);
        }
    }
}

impl Drop for Boarding {
    fn drop(&mut self) {
        let passengers = self.lanes.drain().flat_map(|(_, (_, _, passengers))| passengers);
        end_without_answer(&self.engine.flights, passengers.map(|passenger| passenger.flight));
    }
}
