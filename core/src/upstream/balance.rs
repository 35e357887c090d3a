//! Which instance takes the next call.
//!
//! Every policy sees the same candidates: the instances of the subset that the call belongs to, without those that were tried already
//! or get no calls by their health; where that is too many, it is taken for a mistake and all count again (`panic`). Those that came just
//! now, and whose first check has not ended, are no part of that: they get calls where there is nobody else.

use super::{
    Balance,
    instance::UpstreamInstance,
    set::{InstanceSet, Member},
};
use crate::sync::lock;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Picks by the backend's policy. Remembers whose turn it is.
#[derive(Debug)]
pub(super) struct Picker {
    policy: Balance,
    /// Below this share of available instances, ejections are disregarded.
    panic: f64,
    turn: AtomicUsize,
    /// Guards the credits of all instances, which the smooth weighted round robin weighs against each other.
    smooth: Mutex<()>,
}

/// What a call brings along for the choice.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PickContext<'a> {
    /// Instances that were tried before. Some of them may be in the set no more.
    pub(super) tried: &'a [Arc<UpstreamInstance>],
    /// Whether the call belongs to the canary subset.
    pub(super) canary: bool,
    /// Hash of the caller's address, for the policies that stick to it.
    pub(super) source: Option<u64>,
}

impl Picker {
    pub(super) fn new(policy: Balance, panic: f64) -> Self {
        Self { policy, panic, turn: AtomicUsize::new(0), smooth: Mutex::default() }
    }

    /// `None` only where there is none that was not tried.
    pub(super) fn pick<'s>(&self, set: &'s InstanceSet, context: PickContext<'_>) -> Option<&'s Member> {
        let members = || subset(set, context.canary);
        let untried = |member: &&Member| !context.tried.iter().any(|tried| member.is(tried));
        let available = members().filter(|member| member.instance.health.is_available()).count();
        let known = members().filter(|member| !member.instance.health.is_pending()).count();
        let panics = (available as f64) < self.panic * known as f64;
        let gets_calls = |member: &&Member| {
            let health = &member.instance.health;
            health.is_available() || panics && !health.is_pending()
        };
        let mut candidates: Vec<&Member> = members().filter(untried).filter(gets_calls).collect();
        if candidates.is_empty() {
            candidates = members().filter(untried).collect();
        }
        match candidates.as_slice() {
            [] => None,
            [only] => Some(*only),
            several => self.choose(several, context.source),
        }
    }

    fn choose<'s>(&self, candidates: &[&'s Member], source: Option<u64>) -> Option<&'s Member> {
        let random = || candidates.get(rand::random_range(0..candidates.len())).copied();
        let under_way = |member: &Member| member.instance.load.under_way() as f64;
        match self.policy {
            Balance::RoundRobin => candidates.get(self.turn.fetch_add(1, Relaxed) % candidates.len()).copied(),
            Balance::WeightedRoundRobin => self.smooth(candidates),
            Balance::Random => random(),
            Balance::WeightedRandom => weighted_random(candidates),
            Balance::LeastRequests => best(candidates, |member| -under_way(member)),
            Balance::WeightedLeastRequests => best(candidates, |member| member.weight() / (under_way(member) + 1.0)),
            Balance::SourceHash | Balance::SourcePortHash => match source {
                Some(source) => best(candidates, |member| rendezvous(source, member)),
                None => random(),
            },
            Balance::P2cEwma => {
                let first = rand::random_range(0..candidates.len());
                let second = (first + rand::random_range(1..candidates.len())) % candidates.len();
                let (first, second) = (*candidates.get(first)?, *candidates.get(second)?);
                let cost = |member: &Member| member.instance.load.cost() / member.weight();
                Some(if cost(second) < cost(first) { second } else { first })
            }
        }
    }

    /// nginx's smooth weighted round robin: everyone gains their weight, the richest is picked and pays for all.
    fn smooth<'s>(&self, candidates: &[&'s Member]) -> Option<&'s Member> {
        let _guard = lock(&self.smooth);
        let mut total = 0.0;
        let mut richest: Option<(&Member, f64)> = None;
        for member in candidates.iter().copied() {
            let weight = member.weight();
            total += weight;
            let own = member.instance.credit.get() + weight;
            member.instance.credit.set(own);
            if richest.is_none_or(|(_, most)| own > most) {
                richest = Some((member, own));
            }
        }
        let (member, own) = richest?;
        member.instance.credit.set(own - total);
        Some(member)
    }

    /// A new set comes. What those that left took along is made up for among the others, so that who comes, with nothing, is neither
    /// before nor behind them; and nobody is owed more than a round by the new weights.
    pub(super) fn settle(&self, set: &InstanceSet) {
        let _guard = lock(&self.smooth);
        let members = set.members();
        let total: f64 = members.iter().map(|member| member.base_weight).sum();
        let mean = members.iter().map(|member| member.instance.credit.get()).sum::<f64>() / members.len().max(1) as f64;
        for member in members {
            let credit = &member.instance.credit;
            credit.set((credit.get() - mean).clamp(-total, total));
        }
    }
}

/// Whether there is one for this call that was not tried.
pub(super) fn has_untried(set: &InstanceSet, context: PickContext<'_>) -> bool {
    subset(set, context.canary).any(|member| !context.tried.iter().any(|tried| member.is(tried)))
}

/// The instances that a call may go to: those of its subset, or all where that is empty.
fn subset(set: &InstanceSet, canary: bool) -> impl Iterator<Item = &Member> {
    let any = set.members().iter().any(|member| member.canary == canary);
    set.members().iter().filter(move |member| !any || member.canary == canary)
}

/// The highest score; of equal ones a random one.
fn best<'s>(candidates: &[&'s Member], score: impl Fn(&Member) -> f64) -> Option<&'s Member> {
    let offset = rand::random_range(0..candidates.len());
    let rotated = candidates.iter().skip(offset).chain(candidates.iter().take(offset));
    let scored = rotated.map(|member| (*member, score(member)));
    scored.reduce(|a, b| if b.1 > a.1 { b } else { a }).map(|(member, _)| member)
}

fn weighted_random<'s>(candidates: &[&'s Member]) -> Option<&'s Member> {
    let total: f64 = candidates.iter().map(|member| member.weight()).sum();
    let mut left = rand::random_range(0.0..total.max(f64::MIN_POSITIVE));
    for member in candidates.iter().copied() {
        left -= member.weight();
        if left < 0.0 {
            return Some(member);
        }
    }
    candidates.last().copied()
}

/// Weighted rendezvous hashing: each instance draws a number for the source, the highest wins. When an instance comes or goes, only the
/// sources that it wins or had won move.
fn rendezvous(source: u64, member: &Member) -> f64 {
    let mut hasher = DefaultHasher::new();
    (source, &member.instance.address).hash(&mut hasher);
    // Uniform in (0, 1), of which the logarithm exists.
    let uniform = ((hasher.finish() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    // The weight that it was given: one that changes with slow start would move sources back and forth.
    -member.base_weight / uniform.ln()
}

#[cfg(test)]
mod tests;
