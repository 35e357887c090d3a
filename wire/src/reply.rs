//! From a batch reply to single replies.

use std::collections::HashMap;

use bytes::Bytes;

use crate::{
    BadRule, Missing, Reply, Rule, Shape,
    element::Element,
    field::{Field, Malformed, Value},
    key::{KeyValue, Kind, Scalar},
    layout::{KeyPath, Layout, check_number, check_path},
    list::List,
    route::Route,
    rule::check_kinds,
};

/// What a batch reply says to one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// The single reply. A slice of the batch reply, whose memory it keeps, unless the item had to be wrapped or put together.
    Found(Bytes),
    /// There is no such item.
    Missing,
    /// The reply says nothing of it, and that it goes on elsewhere ([`Reply::more`](crate::Reply::more)).
    Elsewhere,
    /// This item failed, and only this one.
    Failed(Box<Failure>),
}

/// A `google.rpc.Status` for one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// A gRPC status code from 1 to 16; one that gRPC doesn't know counts as 2, UNKNOWN.
    pub code: u32,
    /// Its message, for developers.
    pub message: String,
    /// The status itself, as gRPC's `grpc-status-details-bin` carries it.
    pub status: Bytes,
}

/// Why a batch reply doesn't answer its request. Nothing of it can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadReply {
    /// It isn't a message of the type that the rule speaks of.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// An aligned reply has too few elements, or too many (then one more than there are keys is counted).
    #[error("{keys} keys were asked for, {items} elements came")]
    Count {
        /// Keys asked for.
        keys: usize,
        /// Elements counted.
        items: usize,
    },
    /// An element has neither item nor status, and the rule doesn't call that missing.
    #[error("an element holds no item")]
    NoItem,
    /// The key at this place has two answers that differ, or is both answered and listed as missing.
    #[error("the key at place {0} has two answers")]
    Twice(usize),
    /// The key at this place has no answer, and the rule doesn't call that missing.
    #[error("the key at place {0} has no answer")]
    Unanswered(usize),
}

/// [`Reply`] made ready.
#[derive(Debug, Clone)]
pub(crate) struct Splitter {
    items: Route,
    order: Order,
    element: Element,
    /// The list of missing keys.
    listed: Option<List>,
    /// The field that says that there is more elsewhere.
    more: Option<Route>,
}

#[derive(Debug, Clone)]
enum Order {
    Aligned,
    Keyed {
        key: Layout,
        /// Of elements with one key the last one counts, as in a map; otherwise they must be equal.
        last_wins: bool,
    },
}

impl Splitter {
    pub(crate) fn new(reply: Reply, key: &Layout) -> Result<Self, BadRule> {
        let Reply { items, shape, mut item, mut status, missing, wrap, scalar, more } = reply;
        let items = Route::new(items)?;
        let more = more.map(Route::new).transpose()?;
        wrap.map_or(Ok(()), check_number)?;
        if more.as_ref() == Some(&items) {
            return Err(BadRule::Overlap(items.number));
        }
        if scalar.is_some() && wrap.is_none() {
            return Err(BadRule::Unwrapped);
        }
        check_element(&item, status.as_deref())?;
        let listed = listed(&missing, &items, key)?;
        let leaves_out = listed.is_some() || missing == Missing::Omitted && item.is_empty();
        if shape == Shape::Aligned && leaves_out {
            return Err(BadRule::AlignedMissing);
        }
        let absent_is_empty = matches!(shape, Shape::Map(_)) && item.is_empty();
        let order = match shape {
            Shape::Aligned => Order::Aligned,
            Shape::Keyed(paths) => Order::Keyed { key: element_key(&paths, key)?, last_wins: false },
            Shape::Map(kind) => {
                // on the wire a map is `repeated Entry { K key = 1; V value = 2; }`
                item.insert(0, 2);
                status.iter_mut().for_each(|path| path.insert(0, 2));
                Order::Keyed { key: element_key(&[KeyPath { path: vec![1], kind }], key)?, last_wins: true }
            }
        };
        let element = Element { item, status, absent_is_empty, missing, wrap, scalar };
        Ok(Self { items, order, element, listed, more })
    }

