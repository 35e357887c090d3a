//! Who gets the calls, under each policy.

use super::*;
use crate::upstream::{Backend, kit::backend, scripted::Script};
use std::time::Duration;

const CALLS: usize = 3_000;

fn of(settings: &str, count: usize) -> Backend {
    backend(settings, &vec![Script::after(Duration::ZERO); count])
}

/// The place of the one that is picked.
fn pick(backend: &Backend, context: PickContext<'_>) -> usize {
    let set = backend.instances.load();
    let picked = backend.picker.pick(&set, context).unwrap();
    set.members().iter().position(|member| member.is(&picked.instance)).unwrap()
}

fn instances(backend: &Backend) -> Vec<Arc<UpstreamInstance>> {
    backend.instances.load().members().iter().map(|member| member.instance.clone()).collect()
}

fn shares(backend: &Backend, context: impl Fn(usize) -> PickContext<'static>) -> Vec<f64> {
    let mut counts = vec![0.0; instances(backend).len()];
    for call in 0..CALLS {
        let place = pick(backend, context(call));
        counts[place] += 1.0 / CALLS as f64;
    }
    counts
}

fn plain(_: usize) -> PickContext<'static> {
    PickContext::default()
}

fn near(shares: &[f64], expected: &[f64]) -> bool {
    shares.iter().zip(expected).all(|(share, expected)| (share - expected).abs() < 0.05)
}

fn eject(backend: &Backend, place: usize) {
    instances(backend)[place].health.eject(&backend.config.outlier);
}

#[tokio::test(start_paused = true)]
async fn the_even_ones_are_even() {
    for policy in ["round-robin", "random", "least-requests", "p2c-ewma"] {
        let shares = shares(&of(&format!("balance = \"{policy}\""), 3), plain);
        assert!(near(&shares, &[0.333, 0.333, 0.333]), "{policy}: {shares:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_weighted_ones_follow_the_weights() {
    for policy in ["weighted-round-robin", "weighted-random"] {
        let backend = of(&format!("balance = \"{policy}\"\nendpoints = \"static://h0:1?weight=1,h1:1?weight=3\""), 2);
        let shares = shares(&backend, plain);
        assert!(near(&shares, &[0.25, 0.75]), "{policy}: {shares:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn smooth_weighted_round_robin_spreads_the_heavy_one() {
    let backend = of("balance = \"weighted-round-robin\"\nendpoints = \"static://h0:1?weight=5,h1:1,h2:1\"", 3);
    let order: Vec<_> = (0..7).map(|_| pick(&backend, PickContext::default())).collect();
    assert_eq!(order, [0, 0, 1, 0, 2, 0, 0], "the example of nginx");
}

#[tokio::test(start_paused = true)]
async fn the_idle_ones_are_preferred() {
    for policy in ["least-requests", "weighted-least-requests", "p2c-ewma"] {
        let backend = of(&format!("balance = \"{policy}\""), 2);
        let instances = instances(&backend);
        let _busy = [instances[0].load.begin(), instances[0].load.begin()];
        assert!(near(&shares(&backend, plain), &[0.0, 1.0]), "{policy}");
    }
}

#[tokio::test(start_paused = true)]
async fn p2c_leaves_an_endpoint_that_fails_and_comes_back_to_it() {
    let backend = of("", 3);
    let instances = instances(&backend);
    instances[0].load.begin().end(true);
    assert!(near(&shares(&backend, plain), &[0.0, 0.5, 0.5]));
    tokio::time::advance(Duration::from_mins(2)).await;
    for instance in &instances[1..] {
        let call = instance.load.begin();
        tokio::time::advance(Duration::from_millis(20)).await;
        call.end(false);
    }
    assert!(shares(&backend, plain)[0] > 0.5, "the failure has faded, so the endpoint is tried again");
}

#[tokio::test(start_paused = true)]
async fn a_source_keeps_its_endpoint_and_a_changed_set_moves_few() {
    let choose = |backend: &Backend| -> Vec<usize> {
        let context = |source| PickContext { source: Some(source), ..PickContext::default() };
        (0..1000).map(|source| pick(backend, context(source))).collect()
    };
    let (ten, nine) = (of("balance = \"source-hash\"", 10), of("balance = \"source-hash\"", 9));
    let (before, after) = (choose(&ten), choose(&nine));
    assert_eq!(before, choose(&ten), "the same source, the same endpoint");
    for (before, after) in before.iter().zip(&after) {
        assert!(before == after || *before == 9, "only those of the endpoint that left have moved");
    }
    assert!(before.iter().filter(|place| **place == 9).count() < 150);
}

#[tokio::test(start_paused = true)]
async fn ejected_endpoints_get_nothing_until_too_many_are_ejected() {
    let backend = of("balance = \"round-robin\"", 4);
    eject(&backend, 0);
    eject(&backend, 1);
    assert!(near(&shares(&backend, plain), &[0.0, 0.0, 0.5, 0.5]));
    eject(&backend, 2);
    assert!(near(&shares(&backend, plain), &[0.25, 0.25, 0.25, 0.25]), "panic: below half, ejections don't count");
}

#[tokio::test(start_paused = true)]
async fn those_that_have_just_come_are_no_reason_for_panic_and_get_nothing_by_it() {
    let backend = of("balance = \"round-robin\"", 5);
    for newcomer in &instances(&backend)[2..] {
        newcomer.health.begin_checks();
    }
    assert!(near(&shares(&backend, plain), &[0.5, 0.5, 0.0, 0.0, 0.0]));
    eject(&backend, 0);
    assert!(near(&shares(&backend, plain), &[0.0, 1.0, 0.0, 0.0, 0.0]), "half of those of which something is known");
    eject(&backend, 1);
    assert!(near(&shares(&backend, plain), &[0.5, 0.5, 0.0, 0.0, 0.0]), "panic");
}

#[tokio::test(start_paused = true)]
async fn a_canary_gets_its_own_calls_and_no_others() {
    let settings = "balance = \"round-robin\"\ncanary = { key = \"version\", value = \"2\", share = \"5%\" }\n\
                    endpoints = \"static://h0:1,h1:1,h2:1?version=2\"";
    let backend = of(settings, 3);
    assert!(near(&shares(&backend, plain), &[0.5, 0.5, 0.0]));
    assert!(near(&shares(&backend, |_| PickContext { canary: true, ..PickContext::default() }), &[0.0, 0.0, 1.0]));
}
