//! Sets that change while calls are under way, in paused time.

mod properties;

use super::*;
use crate::{
    model::Code,
    telemetry::{EndpointHealth, kept::Kept},
    upstream::{
        Answer, Backend, Transport,
        failed::Failed,
        kit::{backend, outgoing},
        scripted::{Script, failed},
    },
};
use bytes::Bytes;
use std::{future::ready, time::Duration};
use tokio::sync::Notify;

const SECOND: Duration = Duration::from_secs(1);

fn spec(place: usize, weight: f64) -> InstanceSpec {
    InstanceSpec { uri: format!("http://h{place}:1").parse().unwrap(), weight, metadata: BTreeMap::new() }
}

fn specs(places: &[usize]) -> Vec<InstanceSpec> {
    places.iter().map(|place| spec(*place, 1.0)).collect()
}

/// Of the instances that are scripted, the first `count` are there at first.
fn begin(settings: &str, count: usize, scripts: &[Script]) -> Backend {
    let list: Vec<_> = (0..count).map(|place| format!("h{place}:1")).collect();
    backend(&format!("endpoints = \"static://{}\"\n{settings}", list.join(",")), scripts)
}

fn instance(backend: &Backend, place: usize) -> Option<Arc<UpstreamInstance>> {
    let address = format!("h{place}:1");
    let set = backend.instances.load();
    set.members().iter().map(|member| member.instance.clone()).find(|instance| *instance.address == *address)
}

fn at_once() -> Script {
    Script::new(|_| ready(Ok(Bytes::new())))
}

/// Answers when it is told to.
fn held() -> (Script, Arc<Notify>) {
    let gate = Arc::new(Notify::new());
    let inside = gate.clone();
    let script = Script::new(move |_| {
        let gate = inside.clone();
        async move {
            gate.notified().await;
            Ok(Bytes::new())
        }
    });
    (script, gate)
}

async fn call(backend: &Backend) -> Answer {
    backend.call(outgoing(false, SECOND)).await
}

/// A call that is under way when this ends.
async fn begun(backend: &Arc<Backend>, script: &Script) -> tokio::task::JoinHandle<Answer> {
    let (backend, before) = (backend.clone(), script.count());
    let running = tokio::spawn(async move { backend.call(outgoing(false, SECOND * 60)).await });
    while script.count() == before {
        tokio::task::yield_now().await;
    }
    running
}

#[tokio::test(start_paused = true)]
async fn the_same_set_again_changes_nothing_in_whatever_order() {
    let (kept, _guard) = Kept::begin();
    let backend = begin("balance = \"round-robin\"", 3, &vec![at_once(); 3]);
    for _ in 0..6 {
        assert!(call(&backend).await.result.is_ok());
    }
    let before: Vec<_> = (0..3).map(|place| instance(&backend, place).unwrap()).collect();
    let set = Arc::as_ptr(&backend.instances.load());
    for order in [[0, 1, 2], [2, 0, 1]] {
        let change = backend.offer(&specs(&order)).unwrap();
        assert!(change.is_none() && change.total == 3, "{change:?}");
    }
    assert_eq!(set, Arc::as_ptr(&backend.instances.load()));
    for (place, before) in before.iter().enumerate() {
        assert!(Arc::ptr_eq(before, &instance(&backend, place).unwrap()));
        assert_eq!(before.trouble.told().calls, 2);
    }
    let uppercase = InstanceSpec { uri: "http://H0:1".parse().unwrap(), ..spec(0, 1.0) };
    let others = specs(&[1, 2]);
    assert!(backend.offer(&[vec![uppercase], others].concat()).unwrap().is_none(), "names of hosts have no case");
    assert!(kept.lines().is_empty(), "{:#?}", kept.lines());
}

