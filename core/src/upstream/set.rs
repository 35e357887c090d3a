//! The instances of a backend: an unchangeable set that is swapped as a whole, as releases are.
//!
//! Calls read the newest set without a lock. An instance is known again by its address: in the next set it is the same object, with its
//! connection, its load and all that was learnt of it. One that is in the set no more gets no further calls, ends those that it has, and
//! goes with the last of them; where its address comes back before that, it is still the same.

use super::{
    asks::Checks,
    checks::{Checker, Checking},
    config::{Canary, Config},
    connect::Connector,
    discovery::InstanceSpec,
    health::{Health, Outlier},
    instance::{UpstreamInstance, key},
};
use crate::{
    sync::lock,
    telemetry::{EndpointHealth, EndpointStates},
};
use arc_swap::{ArcSwap, Guard};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, Weak},
};

/// An instance, and what its provider says of it at present.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) instance: Arc<UpstreamInstance>,
    pub(super) base_weight: f64,
    /// Whether it belongs to the canary subset.
    pub(super) canary: bool,
    rules: Outlier,
    metadata: BTreeMap<String, String>,
    /// Goes on for as long as it is in the set.
    checking: Option<Arc<Checking>>,
}

impl Member {
    /// Its weight at present: less for a while after it came, or came back.
    pub(super) fn weight(&self) -> f64 {
        self.base_weight * self.instance.health.share(&self.rules)
    }

    pub(super) fn is(&self, instance: &Arc<UpstreamInstance>) -> bool {
        Arc::ptr_eq(&self.instance, instance)
    }

    /// The same instance of which the same is said.
    fn is_unchanged(&self, other: &Self) -> bool {
        self.is(&other.instance) && self.base_weight == other.base_weight && self.metadata == other.metadata
    }
}

/// All instances at one time. No address is in it twice.
#[derive(Debug, Default)]
pub(super) struct InstanceSet(Vec<Member>);

impl InstanceSet {
    pub(super) fn members(&self) -> &[Member] {
        &self.0
    }

    pub(super) fn holds(&self, instance: &Arc<UpstreamInstance>) -> bool {
        self.0.iter().any(|member| member.is(instance))
    }

    pub(super) fn healths(&self) -> impl Iterator<Item = &Health> + Clone {
        self.0.iter().map(|member| &member.instance.health)
    }

    /// Whether the last call to some of them that ended found it able to answer, or none has ended; and its checks say nothing else.
    fn answers(&self) -> bool {
        self.healths().any(Health::may_answer)
    }
}

/// What has changed by a new set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetChange {
    pub added: Vec<Arc<str>>,
    pub removed: Vec<Arc<str>>,
    /// Instances that stay, with another weight or other metadata.
    pub altered: usize,
    /// Those in the set now.
    pub total: usize,
    /// Addresses that stood there more than once; the first one counts.
    pub doubled: usize,
    /// Addresses that can't be used, each with why.
    pub unusable: Vec<(String, String)>,
}

impl SetChange {
    pub fn is_none(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.altered == 0
    }
}

/// Why a set was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetRefused {
    #[error("it is empty, and instances of the set before still answer")]
    Empty,
    #[error("none of it can be used ({0}), and instances of the set before still answer")]
    Unusable(String),
}

/// The newest set, and how the next one is made of it.
#[derive(Debug)]
pub(super) struct Instances {
    current: ArcSwap<InstanceSet>,
    /// Held while a set is swapped: those that have left, as long as calls hold them.
    leaving: Mutex<Vec<Weak<UpstreamInstance>>>,
    connector: Connector,
    canary: Option<Canary>,
    rules: Outlier,
    /// Whether an empty set is taken although instances of the one before answer.
    allow_empty: bool,
    checker: Option<Checker>,
}

impl Instances {
    /// None as yet, of the backend of that name.
    pub(super) fn new(backend: &str, config: &Config, connector: Connector) -> Self {
        let checker = |checks: &Checks| Checker { backend: backend.into(), checks: Arc::new(checks.clone()) };
        Self {
            current: ArcSwap::default(),
            leaving: Mutex::default(),
            connector,
            canary: config.canary.clone(),
            rules: config.outlier,
            allow_empty: config.endpoints.allow_empty,
            checker: config.health.as_ref().map(checker),
        }
    }

    /// What was told of those in the newest set.
    pub(super) fn specs(&self) -> Vec<InstanceSpec> {
        let spec = |member: &Member| InstanceSpec {
            uri: member.instance.uri.clone(),
            weight: member.base_weight,
            metadata: member.metadata.clone(),
        };
        self.load().members().iter().map(spec).collect()
    }

    /// The newest set. Not to be held across an await.
    pub(super) fn load(&self) -> Guard<Arc<InstanceSet>> {
        self.current.load()
    }

