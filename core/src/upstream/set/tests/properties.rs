//! Balancers over random sequences of sets, with calls under way all the time.

use super::super::*;
use crate::{
    telemetry::Metrics,
    upstream::{
        Answer, Backend, Method, Outgoing, Transport,
        balance::PickContext,
        kit::{backend, outgoing},
        scripted::Script,
    },
};
use bytes::Bytes;
use proptest::prelude::*;
use std::{collections::BTreeSet, time::Duration};
use tokio::task::JoinHandle;

const POLICIES: [&str; 9] = [
    "p2c-ewma",
    "round-robin",
    "weighted-round-robin",
    "least-requests",
    "weighted-least-requests",
    "random",
    "weighted-random",
    "source-hash",
    "source-port-hash",
];
const PLACES: usize = 6;
const TAKES: Duration = Duration::from_millis(5);

#[derive(Debug, Clone)]
enum Event {
    /// A set arrives: places and weights, maybe none, maybe one twice.
    Set(Vec<(usize, u8)>),
    Call,
    /// Milliseconds pass.
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        prop::collection::vec((0..PLACES, 1..6_u8), 0..5).prop_map(Event::Set),
        Just(Event::Call),
        Just(Event::Call),
        (0..8_u64).prop_map(Event::Pass),
    ]
}

fn address(place: usize) -> String {
    format!("h{place}:1")
}

/// A backend, and what is true of it.
struct World {
    backend: Arc<Backend>,
    scripts: Vec<Script>,
    /// The places of the newest set.
    newest: Arc<Mutex<BTreeSet<usize>>>,
    /// Calls that came to a place that was not in the newest set when they were made.
    astray: Arc<Mutex<Vec<usize>>>,
    metrics: Metrics,
    method: Arc<Method>,
    running: Vec<JoinHandle<Answer>>,
}

impl World {
    fn begin(policy: &str, settings: &str) -> Self {
        let newest = Arc::new(Mutex::new(BTreeSet::from([0])));
        let astray = Arc::<Mutex<Vec<usize>>>::default();
        let script = |place: usize| {
            let (newest, astray) = (newest.clone(), astray.clone());
            Script::new(move |_| {
                if !newest.lock().unwrap().contains(&place) {
                    astray.lock().unwrap().push(place);
                }
                async {
                    tokio::time::sleep(TAKES).await;
                    Ok(Bytes::new())
                }
            })
        };
        let scripts: Vec<_> = (0..PLACES).map(script).collect();
        let settings = format!("endpoints = \"static://h0:1\"\nbalance = \"{policy}\"\n{settings}");
        let (backend, metrics) = (Arc::new(backend(&settings, &scripts)), Metrics::default());
        let method = Arc::new(Method::new("b", "s.S/M", false, None, &metrics));
        Self { backend, scripts, newest, astray, metrics, method, running: Vec::new() }
    }

    fn known(&self) -> BTreeMap<String, Arc<UpstreamInstance>> {
        let set = self.backend.instances.load();
        set.members().iter().map(|member| (member.instance.address.to_string(), member.instance.clone())).collect()
    }

    fn set(&self, set: &[(usize, u8)]) {
        let before = self.known();
        let spec = |(place, weight): &(usize, u8)| InstanceSpec {
            uri: format!("http://{}", address(*place)).parse().unwrap(),
            weight: f64::from(*weight),
            metadata: BTreeMap::new(),
        };
        let specs: Vec<_> = set.iter().map(spec).collect();
        let wanted: BTreeSet<usize> = set.iter().map(|(place, _)| *place).collect();
        let result = self.backend.offer(&specs);
        let after = self.known();
        if wanted.is_empty() {
            assert_eq!(result, Err(SetRefused::Empty), "all of them answer");
            assert!(before.keys().eq(after.keys()));
            return;
        }
        *self.newest.lock().unwrap() = wanted.clone();
        assert!(after.keys().cloned().eq(wanted.iter().map(|place| address(*place))), "{wanted:?}: {after:?}");
        for (address, instance) in &after {
            assert!(before.get(address).is_none_or(|old| Arc::ptr_eq(old, instance)), "{address} has lost its state");
        }
    }

