//! How outcomes cross into the guest: flat heads beside one arena of bytes.

use super::dedup::Ended;
use crate::{
    model::{Code, Failure},
    observe::Origin,
};
use hashbrown::HashMap;
use std::collections::VecDeque;

/// One call that has ended. `code` 0: `bytes[offset..][..len]` is the reply; else it is a `google.rpc.Status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Completion {
    pub ticket: u32,
    pub code: u32,
    pub origin: u32,
    pub age_ms: u32,
    pub offset: u32,
    pub len: u32,
}

/// The completions of one exchange and the bytes that they point into.
#[derive(Debug, Default)]
pub struct Arena {
    pub completions: Vec<Completion>,
    pub bytes: Vec<u8>,
}

impl Arena {
    /// Takes what is ready, as far as `bound` bytes go; the rest waits for the next exchange. Equal replies share one range.
    /// A reply that is over the bound by itself fails with RESOURCE_EXHAUSTED.
    pub(super) fn fill(ready: &mut VecDeque<Ended>, bound: usize) -> Self {
        let mut arena = Self::default();
        arena.completions.reserve(ready.iter().map(|ended| ended.takers.len()).sum());
        // Replies by address: loads of several exchanges may hold the same bytes. `taken` keeps them alive, so that an address
        // means one reply for as long as the map is used.
        let mut places: HashMap<(usize, usize), u32> = HashMap::new();
        let mut taken = Vec::with_capacity(ready.len());
        while let Some(ended) = ready.pop_front() {
            let (code, bytes) = match &ended.outcome.result {
                Ok(bytes) if bytes.len() > bound => over_bound(bytes.len(), bound),
                Ok(bytes) => (Code::Ok, bytes.clone()),
                Err(failure) => (failure.code, failure.to_status()),
            };
            let identity = (bytes.as_ptr() as usize, bytes.len());
            let known = places.get(&identity).copied();
            if known.is_none() && !arena.completions.is_empty() && arena.bytes.len() + bytes.len() > bound {
                ready.push_front(ended);
                break;
            }
            let offset = known.unwrap_or_else(|| {
                let offset = arena.bytes.len() as u32;
                arena.bytes.extend_from_slice(&bytes);
                places.insert(identity, offset);
                offset
            });
            let len = bytes.len() as u32;
            arena.complete(&ended, Completion { code: code as u32, offset, len, ..Completion::default() });
            taken.push(bytes);
        }
        arena
    }

    /// Adds `alike` for each taker.
    fn complete(&mut self, ended: &Ended, alike: Completion) {
        let Ended { takers, outcome } = ended;
        let (age_ms, origin) = (outcome.age_ms(), outcome.origin);
        let one = |ticket, origin: Origin| Completion { ticket, origin: origin.number(), age_ms, ..alike };
        self.completions.extend(takers.first.iter().map(|(ticket, _)| one(*ticket, origin)));
        self.completions.extend(takers.duplicates.iter().map(|(ticket, _)| one(*ticket, origin.for_duplicates())));
    }
}

fn over_bound(size: usize, bound: usize) -> (Code, bytes::Bytes) {
    let text = format!("a reply of {size} bytes is over the bound of {bound} for one exchange");
    (Code::ResourceExhausted, Failure::new(Code::ResourceExhausted, text).to_status())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fanout::call::Outcome;
    use bytes::Bytes;

    fn ready(replies: &[&Bytes]) -> VecDeque<Ended> {
        let outcomes = replies.iter().map(|bytes| Outcome::upstream(Ok((*bytes).clone())));
        (0..).zip(outcomes).map(|(ticket, outcome)| Ended::for_one(ticket, outcome)).collect()
    }

    #[test]
    fn equal_replies_share_one_range() {
        let (ann, bob) = (Bytes::from(vec![b'a'; 10]), Bytes::from(vec![b'b'; 10]));
        let arena = Arena::fill(&mut ready(&[&ann, &bob, &ann, &ann]), 1000);
        let offsets: Vec<_> = arena.completions.iter().map(|c| c.offset).collect();
        assert_eq!((offsets, arena.bytes.len()), (vec![0, 10, 0, 0], 20));
    }

    #[test]
    fn what_does_not_fit_waits_and_a_giant_fails_alone() {
        let (small, giant) = (Bytes::from(vec![1; 60]), Bytes::from(vec![2; 200]));
        let other = Bytes::from(vec![3; 60]);
        let mut waiting = ready(&[&small, &giant, &other]);
        let mut first = Arena::fill(&mut waiting, 100);
        while !waiting.is_empty() {
            let next = Arena::fill(&mut waiting, 100);
            assert!(!next.completions.is_empty(), "each exchange makes progress");
            first.completions.extend(next.completions);
        }
        let codes: Vec<_> = first.completions.iter().map(|c| (c.ticket, c.code)).collect();
        assert_eq!(codes, [(0, 0), (1, Code::ResourceExhausted as u32), (2, 0)]);
    }
}
