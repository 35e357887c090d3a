//! What is done only once is so on all hosts that share a Redis, whichever of them is asked again, and whatever dies in between.

mod reloaded;

use crate::{
    fan::{fan, without_plugin},
    support::{GET_FILM, RATE_FILM, ratings, weft},
};
use bytes::Bytes;
use rustix::process::Signal;
use serde_json::json;
use tokio::task::JoinHandle;
use weft_tests::{
    artifacts::with_manifest,
    metrics::Scrape,
    process::{HostProcess, run},
    redis::Redis,
    setup::Folder,
    tokens::token,
    upstream::{Answer, FakeUpstream, Gate},
    wait::until,
    web::{Reply, Request, Web},
};

const UNKNOWN: &str = "urn:weft:problem:idempotency-outcome-unknown";
const RUNS: &str = "urn:weft:problem:idempotency-in-progress";
const FULL: &str = "urn:weft:problem:idempotency-full";
const RECORDS: &str = "weft:i:*";

/// Two hosts that share a Redis, in processes of their own, and the backend behind both.
struct Two {
    redis: Redis,
    upstream: FakeUpstream,
    /// Ratings come through it.
    gate: Gate,
    hosts: [HostProcess; 2],
    folders: [Folder; 2],
}

async fn metrics(host: &HostProcess) -> Scrape {
    Scrape::parse(&Web::admin(host.admin).get("/metrics").send().await.ok().text())
}

async fn until_up(host: &HostProcess, wanted: bool) {
    until("the host to notice", async || {
        let up = metrics(host).await.sum("weft_cache_up", &[("tier", "shared")]);
        (up == f64::from(u8::from(wanted))).then_some(())
    })
    .await;
}

async fn serve(folder: &Folder) -> HostProcess {
    let host = HostProcess::start(weft(), folder).await;
    until_up(&host, true).await;
    host
}

fn rate(host: &HostProcess, film: u32, subject: &str, key: &str) -> Request {
    host.web().post(&format!("/film/{film}/rating")).bearer(&token(subject)).header("idempotency-key", key)
}

fn begin(host: &HostProcess, key: &str) -> JoinHandle<Result<Reply, String>> {
    let request = rate(host, 1, "ann", key);
    tokio::spawn(async { request.try_send().await.map_err(|error| error.to_string()) })
}

fn replayed(reply: &Reply) -> bool {
    reply.header("idempotent-replayed") == Some("true")
}

fn plugin(strict: bool) -> Bytes {
    with_manifest(&fan(), |manifest| {
        let endpoint = manifest["endpoint"]["POST /film/{id}/rating"].as_table_mut().unwrap();
        endpoint.insert("timeout".to_owned(), "60s".into());
        endpoint["idempotency"].as_table_mut().unwrap().insert("strict".to_owned(), strict.into());
    })
}

impl Two {
    /// `None` where there is no Redis.
    async fn start(strict: bool) -> Option<Self> {
        Self::limited(strict, "requests = 32\nidle = 8").await
    }

    async fn limited(strict: bool, limits: &str) -> Option<Self> {
        let redis = Redis::start().await?;
        let gate = Gate::new();
        let upstream = ratings(&gate).await;
        let plugin = plugin(strict);
        let lines = format!("timeout = \"60s\"\n[cache]\nshared = \"{}\"\nshared-timeout = \"5s\"", redis.url());
        let setup = without_plugin(&[upstream.address()], &lines).plugin("fan.wasm", &plugin);
        let setup = setup.limits(limits).http("timeout = \"60s\"");
        let folders = [setup.write(), setup.write()];
        let hosts = [serve(&folders[0]).await, serve(&folders[1]).await];
        Some(Self { redis, upstream, gate, hosts, folders })
    }

