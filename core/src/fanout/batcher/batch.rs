//! The way of one batch: out, back, and its items to those who wait for them.

use super::{Batcher, Common, Stop, flights};
use crate::{
    fanout::{
        flight::{Flight, Load, LoadGuard},
        inbox::Post,
        loads::{Leaves, Loaded, load_one, spawn},
    },
    model::{Code, Failure},
    observe::{Audience, Event, Listener, OddReply, Oddity},
    upstream::Outgoing,
};
use bytes::Bytes;
use futures_util::{
    StreamExt,
    future::{BoxFuture, FutureExt, join},
    stream,
};
use std::sync::Arc;
use tokio::time::Instant;
use weft_wire::{Item, KeyValue};

/// Calls of one batch that could not be split which are out at once.
const ALONE_AT_ONCE: usize = 16;

/// A batch that may leave.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) load: Arc<Load>,
    pub(super) stops: Vec<Stop>,
    pub(super) guard: LoadGuard,
}

/// What has to happen when the batch has ended in whatever way, in this order.
struct Afterwards<T> {
    _flights: LoadGuard,
    _sent: T,
}

impl Batch {
    /// `sent` is dropped when it has ended, in whatever way.
    pub(super) fn send(self, batcher: &Arc<Batcher>, common: &Arc<Common>, sent: impl Send + 'static) {
        let Self { load, stops, guard } = self;
        let afterwards = Afterwards { _flights: guard, _sent: sent };
        let (batcher, common) = (batcher.clone(), common.clone());
        let task = spawn(async move {
            // All of it: a block takes along only what it names.
            let _afterwards = afterwards;
            let sender = Sender { batcher: &batcher, common: &common };
            let stops = sender.without_shared(stops).await;
            sender.send(stops).await;
        });
        load.runs_as(task);
    }
}

/// Sends the calls of one queue.
#[derive(Debug, Clone, Copy)]
struct Sender<'a> {
    batcher: &'a Batcher,
    common: &'a Common,
}

impl<'a> Sender<'a> {
    /// Without those that the shared tier has.
    async fn without_shared(self, mut stops: Vec<Stop>) -> Vec<Stop> {
        let loads = &self.batcher.loads;
        if loads.tiers.shared().is_none() || self.common.plan.cache.is_none() {
            return stops;
        }
        let left = loads.take_shared(flights(&stops).cloned().collect()).await;
        let is_left = |flight: &Arc<Flight>| left.iter().any(|other| Arc::ptr_eq(other, flight));
        stops.iter_mut().for_each(|stop| stop.flights.retain(is_left));
        stops.retain(|stop| !stop.flights.is_empty());
        stops
    }

