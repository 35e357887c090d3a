//! Equal calls of one exchange: the first is made, the others end as it does.
//!
//! A page of a hundred items by ten authors asks for each author ten times. Flights would share these loads too, but each of the
//! hundred would look into the cache, find its flight and wait there: here, ninety of them cost one look into a small map.

use super::{
    About, Head, Instead, Session, UnderWay,
    tickets::{Place, Row},
};
use crate::{
    fanout::call::Outcome,
    observe::{TakenBy, Taker},
};
use bytes::Bytes;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::{hash::BuildHasher, time::Duration};

/// What makes two calls of one exchange the same: all but their depth.
#[derive(Debug)]
struct Same {
    method: u32,
    timeout: Option<Duration>,
    instead: Instead,
    message: Bytes,
}

impl Same {
    fn of(head: &Head) -> Self {
        let Head { method, timeout, instead, ref message, .. } = *head;
        Self { method, timeout, instead, message: message.clone() }
    }

    fn is(&self, head: &Head) -> bool {
        self.method == head.method
            && self.message == head.message
            && self.timeout == head.timeout
            && self.instead == head.instead
    }
}

/// The first of a kind of call.
#[derive(Debug)]
struct First {
    same: Same,
    ticket: u32,
    /// Where the cache has answered it at once: its place among what is ready.
    ended: Option<(About, usize)>,
}

/// The first of each kind of call in an exchange.
#[derive(Debug)]
pub(super) struct Firsts {
    firsts: Vec<First>,
    /// Their places. What a guest makes of the hash is its own loss: it pays for the time, and the map is gone with the exchange.
    places: HashTable<usize>,
    hasher: DefaultHashBuilder,
    /// A call alone has no duplicate.
    several: bool,
}

impl Firsts {
    pub(super) fn of(calls: usize) -> Self {
        Self { firsts: Vec::new(), places: HashTable::new(), hasher: DefaultHashBuilder::default(), several: calls > 1 }
    }

    /// The first call like this one; none if it is the first itself.
    fn first_like(&mut self, ticket: u32, head: &Head) -> Option<&First> {
        let Self { firsts, places, hasher, .. } = self;
        let hash = hasher.hash_one((head.method, &head.message));
        let is_same = |place: &usize| firsts.get(*place).is_some_and(|first| first.same.is(head));
        if let Some(place) = places.find(hash, is_same) {
            return firsts.get(*place);
        }
        let rehash = |place: &usize| {
            firsts.get(*place).map_or(0, |First { same, .. }| hasher.hash_one((same.method, &same.message)))
        };
        places.insert_unique(hash, firsts.len(), rehash);
        firsts.push(First { same: Same::of(head), ticket, ended: None });
        None
    }

    /// The call with this ticket, which came last, was answered at once.
    pub(super) fn ended(&mut self, ticket: u32, about: About, place: usize) {
        if let Some(first) = self.firsts.last_mut().filter(|first| first.ticket == ticket) {
            first.ended = Some((about, place));
        }
    }
}

/// A call that has ended, and who takes it.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) takers: Takers,
    pub(super) outcome: Outcome,
}

impl Ended {
    pub(super) fn for_one(ticket: u32, outcome: Outcome) -> Self {
        Self { takers: Takers::of(ticket, 0), outcome }
    }

    /// The row of its takers. All are of one exchange.
    pub(super) fn row(&self) -> Option<Row> {
        let taker = self.takers.first.as_ref().or(self.takers.duplicates.first());
        taker.map(|(ticket, _)| Row::of(*ticket))
    }

    /// What each taker takes.
    pub(super) fn each(&self) -> impl Iterator<Item = (u32, Outcome)> {
        let first = self.takers.first.iter().map(|(ticket, _)| (*ticket, self.outcome.clone()));
        first.chain(self.takers.duplicates.iter().map(|(ticket, _)| (*ticket, self.outcome.for_duplicates())))
    }
}

/// Who takes the outcome of a call: the first, unless it was cancelled, and its duplicates.
#[derive(Debug)]
pub(super) struct Takers {
    pub(super) first: Option<Taker>,
    pub(super) duplicates: Vec<Taker>,
}

impl Takers {
    pub(super) fn of(ticket: u32, depth: u16) -> Self {
        Self { first: Some((ticket, depth)), duplicates: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.duplicates.len()
    }

    /// As it is reported.
    pub(super) fn as_taken(&self) -> TakenBy<'_> {
        TakenBy { first: self.first, duplicates: &self.duplicates }
    }

    pub(super) fn remove(&mut self, ticket: u32) {
        self.first = self.first.filter(|(first, _)| *first != ticket);
        self.duplicates.retain(|(duplicate, _)| *duplicate != ticket);
    }
}

impl Session {
    /// Whether an equal call came before in this exchange: then this one is settled.
    pub(super) fn is_duplicate(&mut self, ticket: u32, head: &Head, firsts: &mut Firsts) -> bool {
        if !firsts.several {
            return false;
        }
        let Some(first) = firsts.first_like(ticket, head) else { return false };
        let taker = (ticket, head.depth);
        if let Some((about, place)) = &first.ended {
            return self.end_duplicate(about, *place, taker);
        }
        let Some(Place::Open(under_way)) = self.calls.get_mut(first.ticket) else { return false };
        under_way.takers.duplicates.push(taker);
        let duplicate = Place::Duplicate(first.ticket);
        if let Some(place) = self.calls.get_mut(ticket) {
            *place = duplicate;
        }
        true
    }

    /// Takes one taker away, and gives back the call if that was the last.
    pub(super) fn give_up(&mut self, ticket: u32) -> Option<(u32, Box<UnderWay>)> {
        let first = match self.calls.get_mut(ticket)? {
            Place::Empty => return None,
            Place::Open(_) => ticket,
            place @ Place::Duplicate(_) => match std::mem::take(place) {
                Place::Duplicate(first) => first,
                _ => return None,
            },
        };
        let Some(Place::Open(under_way)) = self.calls.get_mut(first) else { return None };
        under_way.takers.remove(ticket);
        if under_way.takers.len() > 0 {
            return None;
        }
        Some((first, self.take(first)?))
    }
}
