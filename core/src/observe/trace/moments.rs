//! What happens in the course of a guest's run and takes no time of its own: each kind once, with how often it happened.

use super::span::{Attributes, SpanEvent};
use std::sync::Arc;
use tokio::time::Instant;

/// Kinds of one request.
const MOST: usize = 128;

/// A kind of thing that happened to calls of a method.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub(super) name: &'static str,
    pub(super) method: Option<Arc<str>>,
    /// What is said of it beside: the attribute and its value.
    pub(super) detail: Option<(&'static str, &'static str)>,
}

#[derive(Debug, Default)]
pub(super) struct Moments {
    all: Vec<(Moment, Instant, u32)>,
    dropped: u32,
}

impl Moments {
    pub(super) fn add(&mut self, moment: Moment, calls: u32) {
        let is_same = |(other, ..): &&mut (Moment, Instant, u32)| {
            other.name == moment.name && other.detail == moment.detail && other.method == moment.method
        };
        if let Some((_, _, count)) = self.all.iter_mut().find(is_same) {
            *count = count.saturating_add(calls);
        } else if self.all.len() < MOST {
            self.all.push((moment, Instant::now(), calls));
        } else {
            self.dropped += 1;
        }
    }

    /// As events, and how many there was no room for.
    pub(super) fn into_events(self, at: impl Fn(Instant) -> u64) -> (Vec<SpanEvent>, u32) {
        let event = |(moment, when, calls): (Moment, Instant, u32)| {
            let mut attributes = Attributes::default();
            attributes.put_any("rpc.method", moment.method.as_ref()).put("weft.calls", calls);
            if let Some((name, value)) = moment.detail {
                attributes.put(name, value);
            }
            SpanEvent { at: at(when), name: moment.name, attributes }
        };
        (self.all.into_iter().map(event).collect(), self.dropped)
    }
}
