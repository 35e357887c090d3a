//! How many there may be and how large each: streams have places of their own, and take nobody's request.

use super::{end, ended, live, problem, setup, until_open};
use weft_tests::{artifacts::with_manifest, tokens::token, wait::until};

/// One turn for requests: it is free, however many streams are open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_take_no_requests_place_and_are_bounded_in_all_and_for_each_plugin() {
    let limits = "requests = 1\nstreams = 4\nplugin-share = \"50%\"\nidle = 0";
    let host = setup().limits(limits).start().await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = host.get("/open").listen().await;
        stream.event().await.unwrap();
        open.push(stream);
    }
    let full = host.get("/open").send().await;
    let told = full.problem(503);
    assert_eq!((told["type"].as_str(), full.header("retry-after")), (Some("urn:weft:problem:busy"), Some("5")));
    assert!(told["detail"].as_str().unwrap().contains("as many streams are open as there may be"), "{told}");
    for _ in 0..5 {
        host.get("/plain").send().await.ok();
    }
    open.pop();
    let again = async || (host.get("/open").listen().await.status == 200).then_some(());
    until("the place that was given back", again).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_caller_and_each_address_has_so_many() {
    let host = setup().identity("").more("[streams]\nper-caller = 2\nper-address = 3").start().await;
    let mine = |who: &str| host.get("/mine").bearer(&token(who));
    let mut open = Vec::new();
    for who in ["ann", "ann", "bob"] {
        open.push(mine(who).listen().await);
        assert_eq!(open.last().unwrap().status, 200);
    }
    for (who, whose) in [("ann", "this caller has 2 streams open"), ("eve", "this address has 3 streams open")] {
        let refused = mine(who).send().await;
        let told = refused.problem(429);
        assert_eq!(told["type"], "urn:weft:problem:too-many-streams");
        assert!(told["detail"].as_str().unwrap().starts_with(whose), "{told}");
        assert_eq!(refused.header("retry-after"), Some("5"));
    }
    host.get("/plain").send().await.ok();
    drop(open);
    until_open(&host, 0.0).await;
    assert_eq!(mine("ann").listen().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_and_streams_that_are_too_large_end_it() {
    let host = setup().more("[streams]\nevent = \"1KiB\"\nbytes = \"2KiB\"").start().await;
    let mut stream = host.get("/many?count=1&bytes=2000").listen().await;
    assert_eq!(problem(&stream.event().await.unwrap())["type"], "urn:weft:problem:plugin-trapped");
    let events = host.get("/many?count=10&bytes=900").listen().await.rest().await;
    assert_eq!((events.len(), events.last()), (3, Some(&end("bytes"))));
    assert_eq!((ended(&host, "problem").await, ended(&host, "bytes").await), (1.0, 1.0));
}

/// Two who ask for the same at once have a stream each, and nothing of it is there for a third.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_stream_is_kept_and_no_two_share_one() {
    let (host, upstream, gate) = super::with_a_slow_person().await;
    let mut both = Vec::new();
    for since in ["1", "2"] {
        let mut stream = host.get("/open").header("last-event-id", since).listen().await;
        assert!(stream.event().await.unwrap().contains(since));
        both.push(stream);
    }
    until_open(&host, 2.0).await;
    super::parts_come_one_by_one(host.web(), &upstream, &gate).await;
    super::parts_come_one_by_one(host.web(), &upstream, &gate).await;
    assert_eq!(ended(&host, "done").await, 2.0);

    for (key, rule) in
        [("cache", "{ ttl = \"1m\", scope = \"public\" }"), ("idempotency", "{ ttl = \"1h\", scope = \"public\" }")]
    {
        let kept = with_manifest(&live(), |manifest| {
            let endpoint = manifest["endpoint"]["GET /open"].as_table_mut().unwrap();
            endpoint.extend(format!("{key} = {rule}").parse::<toml::Table>().unwrap());
        });
        host.folder.install(&format!("{key}.wasm"), &kept);
        let why = host.until_refused(&format!("{key}.wasm")).await;
        assert!(why.contains(&format!("which are never kept: remove `{key}`")), "{why}");
    }
}
