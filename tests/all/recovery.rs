//! Backends that fail and come back: what does not need them goes on, no storm of retries makes it worse, and recovery is seen.

use crate::{
    fan::{film as shown, setup, states},
    support::{GET_FILM, RATE_FILM, film, knows_all, person, probe, rule, weft},
};
use demo_services::proto::{catalog::v1::GetFilmRequest, reviews::v1::Rating};
use futures_util::future::join_all;
use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};
use tokio::sync::Mutex;
use weft_tests::{
    frames::{RawUpstream, Step, reply},
    host::TestHost,
    process::HostProcess,
    setup::Setup,
    tokens::token,
    upstream::{Answer, FakeUpstream},
    wait::until,
    web::Web,
};

const WORKERS: usize = 8;

/// Films, each after a while.
fn films(upstream: &FakeUpstream, delay: Duration) {
    let answer = |id| Answer::message(&film(id));
    upstream.on(GET_FILM, move |call| answer(call.decoded::<GetFilmRequest>().id).slow(delay));
}

/// A page with a film and a person that nobody has asked for before: whether the film came. The person always does.
async fn page(web: &Web, number: usize) -> bool {
    let id = number + 1;
    let outcome = web.get(&format!("/outcome?film={id}&person={id}")).send().await.ok().json();
    assert_eq!(outcome["person"]["reply"], person(id as u32).name, "{outcome}");
    let came = outcome["film"]["code"] == "OK";
    let expected = if came { film(id as u32).title.into() } else { serde_json::Value::Null };
    assert_eq!(outcome["film"]["reply"], expected, "{outcome}");
    came
}