#[tokio::test(start_paused = true)]
async fn one_that_is_removed_ends_its_calls_and_gets_no_others() {
    let (script, gate) = held();
    let backend = Arc::new(begin("balance = \"round-robin\"", 1, &[script.clone(), at_once()]));
    let running = begun(&backend, &script).await;
    let removed = Arc::downgrade(&instance(&backend, 0).unwrap());
    let change = backend.offer(&specs(&[1])).unwrap();
    assert_eq!((&*change.added[0], &*change.removed[0], change.total), ("h1:1", "h0:1", 1));
    for _ in 0..10 {
        assert_eq!(call(&backend).await.endpoint.as_deref(), Some("h1:1"));
    }
    assert_eq!((script.count(), removed.upgrade().unwrap().load.under_way()), (1, 1));
    gate.notify_one();
    let answer = running.await.unwrap();
    assert_eq!((answer.result.is_ok(), answer.endpoint.as_deref()), (true, Some("h0:1")));
    drop(answer);
    assert!(removed.upgrade().is_none(), "it goes with its last call, and its connection with it");
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_back_before_its_calls_have_ended_is_the_same_and_later_another() {
    let (script, gate) = held();
    let backend = Arc::new(begin("balance = \"round-robin\"", 1, &[script.clone(), at_once()]));
    let running = begun(&backend, &script).await;
    let first = Arc::downgrade(&instance(&backend, 0).unwrap());
    backend.offer(&specs(&[1])).unwrap();
    // Another set in between doesn't make it forgotten.
    backend.offer(&[spec(1, 2.0)]).unwrap();
    backend.offer(&specs(&[0, 1])).unwrap();
    let back = instance(&backend, 0).unwrap();
    assert!(first.ptr_eq(&Arc::downgrade(&back)) && back.load.under_way() == 1);
    gate.notify_one();
    assert!(running.await.unwrap().result.is_ok());
    assert_eq!((back.load.under_way(), back.trouble.told().calls), (0, 1));
    drop(back);
    backend.offer(&specs(&[1])).unwrap();
    assert!(first.upgrade().is_none());
    backend.offer(&specs(&[0, 1])).unwrap();
    assert_eq!(instance(&backend, 0).unwrap().trouble.told().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_gets_few_calls_at_first_unless_nobody_else_is_there() {
    let share = async |backend: &Backend, script: &Script| {
        let before = script.count();
        for _ in 0..1000 {
            assert!(call(backend).await.result.is_ok());
        }
        (script.count() - before) as f64 / 1000.0
    };
    for policy in ["weighted-round-robin", "weighted-random"] {
        let newcomer = at_once();
        let backend = begin(&format!("balance = \"{policy}\""), 1, &[at_once(), newcomer.clone()]);
        assert_eq!(instance(&backend, 0).unwrap().health.share(&backend.config.outlier), 1.0, "it was there first");
        backend.offer(&specs(&[0, 1])).unwrap();
        let first = share(&backend, &newcomer).await;
        assert!((0.05..0.15).contains(&first), "{policy}: {first}: a tenth of its weight");
        tokio::time::advance(backend.config.outlier.slow_start).await;
        let later = share(&backend, &newcomer).await;
        assert!((0.44..0.56).contains(&later), "{policy}: {later}");
    }
    let backend = begin("", 1, &[Script::failing(Code::Unavailable), at_once()]);
    assert!(call(&backend).await.result.is_err());
    backend.offer(&[]).unwrap();
    backend.offer(&specs(&[1])).unwrap();
    assert_eq!(instance(&backend, 1).unwrap().health.share(&backend.config.outlier), 1.0);
}

#[tokio::test(start_paused = true)]
async fn another_weight_or_metadata_leaves_all_that_is_known() {
    let settings =
        "balance = \"weighted-round-robin\"\ncanary = { key = \"version\", value = \"2\", share = \"100%\" }";
    let scripts = [at_once(), at_once(), at_once()];
    let backend = begin(settings, 3, &scripts);
    let ejected = instance(&backend, 2).unwrap();
    ejected.health.eject(&backend.config.outlier);
    assert!(call(&backend).await.result.is_ok());
    let before = instance(&backend, 0).unwrap();
    let calls = before.trouble.told().calls;
    let change = backend.offer(&[spec(0, 3.0), spec(1, 1.0), spec(2, 9.0)]).unwrap();
    assert_eq!((change.altered, change.added.len(), change.removed.len()), (2, 0, 0));
    assert!(Arc::ptr_eq(&before, &instance(&backend, 0).unwrap()) && before.trouble.told().calls == calls);
    assert!(!instance(&backend, 2).unwrap().health.is_available(), "it stays out, whatever it weighs");
    let counts = scripts.each_ref().map(Script::count);
    for _ in 0..400 {
        call(&backend).await;
    }
    let more: Vec<_> = scripts.iter().zip(counts).map(|(script, before)| script.count() - before).collect();
    assert!(more[0].abs_diff(300) <= 2 && more[1].abs_diff(100) <= 2 && more[2] == 0, "{more:?}");
    let canary = InstanceSpec { metadata: BTreeMap::from([("version".into(), "2".into())]), ..spec(1, 1.0) };
    backend.offer(&[spec(0, 3.0), canary, spec(2, 9.0)]).unwrap();
    for _ in 0..10 {
        assert_eq!(
            call(&backend).await.endpoint.as_deref(),
            Some("h1:1"),
            "all calls are the canary's, which is h1 now"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_set_is_refused_while_the_one_before_answers() {
    let (kept, _guard) = Kept::begin();
    let fails = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let switch = fails.clone();
    let script = Script::new(move |_| {
        let fails = switch.load(std::sync::atomic::Ordering::SeqCst);
        ready(if fails { Err(failed(Code::Unavailable)) } else { Ok(Bytes::new()) })
    });
    let backend = begin("breaker = { k = 0 }", 2, &[script.clone(), script]);
    for _ in 0..3 {
        assert_eq!(backend.offer(&[]), Err(SetRefused::Empty));
        assert!(call(&backend).await.result.is_ok());
    }
    assert_eq!(kept.count("`b`: a new set of endpoints is not taken: it is empty, and"), 1, "{:#?}", kept.lines());
    fails.store(true, std::sync::atomic::Ordering::SeqCst);
    for _ in 0..30 {
        assert!(call(&backend).await.result.is_err());
    }
    assert_eq!(backend.offer(&[]).unwrap().removed.len(), 2, "nobody there answers, and nobody is said to be there");
    let answer = call(&backend).await;
    assert_eq!((answer.result.unwrap_err().code, answer.attempts, answer.sent), (Code::Unavailable, 0, false));
    assert_eq!(backend.offer(&[]).unwrap(), SetChange::default());
}

#[tokio::test(start_paused = true)]
async fn what_cant_be_used_is_passed_over_and_told_and_nothing_else_is_lost_by_it() {
    let (kept, _guard) = Kept::begin();
    let backend = begin("", 1, &vec![at_once(); 2]);
    let odd = [f64::NAN, 0.0, -1.0, f64::INFINITY].map(|weight| spec(0, weight));
    let nowhere = spec(9, 1.0);
    let change = backend.offer(&[&odd[..], std::slice::from_ref(&nowhere), &specs(&[1, 1, 0])].concat()).unwrap();
    assert_eq!((change.unusable.len(), change.doubled, change.total), (5, 1, 2), "{change:?}");
    assert_eq!(
        kept.count("of its endpoints 5 can't be used (http://h0:1/: its weight is NaN), and 1 stand there twice"),
        1
    );
    let refused = backend.offer(std::slice::from_ref(&nowhere)).unwrap_err();
    assert_eq!(refused, SetRefused::Unusable("http://h9:1/: nothing is scripted there".to_owned()));
    assert!(matches!(backend.offer(&odd), Err(SetRefused::Unusable(_))));
    assert_eq!(backend.instances.load().members().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn another_attempt_goes_to_the_newest_set() {
    // The first attempt finds no connection, and the set changes before that is known.
    let unconnected = Script::new(|_| async {
        tokio::time::sleep(SECOND / 10).await;
        Err(Failed { unsent: true, ..failed(Code::Unavailable) })
    });
    let newcomer = at_once();
    let backend = Arc::new(begin("", 1, &[unconnected.clone(), newcomer.clone()]));
    let running = begun(&backend, &unconnected).await;
    backend.offer(&specs(&[1])).unwrap();
    let answer = running.await.unwrap();
    assert_eq!((answer.result.is_ok(), answer.attempts, answer.endpoint.as_deref()), (true, 2, Some("h1:1")));

    let slow = Script::after(SECOND * 30);
    let backend = Arc::new(begin("hedge = { after = \"50ms\" }", 2, &[slow.clone(), slow.clone(), newcomer]));
    let hedged = backend.clone();
    let running = tokio::spawn(async move { hedged.call(outgoing(true, SECOND)).await });
    while slow.count() == 0 {
        tokio::task::yield_now().await;
    }
    backend.offer(&specs(&[2])).unwrap();
    let answer = running.await.unwrap();
    assert_eq!((answer.result.is_ok(), answer.attempts, answer.endpoint.as_deref()), (true, 2, Some("h2:1")));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_set_is_taken_away_tells_its_own_failure() {
    let failing = Script::new(|_| async {
        tokio::time::sleep(SECOND / 10).await;
        Err(failed(Code::Unavailable))
    });
    let backend = Arc::new(begin("", 1, std::slice::from_ref(&failing)));
    assert!(call(&backend).await.result.is_err(), "it answers no more");
    let other = backend.clone();
    let running = tokio::spawn(async move { other.call(outgoing(true, SECOND)).await });
    while failing.count() < 2 {
        tokio::task::yield_now().await;
    }
    backend.offer(&[]).unwrap();
    let answer = running.await.unwrap();
    assert_eq!((answer.result.unwrap_err().message.as_str(), answer.attempts), ("scripted", 1));
}

#[tokio::test(start_paused = true)]
async fn an_unsent_call_of_a_subset_does_not_go_round_in_it() {
    let unconnected = Script::new(|_| ready(Err(Failed { unsent: true, ..failed(Code::Unavailable) })));
    let settings = "canary = { key = \"version\", value = \"2\", share = \"100%\" }\n\
                    endpoints = \"static://h0:1?version=2,h1:1,h2:1\"";
    let backend = backend(settings, &[unconnected.clone(), at_once(), at_once()]);
    let answer = call(&backend).await;
    assert_eq!((answer.result.is_err(), answer.attempts, unconnected.count()), (true, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn one_that_has_left_is_neither_ejected_nor_compared() {
    let (kept, _guard) = Kept::begin();
    let (script, gate) = held();
    let failing = Script::new(move |_| {
        let waiting = script.clone();
        async move {
            let _ = waiting.unary(outgoing(false, SECOND)).await;
            Err(failed(Code::Unavailable))
        }
    });
    let backend = Arc::new(begin("", 2, &[failing.clone(), failing.clone(), at_once(), at_once()]));
    let mut running = Vec::new();
    for _ in 0..9 {
        running.push(begun(&backend, &failing).await);
    }
    let left = [0, 1].map(|place| instance(&backend, place).unwrap());
    backend.offer(&specs(&[2, 3])).unwrap();
    gate.notify_waiters();
    for call in running {
        assert!(call.await.unwrap().result.is_err());
    }
    assert!(left.iter().any(|instance| instance.trouble.told().failures >= 5), "enough to be left out");
    assert!(left.iter().all(|instance| instance.health.as_told() == EndpointHealth::Failing));
    assert_eq!(kept.count("left out"), 0, "{:#?}", kept.lines());
    assert!(backend.state().endpoints.iter().all(|endpoint| endpoint.state == EndpointHealth::Ready));
}

#[tokio::test(start_paused = true)]
async fn a_source_stays_where_it_was_but_for_those_whose_instance_left() {
    let scripts = vec![at_once(); 10];
    let backend = begin("balance = \"source-hash\"", 10, &scripts);
    let places = async |backend: &Backend| {
        let mut places = Vec::new();
        for last in 0..250 {
            let source = Some(([10, 0, 0, last], 1).into());
            let answer = backend.call(crate::upstream::Outgoing { source, ..outgoing(false, SECOND) }).await;
            places.push(answer.endpoint.unwrap());
        }
        places
    };
    let before = places(&backend).await;
    backend.offer(&specs(&[9, 8, 7, 5, 4, 3, 2, 1, 0])).unwrap();
    let after = places(&backend).await;
    for (before, after) in before.iter().zip(&after) {
        assert!(before == after || &**before == "h6:1", "{before} → {after}");
    }
    backend.offer(&specs(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])).unwrap();
    assert_eq!(places(&backend).await, before, "and they go back to it");
}

#[tokio::test(start_paused = true)]
async fn a_change_is_told_in_one_line_and_flapping_seldom() {
    let (kept, _guard) = Kept::begin();
    let backend = begin("", 1, &vec![at_once(); 9]);
    backend.offer(&specs(&[0, 1, 2, 3, 4, 5, 6, 7])).unwrap();
    let line =
        "`b`: its endpoints have changed: new h1:1, h2:1, h3:1, h4:1, h5:1 and 2 more; gone none; 0 of those that stay";
    assert_eq!((kept.count(line), kept.lines().len()), (1, 1), "{:#?}", kept.lines());
    for _ in 0..50 {
        backend.offer(&specs(&[0])).unwrap();
        backend.offer(&specs(&[0, 1])).unwrap();
    }
    assert_eq!(kept.lines().len(), 1);
    tokio::time::advance(SECOND * 10).await;
    backend.offer(&specs(&[0])).unwrap();
    assert_eq!(kept.count("gone h1:1"), 1, "{:#?}", kept.lines());
}