    async fn take(&mut self, event: &Event) {
        match event {
            Event::Set(set) => self.set(set),
            Event::Call => {
                let (backend, port) = (self.backend.clone(), self.running.len() as u16);
                let source = Some(([10, 0, 0, port as u8], port).into());
                let call = Outgoing { source, method: self.method.clone(), ..outgoing(false, Duration::from_secs(60)) };
                self.running.push(tokio::spawn(async move { backend.call(call).await }));
            }
            Event::Pass(millis) => tokio::time::sleep(Duration::from_millis(*millis)).await,
        }
    }

    /// When all calls have ended: each had one answer, from one instance, and is counted once wherever calls are counted.
    async fn end(self, was_removed: &BTreeSet<usize>) {
        let (mut answered, calls) = (BTreeMap::<String, u64>::new(), self.running.len());
        for call in self.running {
            let answer = call.await.unwrap();
            assert!(answer.result.is_ok() && answer.attempts == 1, "{answer:?}");
            *answered.entry(answer.endpoint.unwrap().to_string()).or_default() += 1;
        }
        assert_eq!(*self.astray.lock().unwrap(), Vec::<usize>::new());
        let counts = self.scripts.iter().enumerate().map(|(place, script)| (address(place), script.count() as u64));
        assert!(counts.filter(|(_, count)| *count > 0).eq(answered.clone()));
        let counted = format!("weft_upstream_calls_total{{backend=\"b\",method=\"s.S/M\",code=\"OK\"}} {calls}\n");
        assert!(calls == 0 || self.metrics.encode().contains(&counted), "{}", self.metrics.encode());
        for endpoint in self.backend.state().endpoints {
            assert_eq!((endpoint.under_way, endpoint.state), (0, EndpointHealth::Ready));
            let all = answered.get(&endpoint.address).copied().unwrap_or_default();
            let removed = was_removed.iter().any(|place| address(*place) == endpoint.address);
            assert!(endpoint.told.calls == all || removed && endpoint.told.calls < all, "{endpoint:?}: {all}");
        }
        assert!(self.backend.instances.is_nobody_leaving());
    }
}

async fn run(policy: &str, events: &[Event]) {
    let mut world = World::begin(policy, "");
    let mut was_removed = BTreeSet::new();
    for event in events {
        let before = world.newest.lock().unwrap().clone();
        world.take(event).await;
        was_removed.extend(before.difference(&world.newest.lock().unwrap()));
    }
    world.end(&was_removed).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_call_goes_outside_the_newest_set_and_none_is_lost(events in prop::collection::vec(event(), 0..60)) {
        for policy in POLICIES {
            let paused = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            paused.block_on(run(policy, &events));
        }
    }

    /// Whatever sets came before, and however many calls they had, everyone soon gets what their weights say.
    #[test]
    fn smooth_round_robin_owes_nobody_for_long(
        before in prop::collection::vec(
            (prop::collection::vec((0..PLACES, 1..=255_u8), 1..5), 0..40_usize),
            0..20,
        ),
        last in prop::collection::vec(1..6_u8, 2..PLACES),
    ) {
        const ROUNDS: usize = 20;
        let paused = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let _inside = paused.enter();
        let world = World::begin("weighted-round-robin", "outlier = { slow-start = \"0s\" }");
        let pick = || {
            let set = world.backend.instances.load();
            world.backend.picker.pick(&set, PickContext::default()).unwrap().instance.address.to_string()
        };
        for (set, calls) in before {
            world.set(&set);
            (0..calls).for_each(|_| drop(pick()));
        }
        let last: Vec<(usize, u8)> = last.into_iter().enumerate().collect();
        world.set(&last);
        let total: usize = last.iter().map(|(_, weight)| usize::from(*weight)).sum();
        let mut picked = BTreeMap::<String, usize>::new();
        (0..total * ROUNDS).for_each(|_| *picked.entry(pick()).or_default() += 1);
        for (place, weight) in &last {
            let (fair, had) = (usize::from(*weight) * ROUNDS, picked[&address(*place)]);
            prop_assert!(had.abs_diff(fair) <= 3, "h{}, {} of {}: {} instead of {}", place, weight, total, had, fair);
        }
    }
}