/// These pages, several at a time; for each, whether its film came. `event` hears of each before it is asked for.
async fn load(web: &Web, numbers: Range<usize>, event: impl AsyncFn(usize)) -> Vec<bool> {
    let next = AtomicUsize::new(numbers.start);
    let worker = || async {
        let mut came = Vec::new();
        loop {
            let number = next.fetch_add(1, SeqCst);
            if number >= numbers.end {
                return came;
            }
            event(number).await;
            came.push((number, page(web, number).await));
        }
    };
    let mut came = join_all((0..WORKERS).map(|_| worker())).await.concat();
    came.sort_unstable();
    came.into_iter().map(|(_, came)| came).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_goes_slow_and_dies_and_comes_back_under_load() {
    let (well, sick) = (knows_all().await, FakeUpstream::start().await);
    films(&sick, Duration::ZERO);
    let address = sick.address();
    let others = ["people.v1.People", "reviews.v1.Reviews", "recommend.v1.Recommend"];
    let setup = Setup::new().identity("").backend("films", &["catalog.v1.Films"], address, "timeout = \"10s\"");
    let setup = setup.backend("well", &others, well.address(), "timeout = \"30s\"");
    let host = setup.plugin("probe.wasm", &probe()).start().await;

    const SLOW: usize = 100;
    const DEAD: usize = 200;
    const BACK: usize = 400;
    const END: usize = 600;
    // What it was before it died, and what it is now.
    let lives = Mutex::new((0, Some(sick)));
    let event = async |number| {
        let mut lives = lives.lock().await;
        match number {
            SLOW => films(lives.1.as_ref().unwrap(), Duration::from_millis(30)),
            DEAD => {
                let sick = lives.1.take().unwrap();
                lives.0 = sick.total();
                sick.stop().await;
            }
            BACK => {
                let back = FakeUpstream::start_at(address).await;
                films(&back, Duration::ZERO);
                lives.1 = Some(back);
            }
            _ => {}
        }
    };
    let came = load(host.web(), 0..END, event).await;
    assert_eq!(came.len(), END);
    // Only pages that were under way when it died, or came back, are on the other side of it.
    let count = |part: &[bool], wanted| part.iter().filter(|came| **came == wanted).count();
    assert!(count(&came[..DEAD], false) < WORKERS, "slow is not dead");
    assert!(count(&came[DEAD..BACK], true) < WORKERS, "dead is dead");

    // Recovery is seen, by calls and by the operator.
    let asked = AtomicUsize::new(END);
    let more = async |count| {
        let first = asked.fetch_add(count, SeqCst);
        load(host.web(), first..first + count, async |_| ()).await
    };
    let whole = |came: Vec<bool>| count(&came, false) == 0;
    until("films to come again", async || whole(more(25).await).then_some(())).await;
    assert_eq!(states(&host).await, [(address.to_string(), "ready".to_owned())]);
    assert!(whole(more(100).await), "and it stays");

    // Nobody asked more than was asked for, by more than a fifth: neither what arrived, nor what found no connection.
    let (before, back) = lives.into_inner();
    let arrived = before + back.unwrap().total();
    let asked = asked.into_inner();
    let attempts = host.metrics().await.sum("weft_upstream_calls_total", &[("method", GET_FILM)]);
    assert!(
        arrived as f64 <= attempts && attempts <= 1.2 * asked as f64,
        "{arrived} arrived of {attempts} for {asked}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_endpoint_is_hedged_by_another_and_then_cancelled_and_writes_are_not_hedged() {
    let (stuck, quick) = (FakeUpstream::start().await, knows_all().await);
    stuck.on(GET_FILM, |_| Answer::Stall);
    for upstream in [&stuck, &quick] {
        upstream.on(RATE_FILM, |_| Answer::message(&Rating::default()).slow(Duration::from_millis(150)));
    }
    let lines = "timeout = \"30s\"\nbalance = \"round-robin\"\nhedge = { after = \"20ms\" }";
    let host = setup(&[stuck.address(), quick.address()], lines).start().await;
    for id in 1..=2 {
        assert_eq!(shown(&host, &format!("/film/{id}")).await.0, format!("Film {id}"));
    }
    assert_eq!((stuck.count(GET_FILM), quick.count(GET_FILM)), (1, 2), "one had it at once, the other by a hedge");
    stuck.idle().await;
    for _ in 0..2 {
        host.post("/film/1/rating").bearer(&token("ann")).send().await.ok();
    }
    assert_eq!(stuck.count(RATE_FILM) + quick.count(RATE_FILM), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_says_when_to_try_again_is_obeyed() {
    // Trailers only: the answer has not begun.
    macro_rules! unavailable {
        ($pushback:literal) => {
            &[
                (":status", "200"),
                ("content-type", "application/grpc"),
                ("grpc-status", "14"),
                ("grpc-retry-pushback-ms", $pushback),
            ]
        };
    }
    let cases: [(&'static [_], u16, usize); 4] = [
        (unavailable!("5"), 200, 2),
        (unavailable!("-1"), 503, 1),
        (unavailable!("soon"), 503, 1),
        (unavailable!("3600000"), 503, 1),
    ];
    for (trailers, status, calls) in cases {
        let script = move |call| if call == 0 { vec![Step::Trailers(trailers)] } else { reply(&film(1)) };
        let busy = RawUpstream::start(script).await;
        let host = setup(&[busy.address()], "timeout = \"30s\"").start().await;
        let got = host.get("/film/1").send().await.status;
        assert_eq!((got, busy.calls()), (status, calls), "{trailers:?}");
    }
}

/// Endpoints that answer every film with a failure until they are healed.
fn fail(upstream: &FakeUpstream) {
    upstream.on(GET_FILM, |_| Answer::fails(14, "broken"));
}

async fn state_of(host: &TestHost, upstream: &FakeUpstream) -> String {
    let address = upstream.address().to_string();
    states(host).await.into_iter().find(|(other, _)| *other == address).unwrap().1
}

/// Each retry has its token, so that what is seen is the balancer's doing alone.
const NO_THROTTLE: &str = "timeout = \"30s\"\nbalance = \"round-robin\"\nbreaker = { k = 0 }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_only_fails_is_left_out_for_a_while() {
    let (bad, good) = (FakeUpstream::start().await, knows_all().await);
    fail(&bad);
    let rules = "retry = { attempts = 2, budget = \"100%\" }\noutlier = { base = \"1s\", slow-start = \"0s\" }";
    let host = setup(&[bad.address(), good.address()], &format!("{NO_THROTTLE}\n{rules}")).start().await;
    // Nobody notices: what fails there goes well here.
    let mut asked = 0;
    let ask = async |asked: &mut u32| {
        *asked += 1;
        assert_eq!(shown(&host, &format!("/film/{asked}")).await.0, format!("Film {asked}"));
    };
    while state_of(&host, &bad).await != "ejected" {
        ask(&mut asked).await;
    }
    assert_eq!(bad.count(GET_FILM), 5);
    assert_eq!(state_of(&host, &good).await, "ready");
    // It comes back by itself, and is used again.
    films(&bad, Duration::ZERO);
    while bad.count(GET_FILM) == 5 {
        ask(&mut asked).await;
    }
    assert_eq!(state_of(&host, &bad).await, "ready");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_all_endpoints_fail_none_is_left_out() {
    let both = [FakeUpstream::start().await, FakeUpstream::start().await];
    both.iter().for_each(fail);
    let rules = "retry = { attempts = 1 }\noutlier = { base = \"1h\", max = \"1h\", max-ejected = \"100%\" }";
    let addresses = both.each_ref().map(FakeUpstream::address);
    let host = setup(&addresses, &format!("{NO_THROTTLE}\n{rules}")).start().await;
    for _ in 0..20 {
        host.get("/film/1").send().await.problem(503);
    }
    for upstream in &both {
        assert_eq!(state_of(&host, upstream).await, "ejected");
        assert_eq!(upstream.count(GET_FILM), 10, "and is called all the same");
        films(upstream, Duration::ZERO);
    }
    assert_eq!(shown(&host, "/film/1").await.0, "Film 1", "so that the first good answer is not missed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_backend_refuses_everything_most_calls_are_refused_here() {
    let backend = FakeUpstream::start().await;
    fail(&backend);
    let host = setup(&[backend.address()], "timeout = \"30s\"\nretry = { attempts = 1 }").start().await;
    for id in 1..=300 {
        let problem = host.get(&format!("/film/{id}")).send().await.problem(503);
        assert_eq!(problem["code"], "UNAVAILABLE");
    }
    let arrived = backend.count(GET_FILM);
    assert!((20..100).contains(&arrived), "{arrived} of 300 calls arrived: enough to see whether it is back");
    films(&backend, Duration::ZERO);
    until("films to come again", async || (host.get("/film/1").send().await.status == 200).then_some(())).await;
}

/// An outage from its first failure to the first success: what has an old reply shows it without waiting, and the operator is told once
/// when it begins, why, and once when it is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_told_with_its_reason_and_old_replies_do_not_wait_for_its_end() {
    let upstream = knows_all().await;
    let films = rule(GET_FILM, "scope = \"public\"\ncache = { ttl = \"1s\", stale-if-error = \"1h\" }");
    let lines = format!("timeout = \"1m\"\nretry = {{ attempts = 1 }}\n{films}");
    let folder = setup(&[upstream.address()], &lines).write();
    let host = HostProcess::start(weft(), &folder).await;
    let (web, admin) = (host.web(), Web::admin(host.admin));
    let origin = async |path: &str| web.get(path).send().await.ok().json()["origin"].as_str().unwrap().to_owned();
    assert_eq!(origin("/film/1").await, "Upstream");
    let backend = async || admin.get("/v1/backends").send().await.ok().json()["backends"][0].clone();

    upstream.on(GET_FILM, |_| Answer::fails(14, "the vault is shut"));
    for id in 2..22 {
        web.get(&format!("/film/{id}")).send().await.problem(503);
    }
    let told = backend().await;
    assert_eq!(told["away"], true, "{told}");
    let endpoint = &told["endpoints"][0];
    assert_eq!((&endpoint["state"], &endpoint["failures"]), (&"failing".into(), &20.into()), "{told}");
    assert_eq!(endpoint["last_error"]["code"], "UNAVAILABLE", "{told}");
    assert_eq!(endpoint["last_error"]["message"], "the vault is shut", "{told}");
    assert!(endpoint["failing_since"].as_u64() > Some(1_700_000_000), "{told}");

    // From now on it does not even say no: whoever waited would wait for longer than the request has.
    upstream.on(GET_FILM, |_| Answer::Stall);
    let old = until("the entry to be old", async || {
        let origin = origin("/film/1").await;
        (origin != "Cache").then_some(origin)
    });
    assert_eq!(old.await, "Stale");

    upstream.on(GET_FILM, |call| Answer::message(&film(call.decoded::<GetFilmRequest>().id)));
    let next = AtomicUsize::new(100);
    until("the backend to be asked again", async || {
        let id = next.fetch_add(1, SeqCst);
        (web.get(&format!("/film/{id}")).send().await.status == 200).then_some(())
    })
    .await;
    assert_eq!(backend().await["away"], false);
    for id in 1_000..1_030 {
        web.get(&format!("/film/{id}")).send().await.ok();
    }
    host.terminate();
    let (_, log) = host.end().await;
    let lines = |what: &str| log.iter().filter(|line| line.contains(what)).count();
    let address = upstream.address();
    assert_eq!(lines(&format!("backend `fake`: {address} fails: UNAVAILABLE: the")), 1, "{log:#?}");
    assert_eq!(lines(&format!("backend `fake`: {address} answers again, after")), 1, "{log:#?}");
}