    fn done(&self) -> usize {
        self.upstream.count(RATE_FILM)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_on_another_host_gets_the_first_answer() {
    let Some(two) = Two::start(false).await else { return };
    two.gate.open();
    let [one, other] = &two.hosts;
    let first = rate(one, 1, "ann", "k1").send().await.ok();
    assert_eq!((first.json(), replayed(&first)), (json!(1), false));
    for host in [other, one, other] {
        let again = rate(host, 1, "ann", "k1").send().await.ok();
        assert_eq!((again.json(), replayed(&again)), (json!(1), true));
        assert_eq!(again.header("content-type"), first.header("content-type"));
    }
    let reused = rate(other, 2, "ann", "k1").send().await.problem(422);
    assert_eq!(reused["type"], "urn:weft:problem:idempotency-key-reused");
    assert_eq!(two.done(), 1);
    assert_eq!(rate(other, 1, "bob", "k1").send().await.ok().json(), 2, "another caller's key is another key");
    assert_eq!(rate(one, 1, "ann", "k2").send().await.ok().json(), 3);
    let stored = two.redis.command(&["KEYS", "*"]).await;
    assert!(!stored.contains("ann") && !stored.contains("bob"), "keys give nobody away: {stored}");
    let counted = metrics(other).await;
    let known = |result| counted.sum("weft_idempotency_shared_total", &[("result", result)]);
    assert_eq!([known("first"), known("answered"), known("reused")], [1.0, 2.0, 1.0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_room_left_on_one_host_is_told_there_what_was_done_on_another() {
    let Some(mut two) = Two::limited(false, "requests = 32\nidle = 8\nidempotency = \"24KiB\"").await else { return };
    let [one, other] = &two.hosts;
    let told = async |film, key: &str| rate(one, film, "ann", key).send().await;
    two.gate.open();
    let mut done = 2;
    for key in ["first", "second"] {
        rate(other, 1, "ann", key).send().await.ok();
    }
    while told(1, &format!("k{done}")).await.status == 200 {
        done += 1;
        assert!(done < 100, "the share of one caller has an end");
    }
    let kept = two.redis.command(&["KEYS", RECORDS]).await;
    for (key, value) in [("first", 1), ("second", 2)] {
        let again = told(1, key).await.ok();
        assert_eq!((again.json(), replayed(&again)), (json!(value), true));
        assert_eq!(told(2, key).await.problem(422)["type"], "urn:weft:problem:idempotency-key-reused");
    }
    assert_eq!(told(1, "new").await.problem(503)["type"], FULL);
    assert_eq!(two.redis.command(&["KEYS", RECORDS]).await.len(), kept.len(), "to look leaves nothing behind");
    assert_eq!(two.done(), done);
    two.redis.kill().await;
    until_up(&two.hosts[0], false).await;
    assert_eq!(rate(&two.hosts[0], 1, "ann", "first").send().await.problem(503)["type"], FULL, "nobody can be asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_failed_is_told_on_another_host_as_it_was() {
    let Some(two) = Two::start(false).await else { return };
    two.upstream.on(RATE_FILM, |_| Answer::fails(14, "down"));
    let [one, other] = &two.hosts;
    let first = rate(one, 1, "ann", "k1").send().await.problem(503);
    let again = rate(other, 1, "ann", "k1").send().await;
    assert!(replayed(&again));
    let again = again.problem(503);
    for member in ["type", "title", "detail"] {
        assert_eq!(again[member], first[member]);
    }
    assert_eq!(two.done(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_first_runs_elsewhere_a_repeat_is_told_to_come_again() {
    let Some(two) = Two::start(true).await else { return };
    let [one, other] = &two.hosts;
    let first = begin(one, "k1");
    two.upstream.arrived(RATE_FILM, 1).await;
    for _ in 0..2 {
        let early = rate(other, 1, "ann", "k1").send().await;
        assert_eq!(early.problem(409)["type"], RUNS);
        assert_eq!(early.header("retry-after"), Some("1"));
    }
    rate(other, 2, "ann", "k1").send().await.problem(422);
    two.gate.open();
    assert_eq!(first.await.unwrap().unwrap().ok().json(), 1);
    let again = rate(other, 1, "ann", "k1").send().await.ok();
    assert_eq!((again.json(), replayed(&again), two.done()), (json!(1), true, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_killed_between_write_and_answer_leaves_an_unknown_outcome() {
    let Some(two) = Two::start(false).await else { return };
    let Two { redis, upstream, gate, hosts: [one, other], folders } = two;
    let first = begin(&one, "k1");
    upstream.arrived(RATE_FILM, 1).await;
    one.signal(Signal::KILL);
    one.end().await;
    assert!(first.await.unwrap().is_err(), "its caller was told nothing");
    gate.open();
    let early = rate(&other, 1, "ann", "k1").send().await;
    assert_eq!(early.problem(409)["type"], RUNS, "nobody knows yet that its host is gone");
    let restarted = serve(&folders[0]).await;
    for host in [&other, &restarted] {
        let unknown = until("the lease to be over", async || {
            let told = rate(host, 1, "ann", "k1").send().await.problem(409);
            (told["type"] != RUNS).then_some(told)
        })
        .await;
        assert_eq!(unknown["type"], UNKNOWN);
        assert!(unknown["detail"].as_str().unwrap().contains("new key only if"), "what to do is said: {unknown}");
        assert_eq!(upstream.count(RATE_FILM), 1, "it is not done again");
    }
    assert_eq!(rate(&restarted, 1, "ann", "k2").send().await.ok().json(), 2, "a new key is a new write");
    let record = redis.command(&["KEYS", RECORDS]).await;
    assert!(record.starts_with("*2\r\n"), "what is unknown stays so for the whole time of a key: {record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_started_again_knows_what_was_done_before() {
    let Some(two) = Two::start(false).await else { return };
    two.gate.open();
    let Two { upstream, hosts: [one, other], folders, .. } = two;
    other.terminate();
    rate(&one, 1, "ann", "k1").send().await.ok();
    one.terminate();
    assert_eq!(one.end().await.0, 0);
    let again = serve(&folders[0]).await;
    let reply = rate(&again, 1, "ann", "k1").send().await.ok();
    assert_eq!((reply.json(), replayed(&reply), upstream.count(RATE_FILM)), (json!(1), true, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_ran_on_one_host_is_done_by_another() {
    let Some(two) = Two::limited(false, "requests = 2\nidle = 1\nplugin-share = \"50%\"\nqueue = \"50ms\"").await
    else {
        return;
    };
    two.upstream.on(GET_FILM, |_| Answer::Stall);
    let [one, other] = &two.hosts;
    let stuck = tokio::spawn(one.web().get("/film/1").send());
    two.upstream.arrived(GET_FILM, 1).await;
    let refused = rate(one, 1, "ann", "k1").send().await;
    assert_eq!(refused.problem(503)["type"], "urn:weft:problem:busy");
    assert_eq!(two.redis.command(&["KEYS", RECORDS]).await, "*0\r\n", "nothing is left of it");
    two.gate.open();
    let done = rate(other, 1, "ann", "k1").send().await.ok();
    assert_eq!((done.json(), replayed(&done)), (json!(1), false));
    stuck.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_strict_endpoints_refuse_and_go_on_once_it_is_back() {
    let Some(mut two) = Two::start(true).await else { return };
    two.gate.open();
    two.redis.kill().await;
    for host in &two.hosts {
        until_up(host, false).await;
        let refused = rate(host, 1, "ann", "k1").send().await;
        assert_eq!(refused.problem(503)["type"], "urn:weft:problem:idempotency-unavailable");
        assert!(refused.header("retry-after").is_some());
        let plain = host.web().post("/film/1/rating").bearer(&token("ann")).send().await.ok();
        assert!(!replayed(&plain), "without a key nobody has to be asked");
    }
    assert_eq!(two.done(), 2);
    two.redis.run().await;
    let [one, other] = &two.hosts;
    until_up(one, true).await;
    until_up(other, true).await;
    assert_eq!(rate(one, 1, "ann", "k1").send().await.ok().json(), 3);
    assert!(replayed(&rate(other, 1, "ann", "k1").send().await.ok()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_other_endpoints_go_by_their_own_host_and_say_so_once() {
    let Some(mut two) = Two::start(false).await else { return };
    two.gate.open();
    let [one, other] = &two.hosts;
    rate(one, 1, "ann", "before").send().await.ok();
    two.redis.kill().await;
    for host in &two.hosts {
        until_up(host, false).await;
    }
    for key in ["k1", "k2"] {
        let first = rate(one, 1, "ann", key).send().await.ok();
        let again = rate(one, 1, "ann", key).send().await.ok();
        assert_eq!((again.json(), replayed(&first), replayed(&again)), (first.json(), false, true));
    }
    assert!(replayed(&rate(one, 1, "ann", "before").send().await.ok()), "what this host knows, it knows still");
    assert_eq!(two.done(), 3);
    assert!(!replayed(&rate(other, 1, "ann", "k1").send().await.ok()), "the other host can't know");
    let alone = metrics(one).await.sum("weft_idempotency_shared_total", &[("result", "away-alone")]);
    assert_eq!(alone, 2.0);
    one.until_line("can't be asked for keys").await;
    assert_eq!(one.lines().iter().filter(|line| line.contains("can't be asked for keys")).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_empty_is_told_of_what_runs_and_how_it_ended() {
    let Some(mut two) = Two::start(false).await else { return };
    let first = begin(&two.hosts[0], "k1");
    two.upstream.arrived(RATE_FILM, 1).await;
    two.redis.kill().await;
    two.redis.run().await;
    let [one, other] = &two.hosts;
    until_up(one, true).await;
    until_up(other, true).await;
    until("its host to say again that it is at it", async || {
        (two.redis.command(&["KEYS", RECORDS]).await.starts_with("*1")).then_some(())
    })
    .await;
    assert_eq!(rate(other, 1, "ann", "k1").send().await.problem(409)["type"], RUNS);
    two.gate.open();
    first.await.unwrap().unwrap().ok();
    assert!(replayed(&rate(other, 1, "ann", "k1").send().await.ok()));
    assert_eq!(two.done(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_of_us_has_written_there_is_never_taken_for_an_answer() {
    let Some(two) = Two::start(false).await else { return };
    two.gate.open();
    let [one, other] = &two.hosts;
    rate(one, 1, "ann", "k1").send().await.ok();
    let keys = two.redis.command(&["KEYS", RECORDS]).await;
    let key = keys.lines().find(|line| line.starts_with("weft:i:")).unwrap();
    let long = "x".repeat(3 << 20);
    for write in [
        &["SET", key, "nonsense"][..],
        &["SET", key, ""],
        &["SET", key, "\u{1}anonymous"],
        &["SET", key, &long],
        &["RPUSH", key, "a"],
    ] {
        two.redis.command(&["DEL", key]).await;
        two.redis.command(write).await;
        let told = rate(other, 1, "ann", "k1").send().await.problem(409);
        assert_eq!(told["type"], UNKNOWN, "{:?}", &write[..2]);
    }
    assert!(replayed(&rate(one, 1, "ann", "k1").send().await.ok()), "whose it was knows it");
    assert_eq!(two.done(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_holds_up_keyed_writes_for_a_bounded_time_and_nobody_else() {
    let Some(two) = Two::start(true).await else { return };
    two.gate.open();
    let [one, other] = &two.hosts;
    two.redis.freeze();
    let keyed: Vec<_> = (0..20).map(|n| begin(one, &format!("k{n}"))).collect();
    one.web().get("/film/1").send().await.ok();
    for request in keyed {
        let told = request.await.unwrap().unwrap().problem(503);
        assert_eq!(told["type"], "urn:weft:problem:idempotency-unavailable");
    }
    assert_eq!(two.done(), 0);
    two.redis.thaw();
    // Whatever of it had come through by then is let go.
    until("the keys to be free", async || (two.redis.command(&["KEYS", RECORDS]).await == "*0\r\n").then_some(()))
        .await;
    until("the key to be taken", async || {
        let reply = rate(other, 1, "ann", "k0").send().await;
        (reply.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_check_warns_of_strict_endpoints_where_hosts_share_nothing() {
    for (lines, warned) in [("", true), ("[cache]\nshared = \"redis://127.0.0.1:1\"", false)] {
        let setup = without_plugin(&[([127, 0, 0, 1], 1).into()], lines).plugin("fan.wasm", &plugin(true));
        let folder = setup.write();
        let checked = run(weft(), &["check", "--config", folder.config().to_str().unwrap()]).await;
        assert_eq!(checked.code, 0, "{checked:?}");
        assert_eq!((checked.out + &checked.err).contains("set `shared` in [cache]"), warned);
    }
}
