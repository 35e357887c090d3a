//! Bounds that are counted: what one plugin, one request and the pool of instances may have, and that nobody else pays for it.

use super::component::{manifest, plugin};
use crate::support::{GET_FILM, GET_PERSON, film, knows_all, person, probe, raw, rule};
use demo_services::proto::people::v1::{GetPersonRequest, Person};
use futures_util::future::join_all;
use weft_tests::{
    artifacts::{renamed, with_limit},
    host::TestHost,
    raw::abandon,
    setup::Setup,
    upstream::{Answer, FakeUpstream},
    wait::soon,
};

/// Two clients, one of each kind.
const CLIENTS: &str =
    "[[client]]\nname = \"bad\"\nprefix = \"/bad\"\n[[client]]\nname = \"good\"\nprefix = \"/good\"\n";

/// Invalidates 120,000 tags of three letters, all different.
const TAGS: &str = "(loop $l
   (i32.store8 (i32.const 4096) (i32.add (i32.const 64) (i32.and (local.get $n) (i32.const 63))))
   (i32.store8 (i32.const 4097) (i32.add (i32.const 64) (i32.and (i32.shr_u (local.get $n) (i32.const 6)) (i32.const 63))))
   (i32.store8 (i32.const 4098) (i32.add (i32.const 64) (i32.shr_u (local.get $n) (i32.const 12))))
   (call $invalidate (i32.const 4096) (i32.const 3))
   (local.set $n (i32.add (local.get $n) (i32.const 1)))
   (br_if $l (i32.lt_u (local.get $n) (i32.const 120000))))";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_invalidates_tags_without_end_makes_no_other_plugin_forget() {
    let upstream = knows_all().await;
    let flood = plugin(&manifest("flood", "60s", "cpu = \"60s\""), "", TAGS);
    let setup = Setup::new().clients(CLIENTS).http("timeout = \"60s\"").one_backend(upstream.address(), "");
    let setup = setup.limits("requests = 8\nidle = 2\ncrossings = 200000\ncpu = \"60s\"");
    let host = setup.plugin("flood.wasm", &flood).plugin("good.wasm", &renamed(&probe(), "good", "good")).start().await;
    let kept = "/good/cache/key?scope=public";
    host.web().request("PUT", &format!("{kept}&value=kept")).send().await;
    for _ in 0..2 {
        host.get("/bad/flood").send().await.ok();
        assert_eq!(host.get(kept).send().await.ok().text(), "kept");
    }
    host.web().request("DELETE", "/good/cache").send().await;
    assert_eq!(host.get(kept).send().await.ok().text(), "nothing", "its own tags count as before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_do_not_grow_beyond_their_bound() {
    let upstream = knows_all().await;
    let grow = "(loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))))
                (if (i32.gt_u (table.size $t) (i32.const 20000)) (then (loop $l (br $l))))
                unreachable";
    let table = plugin(&manifest("table", "20s", ""), "(table $t 1 funcref)", grow);
    let setup = Setup::new().clients(CLIENTS).one_backend(upstream.address(), "").plugin("table.wasm", &table);
    let host = setup.plugin("good.wasm", &renamed(&probe(), "good", "good")).start().await;
    let problem = host.get("/bad/table").send().await.problem(502);
    assert_eq!(problem["type"], "urn:weft:problem:plugin-trapped", "it was given no more, and gave up: {problem}");
    assert_eq!(host.get("/good/version").send().await.ok().text(), "1.0.0");
}

/// Everybody's name has this many bytes.
const NAME: usize = 10_000;

async fn long_names() -> FakeUpstream {
    let upstream = FakeUpstream::start().await;
    upstream.on(GET_PERSON, |call| {
        let id = call.decoded::<GetPersonRequest>().id;
        Answer::message(&Person { name: format!("{id:-<NAME$}"), ..person(id) })
    });
    upstream
}

/// Six of these names fit into one exchange.
async fn narrow(upstream: &FakeUpstream, limits: &str) -> TestHost {
    let people = rule(GET_PERSON, "scope = \"public\"\ncache = { ttl = \"10m\" }\ntimeout = \"60s\"");
    let setup = Setup::new().limits(&format!("requests = 8\nidle = 2\narena = \"64KiB\"\n{limits}"));
    let probe = with_limit(&with_limit(&probe(), "response", "1MiB"), "cpu", "1s");
    setup.one_backend(upstream.address(), &people).plugin("probe.wasm", &probe).start().await
}

