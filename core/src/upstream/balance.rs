//! Which endpoint takes the next call.
//!
//! Every policy sees the same candidates: the endpoints of the subset that the call belongs to, without those that were tried already
//! or are ejected; where too many are ejected, the ejections are taken for a mistake and all count again (`panic`).

use super::{Balance, endpoint::Endpoint};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Picks by the backend's policy. Remembers whose turn it is.
#[derive(Debug)]
pub(super) struct Picker {
    policy: Balance,
    /// Below this share of available endpoints, ejections are disregarded.
    panic: f64,
    turn: AtomicUsize,
    /// Current weights of the smooth weighted round robin, by place.
    smooth: Mutex<Vec<f64>>,
}

/// What a call brings along for the choice.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wish<'a> {
    /// Places that were tried before.
    pub(super) tried: &'a [usize],
    /// Whether the call belongs to the canary subset.
    pub(super) canary: bool,
    /// Hash of the caller's address, for the policies that stick to it.
    pub(super) source: Option<u64>,
}

impl Picker {
    pub(super) fn new(policy: Balance, panic: f64, endpoints: usize) -> Self {
        Self { policy, panic, turn: AtomicUsize::new(0), smooth: Mutex::new(vec![0.0; endpoints]) }
    }

    /// The place of the endpoint. `None` only where there is none that was not tried.
    pub(super) fn pick(&self, endpoints: &[Endpoint], wish: Wish<'_>) -> Option<usize> {
        let in_subset = |e: &Endpoint| e.canary == wish.canary;
        let any_in_subset = endpoints.iter().any(in_subset);
        let belongs = |(_, e): &(usize, &Endpoint)| !any_in_subset || in_subset(e);
        let untried = |(place, _): &(usize, &Endpoint)| !wish.tried.contains(place);
        let members = || endpoints.iter().enumerate().filter(belongs);
        let available = members().filter(|(_, e)| e.health.is_available()).count();
        let panics = (available as f64) < self.panic * members().count() as f64;
        let mut candidates: Vec<(usize, &Endpoint)> =
            members().filter(untried).filter(|(_, e)| panics || e.health.is_available()).collect();
        if candidates.is_empty() {
            candidates = members().filter(untried).collect();
        }
        match candidates.as_slice() {
            [] => None,
            [(only, _)] => Some(*only),
            several => self.choose(several, wish.source),
        }
    }

    fn choose(&self, candidates: &[(usize, &Endpoint)], source: Option<u64>) -> Option<usize> {
        let random = || candidates.get(rand::random_range(0..candidates.len())).map(|(place, _)| *place);
        match self.policy {
            Balance::RoundRobin => {
                candidates.get(self.turn.fetch_add(1, Relaxed) % candidates.len()).map(|(place, _)| *place)
            }
            Balance::WeightedRoundRobin => self.smooth(candidates),
            Balance::Random => random(),
            Balance::WeightedRandom => weighted_random(candidates),
            Balance::LeastRequests => best(candidates, |e| -(e.load.under_way() as f64)),
            Balance::WeightedLeastRequests => best(candidates, |e| e.weight() / (e.load.under_way() as f64 + 1.0)),
            Balance::SourceHash | Balance::SourcePortHash => match source {
                Some(source) => best(candidates, |e| rendezvous(source, e)),
                None => random(),
            },
            Balance::P2cEwma => {
                let first = rand::random_range(0..candidates.len());
                let second = (first + rand::random_range(1..candidates.len())) % candidates.len();
                let (first, second) = (candidates.get(first)?, candidates.get(second)?);
                let cost = |(_, e): &(usize, &Endpoint)| e.load.cost() / e.weight();
                Some(if cost(second) < cost(first) { second.0 } else { first.0 })
            }
        }
    }

    /// nginx's smooth weighted round robin: everyone gains their weight, the richest is picked and pays for all.
    fn smooth(&self, candidates: &[(usize, &Endpoint)]) -> Option<usize> {
        let mut current = self.smooth.lock().unwrap_or_else(PoisonError::into_inner);
        let mut total = 0.0;
        let mut richest: Option<(usize, f64)> = None;
        for (place, endpoint) in candidates {
            let weight = endpoint.weight();
            total += weight;
            let Some(own) = current.get_mut(*place) else { continue };
            *own += weight;
            if richest.is_none_or(|(_, most)| *own > most) {
                richest = Some((*place, *own));
            }
        }
        let (place, _) = richest?;
        if let Some(own) = current.get_mut(place) {
            *own -= total;
        }
        Some(place)
    }
}

/// The highest score; of equal ones a random one.
fn best(candidates: &[(usize, &Endpoint)], score: impl Fn(&Endpoint) -> f64) -> Option<usize> {
    let offset = rand::random_range(0..candidates.len());
    let rotated = candidates.iter().skip(offset).chain(candidates.iter().take(offset));
    rotated.map(|(place, e)| (*place, score(e))).reduce(|a, b| if b.1 > a.1 { b } else { a }).map(|(place, _)| place)
}

fn weighted_random(candidates: &[(usize, &Endpoint)]) -> Option<usize> {
    let total: f64 = candidates.iter().map(|(_, e)| e.weight()).sum();
    let mut left = rand::random_range(0.0..total.max(f64::MIN_POSITIVE));
    for (place, endpoint) in candidates {
        left -= endpoint.weight();
        if left < 0.0 {
            return Some(*place);
        }
    }
    candidates.last().map(|(place, _)| *place)
}

/// Weighted rendezvous hashing: each endpoint draws a number for the source, the highest wins. When an endpoint comes or goes, only the
/// sources that it wins or had won move.
fn rendezvous(source: u64, endpoint: &Endpoint) -> f64 {
    let mut hasher = DefaultHasher::new();
    (source, &endpoint.address).hash(&mut hasher);
    // Uniform in (0, 1), of which the logarithm exists.
    let uniform = ((hasher.finish() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    // The configured weight: one that changes with slow start would move sources back and forth.
    -endpoint.base_weight / uniform.ln()
}

#[cfg(test)]
mod tests;
