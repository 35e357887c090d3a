//! Spans that the author of a plugin has put into it. They stand under the guest's, and are bounded for each request.

use super::span::{Attributes, SpanValue};
use crate::model::TraceContext;
use std::sync::Arc;
use tokio::time::Instant;

/// Spans of one request, and what each may have.
const MOST: usize = 128;
const ATTRIBUTES: usize = 32;
const LONGEST_NAME: usize = 64;
const LONGEST_VALUE: usize = 256;

/// Those of one request, by their numbers, which count from 1.
#[derive(Debug, Default)]
pub(super) struct Authored(Vec<Option<Open>>);

/// One that has not ended.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) context: TraceContext,
    pub(super) parent: u64,
    pub(super) name: Arc<str>,
    pub(super) since: Instant,
}

impl Authored {
    /// Under another one or (0) under the guest's. 0: there are too many.
    pub(super) fn begin(&mut self, name: &str, parent: u32, guest: TraceContext) -> u32 {
        if self.0.len() >= MOST {
            return 0;
        }
        let parent = place(parent).and_then(|parent| self.0.get(parent)?.as_ref());
        let parent = parent.map_or(guest.span_id, |parent| parent.context.span_id);
        let (context, name) = (guest.another(), cut(name, LONGEST_NAME).into());
        self.0.push(Some(Open { context, parent, name, since: Instant::now() }));
        u32::try_from(self.0.len()).unwrap_or(0)
    }

    /// One that has ended already, or never began, is none.
    pub(super) fn end(&mut self, span: u32) -> Option<Open> {
        self.0.get_mut(place(span)?)?.take()
    }

    pub(super) fn end_all(&mut self) -> Vec<Open> {
        self.0.iter_mut().filter_map(Option::take).collect()
    }
}

/// What an author says of a span, within bounds. What the host says of its own stands under names of its own.
pub(super) fn bounded(said: Vec<(String, String)>) -> Attributes {
    let one = |(name, value): (String, String)| {
        (cut(&name, LONGEST_NAME).to_owned().into(), SpanValue::from(cut(&value, LONGEST_VALUE).to_owned()))
    };
    Attributes(said.into_iter().filter(|(name, _)| !name.starts_with("weft.")).take(ATTRIBUTES).map(one).collect())
}

fn place(span: u32) -> Option<usize> {
    usize::try_from(span).ok()?.checked_sub(1)
}

/// The beginning, of as many bytes at most.
pub(super) fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}
