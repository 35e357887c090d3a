//! From single requests to a batch request.

use std::ops::Range;

use bytes::Bytes;

use crate::{
    BadRule, Request, Rule,
    field::{self, Field, Fields, Malformed},
    key::{KeyValue, Kind, Scalar},
    layout::{Found, Layout, Others, Unread, check_number},
    list::List,
    route::Route,
};

/// A single request in two: which item it asks for, and everything else it says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Single {
    /// Which item.
    pub key: KeyValue,
    /// Everything else, as the batch request takes it: fields in the request's order, numbered as in the batch. Requests share
    /// a batch only if their rests are equal. Usually empty or a slice of the request.
    pub rest: Bytes,
}

/// Why a request can't share a batch. It is still a good request, or the backend's to refuse: send it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Alone {
    /// The backend is going to refuse it; it must not take others with it.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It holds a field for which the batch request has no place.
    #[error("the batch request has no place for field {0}")]
    Field(u32),
    /// A part of its key is no number, or one that has no place in a batch, where a string holds one in decimal: the backend may
    /// take it for one that is written otherwise.
    #[error("a part of the key is no number that the batch could hold")]
    NotNumber,
    /// It leaves out a part of its key, and the rule says that this isn't the same as zero.
    #[error("a part of the key is left out")]
    NoKey,
    /// Parsers refuse a string that isn't UTF-8, and with it the whole batch.
    #[error("a string in the key isn't UTF-8")]
    NotUtf8,
}

/// [`Request`] made ready.
#[derive(Debug, Clone)]
pub(crate) enum Merger {
    Keys { list: List, carry: Vec<(u32, u32)> },
    Requests { route: Route },
}

impl Merger {
    pub(crate) fn new(request: Request, key: &Layout) -> Result<Self, BadRule> {
        match request {
            Request::Requests { field } => Ok(Self::Requests { route: Route::new(field)? }),
            Request::Keys { keys, carry } => {
                let list = List::new(keys, key, Kind::fits)?;
                let mut taken = vec![list.route.root()];
                for (place, &(from, to)) in carry.iter().enumerate() {
                    check_number(from)?;
                    check_number(to)?;
                    if key.holds(from) || carry.iter().take(place).any(|(earlier, _)| *earlier == from) {
                        return Err(BadRule::Overlap(from));
                    }
                    if taken.contains(&to) {
                        return Err(BadRule::Overlap(to));
                    }
                    taken.push(to);
                }
                Ok(Self::Keys { list, carry })
            }
        }
    }

    /// The number of the rest's field `number` in what is sent.
    fn carried(&self, number: u32) -> Option<u32> {
        match self {
            Self::Keys { carry, .. } => carry.iter().find(|(from, _)| *from == number).map(|(_, to)| *to),
            Self::Requests { .. } => Some(number),
        }
    }
}

impl Rule {
    /// Takes the key out of a single request. A part that stands there more than once counts as it stood last, one that is
    /// left out as zero, unless [`Spec::key_required`](crate::Spec::key_required).
    ///
    /// A nested message that holds a part of the key may hold nothing else.
    pub fn split_request(&self, request: &Bytes) -> Result<Single, Alone> {
        let mut found = Found::default();
        let mut rest = Rest::default();
        for field in Fields::of(request) {
            let field = field?;
            if self.key.take(&field, Others::Refused, &mut found)? {
                rest.skip(&field);
            } else {
                let number = self.merger.carried(field.number).ok_or(Alone::Field(field.number))?;
                rest.keep(&field, number, request)?;
            }
        }
        if self.key_required && !self.key.complete(&found) {
            return Err(Alone::NoKey);
        }
        let key = self.key.with_parts(&found, |parts| self.own(request, parts))?;
        Ok(Single { key, rest: rest.finish(request) })
    }

