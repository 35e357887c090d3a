//! The way of one batch: out, back, and its items to those who wait for them.

use super::{Arrival, Lane};
use crate::{
    fanout::{
        call::Trip,
        engine::{Engine, Loaded, spawn},
        flight::{Boarded, Flight, Load},
        inbox::Post,
        plan::Batch,
        stats::Counted,
    },
    model::{Code, Failure},
    telemetry::CacheLabels,
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
use weft_wire::{BadReply, Item, KeyValue};

/// Calls of one batch that could not be split which are out at once.
const ALONE_AT_ONCE: usize = 16;

/// For each key of a batch, the flights that wait for it.
pub(super) type Groups = Vec<Vec<Arc<Flight>>>;

/// A batch that may leave.
#[derive(Debug)]
pub(super) struct Departure {
    pub(super) load: Arc<Load>,
    pub(super) keys: Vec<KeyValue>,
    pub(super) groups: Groups,
    pub(super) aboard: Aboard,
}

/// What has to happen when the batch has ended in whatever way, in this order.
#[derive(Debug)]
pub(super) struct Aboard {
    pub(super) boarded: Boarded,
    pub(super) _arrival: Arrival,
}

impl Departure {
    /// What it has aboard is the task's, whether it is ever run or not.
    pub(super) fn leave(self) {
        let Self { load, keys, groups, aboard } = self;
        let lane = aboard._arrival.lane.clone();
        let task = spawn(async move {
            // All of it: a block takes along only what it names.
            let aboard = aboard;
            let engine = &aboard.boarded.engine;
            let (keys, groups) = lane.only_misses(engine, keys, groups).await;
            lane.travel(engine, keys, groups).await;
        });
        load.runs_as(task);
    }
}

impl Lane {
    /// Without those that the second tier has.
    async fn only_misses(&self, engine: &Engine, keys: Vec<KeyValue>, groups: Groups) -> (Vec<KeyValue>, Groups) {
        if engine.shared.is_none() || self.plan.cache.is_none() {
            return (keys, groups);
        }
        let left = engine.take_shared(groups.iter().flatten().cloned().collect()).await;
        let is_left = |flight: &Arc<Flight>| left.iter().any(|other| Arc::ptr_eq(other, flight));
        let groups = groups.into_iter().map(|group| group.into_iter().filter(is_left).collect::<Vec<_>>());
        keys.into_iter().zip(groups).filter(|(_, group)| !group.is_empty()).unzip()
    }

    /// One batch out and back; in halves where it failed because of one item.
    fn travel<'a>(&'a self, engine: &'a Engine, keys: Vec<KeyValue>, groups: Groups) -> BoxFuture<'a, ()> {
        async move {
            let (Some(batch), Some(_)) = (&self.plan.batch, keys.first()) else { return };
            engine.metrics.batch_size.observe(keys.len() as f64);
            if keys.len() == 1 {
                return self.one_by_one(engine, groups).await;
            }
            let loaded = self.call(batch, &keys, &groups).await;
            match &loaded.result {
                // What is wrong with one key says nothing of the others, which may be other callers'.
                Err(failure) if is_about_an_item(failure.code) => self.halves(engine, keys, groups).await,
                Err(_) => settle_all(engine, groups.iter().flatten(), &loaded),
                Ok(reply) => match self.hand_out(engine, batch, (reply, &loaded), keys, groups) {
                    // In pieces of half the size at most, however little of them comes back.
                    Ok((keys, groups)) => self.halves(engine, keys, groups).await,
                    Err(groups) => self.one_by_one(engine, groups).await,
                },
            }
        }
        .boxed()
    }

    /// A call of the method itself for each key.
    async fn one_by_one(&self, engine: &Engine, groups: Groups) {
        let alone = |group: Vec<Arc<Flight>>| async move {
            // Any of them, but one that somebody waits for.
            let loaded = match group.iter().find(|flight| flight.ends().is_some()) {
                Some(flight) => engine.load_single(flight, &self.scoped).await,
                None => Loaded::unwanted(),
            };
            settle_all(engine, &group, &loaded);
        };
        stream::iter(groups).for_each_concurrent(ALONE_AT_ONCE, alone).await;
    }

    async fn halves(&self, engine: &Engine, mut keys: Vec<KeyValue>, mut groups: Groups) {
        if keys.is_empty() {
            return;
        }
        let middle = keys.len() / 2;
        let (back_keys, back_groups) = (keys.split_off(middle), groups.split_off(middle));
        join(self.travel(engine, keys, groups), self.travel(engine, back_keys, back_groups)).await;
    }

    async fn call(&self, batch: &Batch, keys: &[KeyValue], groups: &[Vec<Arc<Flight>>]) -> Loaded {
        let flights = || groups.iter().flatten();
        let Some(deadline) = flights().filter_map(|flight| flight.ends()).max() else { return Loaded::unwanted() };
        let counted = Counted::new(flights().flat_map(|flight| flight.stats()));
        let message = batch.rule.merge(&self.key.rest, keys);
        let started = Instant::now();
        let gathered = flights().map(|flight| started.saturating_duration_since(flight.started)).max();
        let outgoing = Outgoing {
            method: batch.method.clone(),
            message,
            metadata: self.scoped.metadata.clone(),
            deadline,
            source: self.scoped.source,
            cut: Arc::default(),
        };
        let answer = self.plan.backend.call(outgoing).await;
        counted.ended(&answer);
        batch.observe_round_trip(started.elapsed());
        let (via, gathered) = (batch.method.name.clone(), gathered.unwrap_or_default());
        let trip = Trip { via, keys: keys.len(), gathered, started, ..Trip::ended(&answer) };
        Loaded::of(answer, trip)
    }

    /// Gives back those of which the reply says that they are elsewhere; all of them as an error, where it can't be split.
    fn hand_out(
        &self,
        engine: &Engine,
        batch: &Batch,
        (reply, loaded): (&Bytes, &Loaded),
        keys: Vec<KeyValue>,
        groups: Groups,
    ) -> Result<(Vec<KeyValue>, Groups), Groups> {
        let split = match loaded.cut {
            false => batch.rule.split_reply(reply, &keys),
            true => batch.rule.split_cut_reply(reply, &keys),
        };
        let items = match split {
            Ok(items) => items,
            Err(error) => {
                self.tell_of_a_bad_reply(engine, batch, error, keys.len());
                return Err(groups);
            }
        };
        self.look_for_oddities(engine, batch, (reply, &items), &keys);
        let mut elsewhere = (Vec::new(), Vec::new());
        let mut post = Post::default();
        for ((item, group), key) in items.into_iter().zip(groups).zip(keys) {
            let result = match item {
                Item::Found(bytes) => Ok(bytes),
                Item::Elsewhere => {
                    elsewhere.0.push(key);
                    elsewhere.1.push(group);
                    continue;
                }
                Item::Missing => Err(Failure::new(Code::NotFound, format!("{}: no such item", self.plan.name))),
                Item::Failed(failure) => {
                    let code = Code::from_number(failure.code);
                    Err(Failure { code, message: failure.message, details: failure.status })
                }
            };
            for flight in &group {
                engine.settle(flight, loaded.part(result.clone()), &mut post);
            }
        }
        Ok(elsewhere)
    }

    fn tell_of_a_bad_reply(&self, engine: &Engine, batch: &Batch, error: BadReply, keys: usize) {
        let (method, via) = (&*self.plan.name, &batch.method.name);
        count(engine, method, "unsplittable");
        if batch.may_tell() {
            tracing::warn!(
                method, %via, keys, %error,
                "a batch reply can't be split into single replies, so each is asked for alone: see whether the batch rule fits the backend"
            );
        }
    }

    /// Tells of replies that leave something out, and at the same time say that it may be there.
    fn look_for_oddities(&self, engine: &Engine, batch: &Batch, (reply, items): (&Bytes, &[Item]), keys: &[KeyValue]) {
        let is_cut = items.contains(&Item::Elsewhere);
        let strays = if items.contains(&Item::Missing) { batch.rule.strays(reply, keys) } else { 0 };
        let (method, via) = (&*self.plan.name, &batch.method.name);
        if is_cut {
            count(engine, method, "cut-short");
        }
        if strays > 0 {
            count(engine, method, "other-keys");
        }
        if (is_cut || strays > 0) && batch.may_tell() {
            tracing::warn!(
                method, %via, keys = keys.len(), is_cut, strays,
                "a batch reply leaves keys out: {}",
                if is_cut {
                    "it goes on elsewhere (a next page, or a stream that was cut), so they are asked for again in smaller batches; lower `max`, or raise the backend's page size or the bounds of `stream`"
                } else {
                    "it has items of other keys, which may be the same ones spelt otherwise; they are told as NOT_FOUND"
                }
            );
        }
    }
}

fn count(engine: &Engine, method: &str, what: &str) {
    let labels = CacheLabels { method: method.to_owned(), result: what.to_owned() };
    engine.metrics.batch_oddities.get_or_create(&labels).inc();
}

/// Codes with which a batch may say that one of its items is at fault.
fn is_about_an_item(code: Code) -> bool {
    matches!(
        code,
        Code::NotFound | Code::InvalidArgument | Code::PermissionDenied | Code::FailedPrecondition | Code::OutOfRange
    )
}

fn settle_all<'a>(engine: &Engine, flights: impl IntoIterator<Item = &'a Arc<Flight>>, loaded: &Loaded) {
    let mut post = Post::default();
    for flight in flights {
        engine.settle(flight, loaded.clone(), &mut post);
    }
}
