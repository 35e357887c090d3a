//! Tokens that were none: so many different ones may be tried from one address.
//!
//! A script with an old token tries the same one again and again, and guesses nothing: it is told so each time, and keeps nobody away
//! who comes from its address.

use crate::{model::Digest, net::Subnet, sync::lock};
use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, Ipv4Addr},
    sync::Mutex,
    time::Duration,
};
use tokio::time::Instant;

/// So many at once, and after that one in this time.
const AT_ONCE: u32 = 10;
const EVERY: Duration = Duration::from_secs(6);
/// Wrong tokens of an address that are remembered.
const KNOWN: usize = 16;
/// Addresses that are told apart; all others count as one.
const ADDRESSES: usize = 1_000;

#[derive(Debug, Default)]
pub(super) struct Guesses(Mutex<HashMap<Subnet, Guesser>>);

/// One address.
#[derive(Debug)]
struct Guesser {
    /// When nothing is left of what it has tried.
    over: Instant,
    known: VecDeque<Digest>,
}

impl Guesses {
    /// Whether this token may be looked at; if not, for how long none may.
    pub(super) fn check(&self, address: Subnet, token: &Digest) -> Result<(), Duration> {
        let guessers = lock(&self.0);
        let Some(guesser) = guessers.get(&address).or_else(|| guessers.get(&others())) else { return Ok(()) };
        let left = guesser.over.saturating_duration_since(Instant::now());
        let most = EVERY * (AT_ONCE - 1);
        if left > most && !guesser.known.contains(token) { Err(left - most) } else { Ok(()) }
    }

    /// It was none.
    pub(super) fn wrong(&self, address: Subnet, token: Digest) {
        let (mut guessers, now) = (lock(&self.0), Instant::now());
        if guessers.len() >= ADDRESSES && !guessers.contains_key(&address) {
            guessers.retain(|_, guesser| guesser.over > now);
        }
        let address = if guessers.len() >= ADDRESSES && !guessers.contains_key(&address) { others() } else { address };
        let guesser = guessers.entry(address).or_insert_with(|| Guesser { over: now, known: VecDeque::new() });
        if guesser.known.contains(&token) {
            return;
        }
        guesser.over = guesser.over.max(now) + EVERY;
        if guesser.known.len() == KNOWN {
            guesser.known.pop_front();
        }
        guesser.known.push_back(token);
    }
}

/// Where those are counted for whom there is no place of their own.
fn others() -> Subnet {
    Subnet::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(last: u8) -> Subnet {
        Subnet::from(IpAddr::from([10, 0, 0, last]))
    }

    fn token(number: u32) -> Digest {
        Digest::of(&number.to_be_bytes())
    }

    #[tokio::test(start_paused = true)]
    async fn different_tokens_are_guesses_and_the_same_one_again_is_none() {
        let guesses = Guesses::default();
        for number in 0..AT_ONCE {
            assert_eq!(guesses.check(at(1), &token(number)), Ok(()));
            for _ in 0..100 {
                guesses.wrong(at(1), token(number));
            }
        }
        let wait = guesses.check(at(1), &token(100)).unwrap_err();
        assert_eq!(wait, EVERY);
        assert_eq!((guesses.check(at(1), &token(3)), guesses.check(at(2), &token(100))), (Ok(()), Ok(())));
        tokio::time::advance(wait).await;
        assert_eq!(guesses.check(at(1), &token(100)), Ok(()));
        guesses.wrong(at(1), token(100));
        assert!(guesses.check(at(1), &token(101)).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn many_addresses_take_bounded_room_and_give_it_back() {
        let guesses = Guesses::default();
        for number in 0..5_000_u32 {
            guesses.wrong(Subnet::from(IpAddr::from(number.to_be_bytes())), token(number));
        }
        let count = || lock(&guesses.0).len();
        assert!(count() <= ADDRESSES + 1, "{}", count());
        tokio::time::advance(EVERY * 5_000).await;
        guesses.wrong(at(1), token(1));
        assert_eq!(count(), 1);
    }
}