    /// One batch out and back; in halves where it failed because of one item.
    fn send(self, stops: Vec<Stop>) -> BoxFuture<'a, ()> {
        async move {
            if stops.is_empty() {
                return;
            }
            let plan = &self.common.plan;
            plan.series.on(&Event::Gathered { method: &plan.name, keys: stops.len() });
            if stops.len() == 1 {
                return self.one_by_one(stops).await;
            }
            let keys: Vec<KeyValue> = stops.iter().map(|stop| stop.key.clone()).collect();
            let loaded = self.call(&keys, &stops).await;
            match &loaded.result {
                // What is wrong with one key says nothing of the others, which may be other callers'.
                Err(failure) if is_about_an_item(failure.code) => self.halves(stops).await,
                Err(_) => self.batcher.loads.settle_all(flights(&stops), &loaded),
                Ok(reply) => match self.hand_out((reply, &loaded), &keys, stops) {
                    // In pieces of half the size at most, however little of them comes back.
                    Ok(stops) => self.halves(stops).await,
                    Err(stops) => self.one_by_one(stops).await,
                },
            }
        }
        .boxed()
    }

    /// A call of the method itself for each key.
    async fn one_by_one(self, mut stops: Vec<Stop>) {
        if stops.len() > 1 {
            // On the heap: a call that is alone does not have the room for many.
            let all = stream::iter(stops).for_each_concurrent(ALONE_AT_ONCE, |stop| self.alone(stop));
            return Box::pin(all).await;
        }
        if let Some(only) = stops.pop() {
            self.alone(only).await;
        }
    }

    async fn alone(self, stop: Stop) {
        // Any of them, but one that somebody waits for.
        let loaded = match stop.flights.iter().find(|flight| flight.ends().is_some()) {
            Some(flight) => load_one(flight, &self.common.scoped).await,
            None => Loaded::unwanted(),
        };
        self.batcher.loads.settle_all(&stop.flights, &loaded);
    }

    async fn halves(self, mut stops: Vec<Stop>) {
        if stops.is_empty() {
            return;
        }
        let back = stops.split_off(stops.len() / 2);
        join(self.send(stops), self.send(back)).await;
    }

    async fn call(self, keys: &[KeyValue], stops: &[Stop]) -> Loaded {
        let Common { key, plan, rule, method: learnt, scoped } = self.common;
        let Some(deadline) = flights(stops).filter_map(|flight| flight.ends()).max() else {
            return Loaded::unwanted();
        };
        let mut audience = Audience::default();
        flights(stops).for_each(|flight| flight.invite(&mut audience));
        let message = rule.rule.merge(&key.rest, keys);
        let started = Instant::now();
        let gathered = flights(stops).map(|flight| started.saturating_duration_since(flight.started)).max();
        let outgoing = Outgoing {
            method: rule.method.clone(),
            message,
            metadata: scoped.metadata.clone(),
            deadline,
            source: scoped.source,
            cut: Arc::default(),
            audience,
        };
        let (method, gathered) = (&plan.name, gathered.unwrap_or_default());
        let leaves = Leaves { method, keys: stops.len(), gathered, started, alone: None };
        let loaded = leaves.send(&*plan.backend, outgoing).await;
        learnt.observe_round_trip(started.elapsed());
        loaded
    }

    /// Gives back those of which the reply says that they are elsewhere; all of them as an error, where it can't be split.
    fn hand_out(
        self,
        (reply, loaded): (&Bytes, &Loaded),
        keys: &[KeyValue],
        stops: Vec<Stop>,
    ) -> Result<Vec<Stop>, Vec<Stop>> {
        let rule = &self.common.rule.rule;
        let split = if loaded.cut { rule.split_cut_reply(reply, keys) } else { rule.split_reply(reply, keys) };
        let items = match split {
            Ok(items) => items,
            Err(error) => {
                self.report(Oddity::Unsplittable(error), keys.len());
                return Err(stops);
            }
        };
        self.look_for_oddities((reply, &items), keys);
        let mut elsewhere = Vec::new();
        let mut post = Post::default();
        for (item, stop) in items.into_iter().zip(stops) {
            let result = match item {
                Item::Found(bytes) => Ok(bytes),
                Item::Elsewhere => {
                    elsewhere.push(stop);
                    continue;
                }
                Item::Missing => Err(Failure::new(Code::NotFound, format!("{}: no such item", self.common.plan.name))),
                Item::Failed(failure) => {
                    let code = Code::from_number(failure.code);
                    Err(Failure { code, message: failure.message, details: failure.status })
                }
            };
            for flight in &stop.flights {
                self.batcher.loads.settle(flight, loaded.part(result.clone()), &mut post);
            }
        }
        Ok(elsewhere)
    }

    /// Replies that leave something out, and at the same time say that it may be there.
    fn look_for_oddities(self, (reply, items): (&Bytes, &[Item]), keys: &[KeyValue]) {
        let is_cut = items.contains(&Item::Elsewhere);
        let rule = &self.common.rule.rule;
        let strays = if items.contains(&Item::Missing) { rule.strays(reply, keys) } else { 0 };
        if is_cut || strays > 0 {
            self.report(Oddity::LeavesOut { is_cut, strays }, keys.len());
        }
    }

    fn report(self, oddity: Oddity, keys: usize) {
        let Common { plan, rule, .. } = self.common;
        plan.series.on(&Event::OddReply(OddReply { method: &plan.name, via: &rule.method.name, keys, oddity }));
    }
}

/// Codes with which a batch may say that one of its items is at fault.
fn is_about_an_item(code: Code) -> bool {
    matches!(
        code,
        Code::NotFound | Code::InvalidArgument | Code::PermissionDenied | Code::FailedPrecondition | Code::OutOfRange
    )
}