    /// Puts the answers of one occurrence of the field where their keys stand. Only a list of scalars holds several in one.
    fn elements(
        &self,
        field: &Field<'_>,
        reply: &Bytes,
        places: &mut Places<'_>,
        answers: &mut [Option<Item>],
    ) -> Result<(), BadReply> {
        match self.element.packed(field) {
            None => self.element(field, reply, places, answers),
            Some(values) => values.into_iter().try_for_each(|value| {
                let element = Field { value: value?, ..*field };
                self.element(&element, reply, places, answers)
            }),
        }
    }

    /// Puts one element's answer where its key stands.
    fn element(
        &self,
        element: &Field<'_>,
        reply: &Bytes,
        places: &mut Places<'_>,
        answers: &mut [Option<Item>],
    ) -> Result<(), BadReply> {
        let (place, last_wins) = match &self.order {
            Order::Aligned => (Some(places.next()?), false),
            Order::Keyed { key, last_wins } => {
                let found = key.read(element.payload()?)?;
                (key.with_parts(&found, |parts| places.of(parts, reply)), *last_wins)
            }
        };
        match place {
            Some(place) => settle(answers, place, self.element.answer(reply, element)?, last_wins),
            None => Ok(()),
        }
    }

    /// Puts the keys that one occurrence of the list names down as missing.
    fn missing(
        list: &List,
        field: &Field<'_>,
        reply: &Bytes,
        places: &mut Places<'_>,
        answers: &mut [Option<Item>],
    ) -> Result<(), BadReply> {
        let mut settled = Ok(());
        list.read(field, |key| {
            if let Some(place) = places.of(key, reply) {
                settled = settled.and(settle(answers, place, Item::Missing, false));
            }
        })?;
        settled
    }

    /// Whether the reply says that it goes on elsewhere.
    fn goes_on(&self, reply: &Bytes) -> Result<bool, Malformed> {
        let mut goes_on = false;
        let Some(more) = &self.more else { return Ok(goes_on) };
        more.visit::<Malformed>(reply, &mut |field| {
            goes_on = match field.value {
                Value::Len(text) => !text.is_empty(),
                Value::Varint(number) => number != 0,
                _ => false,
            };
            Ok(())
        })?;
        Ok(goes_on)
    }

    fn finish(&self, answers: Vec<Option<Item>>, places: &Places<'_>, goes_on: bool) -> Result<Vec<Item>, BadReply> {
        let keys = answers.len();
        let unanswered = |place| match (&self.order, &self.element.missing) {
            _ if goes_on => Ok(Item::Elsewhere),
            (Order::Aligned, _) => Err(BadReply::Count { keys, items: places.cursor }),
            (_, Missing::Omitted) => Ok(Item::Missing),
            _ => Err(BadReply::Unanswered(place)),
        };
        let answers = answers.into_iter().enumerate();
        answers.map(|(place, answer)| answer.map_or_else(|| unanswered(place), Ok)).collect()
    }
}

impl Rule {
    /// Gives the answer to each of `keys`, in their order, out of the reply to [`merge`](Self::merge) of these keys.
    ///
    /// The keys must be distinct: of two equal ones, only one is answered.
    pub fn split_reply(&self, reply: &Bytes, keys: &[KeyValue]) -> Result<Vec<Item>, BadReply> {
        self.split(reply, keys, false)
    }

    /// As [`split_reply`](Self::split_reply), of a reply that was cut before its end: what it leaves out is
    /// [`Item::Elsewhere`].
    pub fn split_cut_reply(&self, reply: &Bytes, keys: &[KeyValue]) -> Result<Vec<Item>, BadReply> {
        self.split(reply, keys, true)
    }