/// The names of the first so many people, or how their calls ended.
async fn names(host: &TestHost, count: u32) -> Vec<String> {
    let ids: Vec<_> = (1..=count).map(|id| id.to_string()).collect();
    let names = host.get(&format!("/people?ids={}", ids.join(","))).send().await.ok().json();
    serde_json::from_value(names).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_that_do_not_fit_into_one_exchange_come_in_several_and_none_is_lost() {
    let upstream = long_names().await;
    let whole: Vec<_> = (1..=16).map(|id| format!("{id:-<NAME$}")).collect();
    // From the backend, as they come.
    assert_eq!(names(&narrow(&upstream, "").await, 16).await, whole);
    // From the cache all are there at once: sixteen are three exchanges.
    for (crossings, suffices) in [(3, true), (2, false)] {
        let host = narrow(&upstream, &format!("crossings = {crossings}")).await;
        for id in 1..=16 {
            host.get(&format!("/people?ids={id}")).send().await.ok();
        }
        if suffices {
            assert_eq!(names(&host, 16).await, whole);
        } else {
            let ids: Vec<_> = (1..=16).map(|id| id.to_string()).collect();
            let refused = host.get(&format!("/people?ids={}", ids.join(","))).send().await.problem(502);
            assert_eq!(refused["type"], "urn:weft:problem:plugin-trapped");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_of_one_request_are_bounded_together_and_those_over_it_fail_one_by_one() {
    let upstream = long_names().await;
    let host = narrow(&upstream, "").await;
    // Eight arenas of 64 KiB have room for 52 of them.
    let names = names(&host, 60).await;
    let whole = names.iter().filter(|name| name.len() == NAME).count();
    let refused = names.iter().filter(|name| *name == "RESOURCE_EXHAUSTED").count();
    assert_eq!((whole, refused), (52, 8));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_of_one_batch_are_bounded_together_in_json_as_well() {
    let upstream = long_names().await;
    let host = narrow(&upstream, "").await;
    host.folder.install("raw.wasm", &raw());
    host.until_live("raw", "1.0.0").await;
    let ask = async |each: u32| {
        let path = format!("/raw/json/{GET_PERSON}?each={each}");
        host.post(&path).body(r#"{"id": 7}"#).send().await
    };
    // Then it is in the cache, and they come in the order of the calls.
    assert_eq!(ask(1).await.ok().json()["id"], 7);
    assert_eq!(ask(6).await.ok().json()["id"], 7);
    let refused = ask(7).await;
    assert_eq!((refused.status, refused.text().starts_with("8 ")), (422, true), "RESOURCE_EXHAUSTED: {refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_messages_are_bounded_together_in_batches_too() {
    let upstream = knows_all().await;
    let setup = Setup::new().limits("requests = 8\nidle = 2\nmessages = \"1KiB\"").one_backend(upstream.address(), "");
    let host = setup.plugin("raw.wasm", &raw()).start().await;
    let ask = async |times: u32, each: u32| {
        let path = format!("/raw/json/{GET_PERSON}?times={times}&each={each}");
        host.post(&path).body(format!("{:<300}", r#"{"id": 7}"#)).send().await
    };
    for (times, each) in [(1, 3), (3, 1), (1, 1)] {
        assert_eq!(ask(times, each).await.ok().json()["name"], "Person 7", "{times} times {each}");
    }
    for (times, each, sent) in [(1, 4, 0), (4, 1, 3), (2, 2, 1)] {
        let before = upstream.count(GET_PERSON);
        let problem = ask(times, each).await.problem(502);
        assert_eq!(problem["type"], "urn:weft:problem:plugin-trapped", "{times} times {each}");
        assert_eq!(
            upstream.count(GET_PERSON) - before,
            sent,
            "what is over the bound is not sent, and equal calls of a batch are one"
        );
    }
    assert_eq!(ask(1, 3).await.ok().json()["name"], "Person 7", "each request has its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_never_finds_the_pool_of_instances_empty() {
    let upstream = knows_all().await;
    upstream.on(GET_FILM, |_| Answer::message(&film(1)));
    let setup =
        Setup::new().clients(CLIENTS).limits("requests = 2\nidle = 1\nqueue = \"10s\"\nplugin-share = \"100%\"");
    let setup = setup.one_backend(upstream.address(), "").plugin("a.wasm", &renamed(&raw(), "one", "bad"));
    let setup = setup.plugin("b.wasm", &renamed(&raw(), "other", "good"));
    let host = setup.plugin("c.wasm", &renamed(&probe(), "probe", "bad")).start().await;
    // Instances that are used again, that are not, that trap, that are given up, that take another one's place in the pool of idle ones.
    let asked = [
        ("/bad/raw/version", 200),
        ("/good/raw/version", 200),
        ("/bad/version", 200),
        ("/bad/raw/bad-offset", 502),
        ("/bad/deadline", 504),
        ("/good/raw/tickets", 200),
        ("/bad/films/1", 200),
    ];
    let client = async |number: usize| {
        for turn in 0..5 {
            let (path, status) = asked[(number + turn) % asked.len()];
            let reply = host.get(path).send().await;
            assert_eq!(reply.status, status, "{path}: {reply:?}");
            if status == 502 {
                assert_eq!(reply.problem(502)["type"], "urn:weft:problem:plugin-trapped", "no instance was there");
            }
            let request = b"GET /bad/films/1 HTTP/1.1\r\nhost: test\r\n\r\n";
            abandon(host.address(), request, std::future::ready(())).await;
        }
    };
    soon("the storm to be over", join_all((0..8).map(client))).await;
    host.until_plugins("all to end", |plugins| plugins["requests_under_way"] == 0).await;
    let traps = host.metrics().await;
    assert_eq!(traps.sum("weft_plugin_resting", &[]), 0.0, "nothing failed to start");
    host.get("/good/raw/version").send().await.ok();
}