    /// Makes `specs` the set. `settle` sees the new one before it is in force.
    pub(super) fn replace(
        &self,
        specs: &[InstanceSpec],
        settle: impl FnOnce(&InstanceSet),
    ) -> Result<SetChange, SetRefused> {
        let mut leaving = lock(&self.leaving);
        let before = self.current.load_full();
        if specs.is_empty() && !self.allow_empty && before.answers() {
            return Err(SetRefused::Empty);
        }
        let mut change = SetChange::default();
        let mut wanted = Wanted::of(specs, &mut change);
        let mut members = Vec::with_capacity(specs.len());
        let mut gone = Vec::new();
        // Those that stay keep their places, whatever order the provider tells them in.
        for old in before.members() {
            match wanted.take(&old.instance.key) {
                Some(spec) => {
                    let member = Member { checking: old.checking.clone(), ..self.member(old.instance.clone(), spec) };
                    change.altered += usize::from(!member.is_unchanged(old));
                    members.push(member);
                }
                None => {
                    change.removed.push(old.instance.address.clone());
                    gone.push(Arc::downgrade(&old.instance));
                }
            }
        }
        let mut departed: HashMap<String, Arc<UpstreamInstance>> =
            leaving.iter().filter_map(Weak::upgrade).map(|instance| (instance.key.clone(), instance)).collect();
        for (key, spec) in wanted.rest() {
            match self.instance(spec, departed.remove(&key), before.members().is_empty()) {
                Ok(instance) => {
                    change.added.push(instance.address.clone());
                    let checking = self.checker.as_ref().and_then(|checker| checker.begin(&instance));
                    members.push(Member { checking, ..self.member(instance, spec) });
                }
                Err(reason) => change.unusable.push((spec.uri.to_string(), reason)),
            }
        }
        change.total = members.len();
        match change.unusable.first() {
            Some((uri, reason)) if members.is_empty() && before.answers() => {
                return Err(SetRefused::Unusable(format!("{uri}: {reason}")));
            }
            _ => {}
        }
        *leaving = departed.values().map(Arc::downgrade).chain(gone).collect();
        if change.is_none() {
            return Ok(change);
        }
        let next = InstanceSet(members);
        settle(&next);
        self.current.store(Arc::new(next));
        Ok(change)
    }

    /// One that comes: as it was, where calls to that address have not ended yet; else new, and with few calls at first unless there is
    /// nobody else to take them.
    fn instance(
        &self,
        spec: &InstanceSpec,
        departed: Option<Arc<UpstreamInstance>>,
        is_first: bool,
    ) -> Result<Arc<UpstreamInstance>, String> {
        if let Some(instance) = departed {
            return Ok(instance);
        }
        let health = if is_first { Health::default() } else { Health::newcomer() };
        Ok(Arc::new(UpstreamInstance::new(&spec.uri, self.connector.connect(&spec.uri)?, health)))
    }

    /// Whether no call is under way to an instance that has left.
    #[cfg(test)]
    fn is_nobody_leaving(&self) -> bool {
        let leaving = lock(&self.leaving);
        leaving.iter().all(|instance| instance.strong_count() == 0)
    }

    fn member(&self, instance: Arc<UpstreamInstance>, spec: &InstanceSpec) -> Member {
        let is_canary = |canary: &Canary| spec.metadata.get(&canary.key) == Some(&canary.value);
        Member {
            instance,
            base_weight: spec.weight,
            canary: self.canary.as_ref().is_some_and(is_canary),
            rules: self.rules,
            metadata: spec.metadata.clone(),
            checking: None,
        }
    }
}

impl EndpointStates for Instances {
    fn count(&self, wanted: EndpointHealth) -> usize {
        self.load().healths().filter(|health| health.as_told() == wanted).count()
    }
}

/// A set as it was told, each address once.
struct Wanted<'a> {
    specs: HashMap<String, &'a InstanceSpec>,
    /// As they were told.
    order: Vec<String>,
}

/// Weights above that are a mistake, and so is one of 0: sums of weights have to be numbers.
const HEAVIEST: f64 = 1e6;

impl<'a> Wanted<'a> {
    fn of(specs: &'a [InstanceSpec], change: &mut SetChange) -> Self {
        let mut wanted = Self { specs: HashMap::new(), order: Vec::new() };
        for spec in specs {
            let key = key(&spec.uri);
            let is_usable = spec.weight > 0.0 && spec.weight < HEAVIEST;
            if !is_usable {
                change.unusable.push((spec.uri.to_string(), format!("its weight is {}", spec.weight)));
            } else if wanted.specs.contains_key(&key) {
                change.doubled += 1;
            } else {
                wanted.order.push(key.clone());
                wanted.specs.insert(key, spec);
            }
        }
        wanted
    }

    fn take(&mut self, key: &str) -> Option<&'a InstanceSpec> {
        self.specs.remove(key)
    }

    /// Those that were not taken.
    fn rest(mut self) -> impl Iterator<Item = (String, &'a InstanceSpec)> {
        let order = std::mem::take(&mut self.order);
        order.into_iter().filter_map(move |key| self.specs.remove(&key).map(|spec| (key, spec)))
    }
}

#[cfg(test)]
mod tests;