    fn split(&self, reply: &Bytes, keys: &[KeyValue], is_cut: bool) -> Result<Vec<Item>, BadReply> {
        let splitter = &self.splitter;
        let mut places = Places { keys, cursor: 0, index: None };
        let mut answers = vec![None; keys.len()];
        splitter
            .items
            .visit::<BadReply>(reply, &mut |field| splitter.elements(field, reply, &mut places, &mut answers))?;
        if let Some(list) = &splitter.listed {
            places.cursor = 0;
            list.route.visit::<BadReply>(reply, &mut |field| {
                Splitter::missing(list, field, reply, &mut places, &mut answers)
            })?;
        }
        splitter.finish(answers, &places, is_cut || splitter.goes_on(reply)?)
    }

    /// How many elements of the reply carry a key that is none of `keys`. None should; where there are some, a key that has no
    /// answer may have been spelt otherwise by the backend.
    pub fn strays(&self, reply: &Bytes, keys: &[KeyValue]) -> usize {
        let Order::Keyed { key, .. } = &self.splitter.order else { return 0 };
        let mut places = Places { keys, cursor: 0, index: None };
        let mut strays = 0;
        // A malformed reply has been refused before anybody asks.
        let _ = self.splitter.items.visit::<Malformed>(reply, &mut |element| {
            let found = key.read(element.payload()?)?;
            strays += usize::from(key.with_parts(&found, |parts| places.of(parts, reply)).is_none());
            Ok(())
        });
        strays
    }
}

fn element_key(paths: &[KeyPath], key: &Layout) -> Result<Layout, BadRule> {
    let layout = Layout::new(paths)?;
    check_kinds(key, layout.kinds(), Kind::compares)?;
    Ok(layout)
}

fn listed(missing: &Missing, items: &Route, key: &Layout) -> Result<Option<List>, BadRule> {
    let Missing::Listed(list) = missing else { return Ok(None) };
    let list = List::new(list.clone(), key, Kind::compares)?;
    if list.route == *items { Err(BadRule::Overlap(items.number)) } else { Ok(Some(list)) }
}

fn check_element(item: &[u32], status: Option<&[u32]>) -> Result<(), BadRule> {
    if !item.is_empty() {
        check_path(item)?;
    }
    let Some(status) = status else { return Ok(()) };
    check_path(status)?;
    match status.last() {
        Some(number) if status == item => Err(BadRule::Overlap(*number)),
        _ => Ok(()),
    }
}

fn settle(answers: &mut [Option<Item>], place: usize, answer: Item, last_wins: bool) -> Result<(), BadReply> {
    match answers.get_mut(place) {
        Some(Some(earlier)) if !last_wins && *earlier != answer => return Err(BadReply::Twice(place)),
        Some(slot) => *slot = Some(answer),
        None => {}
    }
    Ok(())
}

/// Where keys stand in the batch. Most replies keep the order of the request, so the next key is tried first; an index is
/// made when that fails.
#[derive(Debug)]
struct Places<'k> {
    keys: &'k [KeyValue],
    cursor: usize,
    index: Option<HashMap<&'k KeyValue, usize>>,
}

impl Places<'_> {
    /// The place after the last one given out.
    fn next(&mut self) -> Result<usize, BadReply> {
        let (place, keys) = (self.cursor, self.keys.len());
        self.cursor += 1;
        if place < keys { Ok(place) } else { Err(BadReply::Count { keys, items: self.cursor }) }
    }

    /// The place of the key with these parts, which stand in `reply`; `None` if it wasn't asked for.
    fn of(&mut self, parts: &[Scalar<&[u8]>], reply: &Bytes) -> Option<usize> {
        let place = if self.keys.get(self.cursor).is_some_and(|key| key.is(parts)) {
            self.cursor
        } else {
            let keys = self.keys;
            let index = self.index.get_or_insert_with(|| keys.iter().zip(0..).collect());
            *index.get(&KeyValue::own(reply, parts))?
        };
        self.cursor = place + 1;
        Some(place)
    }
}
