//! What is true no more stays so when a host is told to stop, when its configuration is replaced, and whatever Redis forgets.

use crate::{
    fan::{film as shown, setup},
    support::{GET_FILM, RATE_FILM, film, probe, rule, weft},
};
use demo_services::proto::{catalog::v1::Film, reviews::v1::Rating};
use std::path::Path;
use tokio::net::TcpStream;
use weft_tests::{
    host::TestHost,
    process::HostProcess,
    redis::Redis,
    setup::Setup,
    tls::Authority,
    tokens::token,
    upstream::{Answer, FakeUpstream, Gate},
    wait::{soon, until},
};

/// A backend whose ratings are held.
async fn upstream(gate: &Gate) -> FakeUpstream {
    let (upstream, shut) = (FakeUpstream::start().await, gate.clone());
    show(&upstream, "first cut");
    upstream.on(RATE_FILM, move |_| Answer::message(&Rating::default()).held(&shut));
    upstream
}

fn show(upstream: &FakeUpstream, title: &'static str) {
    upstream.on(GET_FILM, move |_| Answer::message(&Film { title: title.to_owned(), ..film(1) }));
}

fn on(upstream: &FakeUpstream, cache: &str) -> Setup {
    let films = "scope = \"public\"\ncache = { ttl = \"10m\", tags = [\"film:{id}\"] }";
    let lines = [
        "timeout = \"30s\"\n".to_owned(),
        rule(GET_FILM, films),
        rule(RATE_FILM, "invalidates = [\"film:{film_id}\"]"),
        format!("[cache]\n{cache}"),
    ];
    setup(&[upstream.address()], &lines.concat())
}

async fn shared(upstream: &FakeUpstream, redis: &Redis, more: &str) -> TestHost {
    let cache = format!("shared = \"{}\"\nshared-timeout = \"5s\"\n{more}", redis.url());
    let host = on(upstream, &cache).start().await;
    until("the cache to be there", async || {
        (host.metrics().await.sum("weft_cache_up", &[("tier", "shared")]) == 1.0).then_some(())
    })
    .await;
    host
}

