//! One cache for several hosts, in a real Redis: shared, forgotten everywhere at once, and never needed.

use crate::{
    fan::{film as shown, invalidate, setup},
    support::{FOR_USER, GET_FILM, RATE_FILM, SUBJECT, film, rule},
};
use demo_services::proto::{
    catalog::v1::Film,
    recommend::v1::{ForUserResponse, Recommendation},
    reviews::v1::Rating,
};
use serde_json::json;
use weft_tests::{
    host::TestHost,
    redis::Redis,
    tokens::token,
    upstream::{Answer, FakeUpstream},
    wait::until,
};

/// Two hosts that share a cache, and the backend behind both.
struct Two {
    redis: Redis,
    upstream: FakeUpstream,
    hosts: [TestHost; 2],
}

fn titled(title: &'static str) -> impl Fn(&weft_tests::upstream::Call) -> Answer + Send + Sync {
    move |_| Answer::message(&Film { title: title.to_owned(), ..film(1) })
}

async fn is_up(host: &TestHost) -> bool {
    let scrape = host.metrics().await;
    let up = scrape.sum("weft_cache_up", &[("tier", "shared")]);
    let said = host.admin("/v1/backends").send().await.ok().json()["shared_cache"].clone();
    // Asked for one after the other, so they may differ while it comes or goes.
    up == 1.0 && said == "up"
}

async fn until_up(hosts: &[TestHost; 2], wanted: bool) {
    for host in hosts {
        until("the host to notice", async || (is_up(host).await == wanted).then_some(())).await;
    }
}

impl Two {
    /// `None` where there is no Redis.
    async fn start() -> Option<Self> {
        Self::patient("5s").await
    }

    async fn patient(timeout: &str) -> Option<Self> {
        let redis = Redis::start().await?;
        let upstream = FakeUpstream::start().await;
        upstream.on(GET_FILM, titled("first cut")).on(RATE_FILM, |_| Answer::message(&Rating::default()));
        let films = "scope = \"public\"\ncache = { ttl = \"10m\", tags = [\"film:{id}\"] }";
        let lines = [
            "timeout = \"30s\"\n".to_owned(),
            rule(GET_FILM, films),
            rule(FOR_USER, "cache = { ttl = \"10m\" }"),
            rule(RATE_FILM, "invalidates = [\"film:{film_id}\"]"),
            format!("[cache]\nshared = \"{}\"\nshared-timeout = \"{timeout}\"", redis.url()),
        ];
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("token");
        std::fs::write(&secret, "s3cret").unwrap();
        let setup = setup(&[upstream.address()], &lines.concat());
        let setup = setup.admin(&format!("token = \"file:{}\"", secret.display()));
        let hosts = [setup.start().await, setup.start().await];
        until_up(&hosts, true).await;
        Some(Self { redis, upstream, hosts })
    }

    /// Both hosts have film 1 in their own caches, and the backend has a newer one.
    async fn with_an_old_film(&self) {
        for host in &self.hosts {
            shown(host, "/film/1").await;
            assert_eq!(shown(host, "/film/1").await, ("first cut".to_owned(), "Cache".to_owned()));
        }
        self.upstream.on(GET_FILM, titled("director's cut"));
    }

    async fn until_new_everywhere(&self) {
        for host in &self.hosts {
            until("the new film", async || (shown(host, "/film/1").await.0 == "director's cut").then_some(())).await;
        }
    }

