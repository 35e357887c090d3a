//! Equal calls of one exchange: the first is made, the others end as it does.
//!
//! A page of a hundred items by ten authors asks for each author ten times. Flights would share these loads too, but each of the
//! hundred would look into the cache, find its flight and wait there: here, ninety of them cost one look into a small map.

use super::{About, Head, Instead, Place, Session, UnderWay};
use crate::fanout::call::Outcome;
use bytes::Bytes;
use std::{collections::HashMap, time::Duration};

/// What makes two calls of one exchange the same: all but their depth.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Same {
    method: u32,
    timeout: Option<Duration>,
    instead: Instead,
    message: Bytes,
}

/// The first of each kind of call in an exchange, by ticket.
#[derive(Debug)]
pub(super) struct Firsts {
    tickets: HashMap<Same, u32>,
    /// Those that the cache has answered at once.
    ended: HashMap<u32, (About, Outcome)>,
    /// A call alone has no twin.
    several: bool,
}

impl Firsts {
    pub(super) fn of(calls: usize) -> Self {
        Self { tickets: HashMap::new(), ended: HashMap::new(), several: calls > 1 }
    }

    pub(super) fn ended(&mut self, ticket: u32, about: &About, outcome: &Outcome) {
        if self.several {
            self.ended.insert(ticket, (about.clone(), outcome.clone()));
        }
    }
}

/// Who takes the outcome of a call: the first, unless it was cancelled, and its twins; each with its depth.
#[derive(Debug)]
pub(super) struct Takers {
    pub(super) first: Option<(u32, u16)>,
    pub(super) twins: Vec<(u32, u16)>,
}

impl Takers {
    pub(super) fn of(ticket: u32, depth: u16) -> Self {
        Self { first: Some((ticket, depth)), twins: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.twins.len()
    }

    fn remove(&mut self, ticket: u32) {
        self.first = self.first.filter(|(first, _)| *first != ticket);
        self.twins.retain(|(twin, _)| *twin != ticket);
    }
}

impl Session {
    /// Whether an equal call came before in this exchange: then this one is settled.
    pub(super) fn is_twin(&mut self, ticket: u32, head: &Head, firsts: &mut Firsts) -> bool {
        if !firsts.several {
            return false;
        }
        let Head { method, timeout, instead, ref message, depth } = *head;
        let same = Same { method, timeout, instead, message: message.clone() };
        let first = *firsts.tickets.entry(same).or_insert(ticket);
        if first == ticket {
            return false;
        }
        if let Some((about, outcome)) = firsts.ended.get(&first) {
            let twin = Takers { first: None, twins: vec![(ticket, depth)] };
            self.end(about, &twin, None, outcome.clone());
            return true;
        }
        let Some(Place::Open(UnderWay { takers, .. })) = self.calls.get_mut(first as usize) else { return false };
        takers.twins.push((ticket, depth));
        if let Some(place) = self.calls.get_mut(ticket as usize) {
            *place = Place::Twin(first);
        }
        true
    }

    /// Takes one taker away, and gives back the call if that was the last.
    pub(super) fn give_up(&mut self, ticket: u32) -> Option<(u32, UnderWay)> {
        let first = match self.calls.get_mut(ticket as usize)? {
            Place::Empty => return None,
            Place::Open(_) => ticket,
            place @ Place::Twin(_) => match std::mem::take(place) {
                Place::Twin(first) => first,
                _ => return None,
            },
        };
        let Some(Place::Open(UnderWay { takers, .. })) = self.calls.get_mut(first as usize) else { return None };
        takers.remove(ticket);
        if takers.len() > 0 {
            return None;
        }
        Some((first, self.take(first)?))
    }
}