fn rate(host: &TestHost) -> tokio::task::JoinHandle<weft_tests::web::Reply> {
    tokio::spawn(host.post("/film/1/rating").bearer(&token("ann")).send())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_write_of_a_host_that_stops_is_seen_by_the_others() {
    let Some(redis) = Redis::start().await else { return };
    let gate = Gate::new();
    let upstream = upstream(&gate).await;
    let (stops, stays) = (shared(&upstream, &redis, "").await, shared(&upstream, &redis, "").await);
    assert_eq!(shown(&stays, "/film/1").await.0, "first cut");
    let (address, write) = (stops.address(), rate(&stops));
    upstream.arrived(RATE_FILM, 1).await;
    let stopped = tokio::spawn(stops.stop());
    until("the host to take nobody in", async || TcpStream::connect(address).await.is_err().then_some(())).await;
    show(&upstream, "director's cut");
    gate.open();
    write.await.unwrap().ok();
    stopped.await.unwrap();
    until("the new film", async || (shown(&stays, "/film/1").await.0 == "director's cut").then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_ends_after_a_reload_is_seen_by_what_has_taken_its_place() {
    let gate = Gate::new();
    let upstream = upstream(&gate).await;
    let host = on(&upstream, "").start().await;
    let write = rate(&host);
    upstream.arrived(RATE_FILM, 1).await;
    host.folder.change(|text| text.replace("timeout = \"30s\"", "timeout = \"29s\""));
    host.reload().await.unwrap();
    shown(&host, "/film/1").await;
    assert_eq!(shown(&host, "/film/1").await, ("first cut".to_owned(), "Cache".to_owned()));
    show(&upstream, "director's cut");
    gate.open();
    write.await.unwrap().ok();
    assert_eq!(shown(&host, "/film/1").await.0, "director's cut");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clusters_with_namespaces_of_their_own_share_nothing() {
    let Some(redis) = Redis::start().await else { return };
    let upstream = upstream(&Gate::new()).await;
    let blue = shared(&upstream, &redis, "namespace = \"blue\"").await;
    let green = shared(&upstream, &redis, "namespace = \"green\"").await;
    shown(&blue, "/film/1").await;
    until("the entry", async || redis.command(&["KEYS", "weft/blue:e:*"]).await.starts_with("*1").then_some(())).await;
    assert_eq!(shown(&green, "/film/1").await.1, "Upstream");
    let heard = redis.command(&["PUBLISH", "weft/blue:invalidate", r#"{"all": true}"#]).await;
    assert_eq!(heard, ":1\r\n", "one cluster listens");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_redis_forgets_of_tags_brings_nothing_back_and_no_tag_is_kept_for_ever() {
    let Some(redis) = Redis::start().await else { return };
    let gate = Gate::new();
    gate.open();
    let upstream = upstream(&gate).await;
    let (one, other) = (shared(&upstream, &redis, "").await, shared(&upstream, &redis, "").await);
    shown(&one, "/film/1").await;
    until("the entry", async || (redis.entries().await == 1).then_some(())).await;
    let entry = redis.command(&["KEYS", "weft:e:*"]).await;
    assert_eq!(redis.command(&["DEL", "weft:m:film:1"]).await, ":1\r\n");
    show(&upstream, "director's cut");
    assert_eq!(shown(&other, "/film/1").await, ("director's cut".to_owned(), "Upstream".to_owned()));
    assert_eq!(redis.command(&["KEYS", "weft:e:*"]).await, entry, "under the same name as the old one");
    let marks = redis.command(&["KEYS", "weft:m:*"]).await;
    assert!(marks.starts_with("*2\r\n"), "of the method and of the film: {marks}");
    assert!(!redis.command(&["PTTL", "weft:m:film:1"]).await.starts_with(":-"), "each mark has an end");
    rate(&one).await.unwrap().ok();
    until("its mark to be removed", async || {
        (redis.command(&["EXISTS", "weft:m:film:1"]).await == ":0\r\n").then_some(())
    })
    .await;
}

/// Whoever makes a film untrue while a host loads it, which has looked for it in Redis before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_made_untrue_between_look_and_put_is_not_put() {
    for by in ["this host", "the other host", "nobody who tells"] {
        let Some(redis) = Redis::start().await else { return };
        let (load, ratings) = (Gate::new(), Gate::new());
        ratings.open();
        let upstream = upstream(&ratings).await;
        let (loads, other) = (shared(&upstream, &redis, "").await, shared(&upstream, &redis, "").await);
        let shut = load.clone();
        upstream.on(GET_FILM, move |_| Answer::message(&Film { title: "first cut".to_owned(), ..film(1) }).held(&shut));
        let waiting = tokio::spawn(loads.get("/film/1").send());
        upstream.arrived(GET_FILM, 1).await;
        assert_eq!(redis.command(&["EXISTS", "weft:m:film:1"]).await, ":1\r\n", "it has looked");
        show(&upstream, "director's cut");
        match by {
            "this host" => drop(rate(&loads).await.unwrap().ok()),
            "the other host" => drop(rate(&other).await.unwrap().ok()),
            _ => assert_eq!(redis.command(&["DEL", "weft:m:film:1"]).await, ":1\r\n"),
        }
        until("its mark to be removed", async || {
            (redis.command(&["EXISTS", "weft:m:film:1"]).await == ":0\r\n").then_some(())
        })
        .await;
        load.open();
        assert_eq!(waiting.await.unwrap().ok().json()["title"], "first cut", "who came before may have it: {by}");
        // What is put after it has come is put after it.
        shown(&loads, "/film/2").await;
        until("the other film", async || (redis.entries().await > 0).then_some(())).await;
        assert_eq!(redis.entries().await, 1, "{by}");
        assert_eq!(shown(&other, "/film/1").await, ("director's cut".to_owned(), "Upstream".to_owned()), "{by}");
    }
}

/// By the system's roots, of which each process is told by its environment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_over_tls_is_used_where_its_authority_is_known_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let (known, unknown) = (Authority::new("known"), Authority::new("unknown"));
    let [certificate, key] = known.issue(folder.path(), "127.0.0.1");
    let Some(redis) = Redis::over_tls(&certificate, &key).await else { return };
    let upstream = upstream(&Gate::new()).await;
    let setup = on(&upstream, &format!("shared = \"{}\"\nshared-timeout = \"5s\"", redis.tls_url()));
    let process = async |roots: &Path| {
        let folder = setup.write();
        (HostProcess::start_with(weft(), &folder, &[("SSL_CERT_FILE", roots)]).await, folder)
    };

    let (host, _folder) = process(&known.write(folder.path(), "known.pem")).await;
    host.until_line("the shared cache is there").await;
    host.web().get("/film/1").send().await.ok();
    until("the entry", async || (redis.entries().await == 1).then_some(())).await;

    let (stranger, _folder) = process(&unknown.write(folder.path(), "unknown.pem")).await;
    let line = stranger.until_line("the shared cache can't be reached; this host works on without it").await;
    assert!(line.to_lowercase().contains("certificate"), "{line}");
    let shown = stranger.web().get("/film/1").send().await.ok().json();
    assert_eq!(shown["origin"], "Upstream", "it is not asked: {shown}");
    assert_eq!(redis.entries().await, 1, "nor told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_beside_one_that_serves_takes_nobody_in_before_it_is_told_to() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let setup = Setup::new().one_backend(FakeUpstream::nowhere().await, "").plugin("probe.wasm", &probe());
    let host = setup.start_beside(&listener).await;
    let address = listener.local_addr().unwrap();
    let own = tokio::net::TcpListener::from_std(listener).unwrap();
    // Whoever comes is taken in by the one that serves, each of them.
    for _ in 0..30 {
        let (came, accepted) = tokio::join!(TcpStream::connect(address), soon("who has come", own.accept()));
        assert_eq!(came.unwrap().local_addr().unwrap(), accepted.unwrap().1);
    }
    drop(own);
    host.accept();
    host.get("/version").send().await.ok();
    host.stop().await;
}
