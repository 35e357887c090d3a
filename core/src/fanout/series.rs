//! What is measured of one method that plugins call, and told in the log of its batches.

use crate::{
    observe::{Ended, Event, Found, Listener, OddReply, Oddity, Origin},
    sync::lock,
    telemetry::{CacheLabels, CallLabels, Counter, Metrics},
};
use std::{sync::Mutex, time::Duration};
use tokio::time::Instant;

const BETWEEN_WARNINGS: Duration = Duration::from_mins(1);

/// One method's part of the metrics.
#[derive(Debug)]
pub(super) struct MethodSeries {
    calls: [Counter; Origin::ALL.len()],
    lookups: [Counter; Found::ALL.len()],
    metrics: Metrics,
    /// When something odd about replies to batches was told last.
    told: Mutex<Option<Instant>>,
}

impl MethodSeries {
    pub(super) fn new(metrics: &Metrics, method: &str) -> Self {
        let calls = Origin::ALL.map(|origin| {
            let labels = CallLabels { method: method.to_owned(), origin: origin.as_str().to_owned() };
            metrics.calls.get_or_create_owned(&labels)
        });
        let lookups =
            Found::ALL.map(|found| metrics.cache_lookups.get_or_create_owned(&labels(method, found.as_str())));
        Self { calls, lookups, metrics: metrics.clone(), told: Mutex::default() }
    }

    fn ended(&self, Ended { takers, end, .. }: &Ended<'_>) {
        let count = |origin: Origin, calls: u64| {
            if let Some(counter) = self.calls.get(origin as usize).filter(|_| calls > 0) {
                counter.inc_by(calls);
            }
        };
        count(end.origin, takers.first.is_some().into());
        count(end.origin.for_duplicates(), takers.duplicates.len() as u64);
    }

    fn odd_reply(&self, reply: &OddReply<'_>) {
        let count = |what| _ = self.metrics.batch_oddities.get_or_create(&labels(reply.method, what)).inc();
        match reply.oddity {
            Oddity::Unsplittable(_) => count("unsplittable"),
            Oddity::LeavesOut { is_cut, strays } => {
                if is_cut {
                    count("cut-short");
                }
                if strays > 0 {
                    count("other-keys");
                }
            }
        }
        if self.may_tell() {
            tell(reply);
        }
    }

    /// Whether it is time again to tell of something that many replies may have: once in a minute.
    fn may_tell(&self) -> bool {
        let mut told = lock(&self.told);
        let now = Instant::now();
        let may = told.is_none_or(|told| now.saturating_duration_since(told) >= BETWEEN_WARNINGS);
        if may {
            *told = Some(now);
        }
        may
    }
}

impl Listener for MethodSeries {
    fn on(&self, event: &Event<'_>) {
        match event {
            Event::LookedUp { found, .. } => {
                if let Some(counter) = self.lookups.get(*found as usize) {
                    counter.inc();
                }
            }
            Event::Gathered { keys, .. } => self.metrics.batch_size.observe(*keys as f64),
            Event::OddReply(reply) => self.odd_reply(reply),
            Event::Ended(ended) => self.ended(ended),
            _ => {}
        }
    }
}

fn labels(method: &str, result: &str) -> CacheLabels {
    CacheLabels { method: method.to_owned(), result: result.to_owned() }
}

fn tell(&OddReply { method, via, keys, oddity }: &OddReply<'_>) {
    match oddity {
        Oddity::Unsplittable(error) => {
            tracing::warn!(
                method = %method, %via, keys, %error,
                "a batch reply can't be split into single replies, so each is asked for alone: see whether the batch rule fits the backend"
            );
        }
        Oddity::LeavesOut { is_cut, strays } => {
            tracing::warn!(
                method = %method, %via, keys, is_cut, strays,
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