    async fn until_stored(&self, entries: usize) {
        until("entries to be stored", async || (self.redis.entries().await == entries).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_host_has_loaded_the_other_need_not_load() {
    let Some(two) = Two::start().await else { return };
    let [one, other] = &two.hosts;
    assert_eq!(shown(one, "/film/1").await.1, "Upstream");
    two.until_stored(1).await;
    assert_eq!(shown(other, "/film/1").await, ("first cut".to_owned(), "Cache".to_owned()));
    assert_eq!(shown(other, "/film/2").await.1, "Upstream", "another item is another entry");
    assert_eq!(two.upstream.count(GET_FILM), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_loaded_for_one_caller_is_for_that_caller_on_every_host() {
    let Some(two) = Two::start().await else { return };
    two.upstream.on(FOR_USER, |call| {
        let reason = format!("for {}", call.meta(SUBJECT).unwrap_or("nobody"));
        Answer::message(&ForUserResponse { films: vec![Recommendation { film_id: 1, reason }] })
    });
    let recommended = async |host: &TestHost, subject: &str| {
        host.get("/recommended").bearer(&token(subject)).send().await.ok().json()
    };
    let [one, other] = &two.hosts;
    assert_eq!(recommended(one, "ann").await, json!(["1 for ann"]));
    two.until_stored(1).await;
    assert_eq!(recommended(other, "bob").await, json!(["1 for bob"]));
    assert_eq!(recommended(other, "ann").await, json!(["1 for ann"]));
    assert_eq!(two.upstream.count(FOR_USER), 2, "ann's came from the shared cache, bob's could not");
    let stored = two.redis.command(&["KEYS", "*"]).await;
    assert!(!stored.contains("ann") && !stored.contains("bob"), "keys give nobody away: {stored}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_through_one_host_is_seen_by_the_other() {
    let Some(two) = Two::start().await else { return };
    two.with_an_old_film().await;
    let [one, _] = &two.hosts;
    one.post("/film/1/rating").bearer(&token("ann")).send().await.ok();
    assert_eq!(shown(one, "/film/1").await.0, "director's cut", "at once where it was made");
    two.until_new_everywhere().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_operator_invalidates_on_one_host_is_seen_by_the_other() {
    for what in [json!({ "tags": ["film:1"] }), json!({ "all": true })] {
        let Some(two) = Two::start().await else { return };
        two.with_an_old_film().await;
        assert_eq!(invalidate(&two.hosts[0], Some("s3cret"), &what).await, 200);
        assert_eq!(shown(&two.hosts[0], "/film/1").await.0, "director's cut", "at once where it was said: {what}");
        two.until_new_everywhere().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anybody_may_publish_what_has_changed() {
    let Some(two) = Two::start().await else { return };
    two.with_an_old_film().await;
    let nonsense =
        ["", "film:1", "[]", r#"{"tags": 7}"#, r#"{"tags": [7, null]}"#, r#"{"all": 1}"#, r#"{"tags": ["film:7"]}"#];
    for nonsense in nonsense {
        two.redis.command(&["PUBLISH", "weft:invalidate", nonsense]).await;
    }
    two.redis.command(&["SET", "weft:e:nonsense", "x"]).await;
    let heard = two.redis.command(&["PUBLISH", "weft:invalidate", r#"{"tags": ["film:1"]}"#]).await;
    assert_eq!(heard, ":2\r\n", "both listen");
    two.until_new_everywhere().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_both_go_on_and_say_so_and_with_it_they_share_again() {
    let Some(mut two) = Two::start().await else { return };
    for host in &two.hosts {
        shown(host, "/film/1").await;
    }
    two.redis.kill().await;
    until_up(&two.hosts, false).await;
    for host in &two.hosts {
        for _ in 0..2 {
            assert_eq!(shown(host, "/film/1").await.0, "first cut");
        }
        assert_eq!(shown(host, "/film/1").await.1, "Cache", "each has its own cache still");
        host.post("/film/1/rating").bearer(&token("ann")).send().await.ok();
    }

    two.redis.run().await;
    until_up(&two.hosts, true).await;
    let [one, other] = &two.hosts;
    let before = two.upstream.count(GET_FILM);
    assert_eq!(shown(one, "/film/9").await.1, "Upstream");
    two.until_stored(1).await;
    assert_eq!(shown(other, "/film/9").await.1, "Cache");
    assert_eq!(two.upstream.count(GET_FILM) - before, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_is_waited_for_no_longer_than_configured() {
    let Some(two) = Two::patient("20ms").await else { return };
    two.with_an_old_film().await;
    two.until_stored(1).await;
    let [one, _] = &two.hosts;
    two.redis.freeze();
    // Each request has ten seconds, and the backend needs none of them.
    one.post("/film/1/rating").bearer(&token("ann")).send().await.ok();
    for id in 1..=3 {
        let film = shown(one, &format!("/film/{id}")).await;
        assert_eq!(film, ("director's cut".to_owned(), "Upstream".to_owned()), "nothing old comes back");
    }
    two.redis.thaw();
    two.until_new_everywhere().await;
}