    /// Writes the batch request for `keys`, all of which came with this `rest` out of this rule's
    /// [`split_request`](Self::split_request).
    ///
    /// The keys should be distinct; a backend may refuse duplicates.
    pub fn merge(&self, rest: &[u8], keys: &[KeyValue]) -> Bytes {
        let len = keys.iter().map(|key| self.key_len(rest, key)).sum::<usize>() + self.base_len(rest);
        let mut out = Vec::with_capacity(len);
        match &self.merger {
            Merger::Keys { list, .. } => {
                out.extend_from_slice(rest);
                list.put(keys, &mut out);
            }
            Merger::Requests { route } => {
                if !route.is_flat() && !keys.is_empty() {
                    route.put_heads(keys.iter().map(|key| self.key_len(rest, key)).sum(), &mut out);
                }
                for key in keys {
                    field::put_head(&mut out, route.number, rest.len() + self.key.len(key));
                    out.extend_from_slice(rest);
                    self.key.put(key, &mut out);
                }
            }
        }
        Bytes::from(out)
    }

    /// What a batch with this `rest` takes before any key. With [`key_len`](Self::key_len) of each key added, no batch below
    /// 4 GiB is longer, and one with a key is at most 4 bytes shorter, and 4 more for each message around the keys.
    pub fn base_len(&self, rest: &[u8]) -> usize {
        match &self.merger {
            Merger::Keys { list, .. } => rest.len() + list.base_len(),
            Merger::Requests { route } => route.heads_len(),
        }
    }

    /// What `key` adds to the length of a batch with this `rest`.
    pub fn key_len(&self, rest: &[u8], key: &KeyValue) -> usize {
        match &self.merger {
            Merger::Keys { list, .. } => list.key_len(key),
            Merger::Requests { route } => field::delimited_len(route.number, rest.len() + self.key.len(key)),
        }
    }
}

impl Rule {
    fn own(&self, request: &Bytes, parts: &[Scalar<&[u8]>]) -> Result<KeyValue, Alone> {
        for ((part, kind), decimal) in parts.iter().zip(self.key.kinds()).zip(&self.decimals) {
            if let (Scalar::Text(text), Kind::String) = (part, kind) {
                std::str::from_utf8(text).map_err(|_| Alone::NotUtf8)?;
            }
            if let Some((low, high)) = decimal {
                part.number().filter(|number| (low..=high).contains(&number)).ok_or(Alone::NotNumber)?;
            }
        }
        Ok(KeyValue::own(request, parts))
    }
}

impl From<Unread> for Alone {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Malformed(malformed) => Self::Malformed(malformed),
            Unread::Other(number) => Self::Field(number),
        }
    }
}

/// Gathers the fields beside the key: as a range of the request for as long as they stand together, else as a copy.
#[derive(Debug, Default)]
struct Rest {
    /// How much of the request was read.
    read: usize,
    run: Range<usize>,
    copy: Option<Vec<u8>>,
}

impl Rest {
    fn skip(&mut self, field: &Field<'_>) {
        self.read += field.raw.len();
    }

    fn keep(&mut self, field: &Field<'_>, number: u32, request: &[u8]) -> Result<(), Alone> {
        let start = self.read;
        self.read += field.raw.len();
        let same = number == field.number;
        if !same && field.is_group() {
            return Err(Alone::Field(field.number));
        }
        if self.run.is_empty() {
            self.run = start..start;
        }
        if same && self.copy.is_none() && self.run.end == start {
            self.run.end = self.read;
            return Ok(());
        }
        let copy = self.copy.get_or_insert_with(|| request.get(self.run.clone()).unwrap_or_default().to_vec());
        if same {
            copy.extend_from_slice(field.raw);
        } else {
            field.put_as(number, copy);
        }
        Ok(())
    }

    fn finish(self, request: &Bytes) -> Bytes {
        match self.copy {
            Some(copy) => Bytes::from(copy),
            None if self.run.is_empty() => Bytes::new(),
            None => request.slice(self.run),
        }
    }
}
