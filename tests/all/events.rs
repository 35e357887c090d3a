//! What a real NATS says has changed: cached replies end at once, nonsense changes nothing, and a broker that is away costs what the
//! configuration says.

use crate::{
    fan::{film as shown, setup},
    support::{GET_FILM, film, rule},
};
use demo_services::proto::catalog::v1::Film;
use serde_json::Value;
use weft_tests::{
    host::TestHost,
    nats::Nats,
    upstream::{Answer, Call, FakeUpstream},
    wait::until,
};

struct Site {
    nats: Nats,
    upstream: FakeUpstream,
    host: TestHost,
}

fn titled(title: &'static str) -> impl Fn(&Call) -> Answer + Send + Sync {
    move |_| Answer::message(&Film { title: title.to_owned(), ..film(1) })
}

/// How it stands with the source.
async fn state(host: &TestHost) -> Value {
    host.admin("/v1/backends").send().await.ok().json()["events"][0].clone()
}

async fn until_state(host: &TestHost, what: &str, so: impl Fn(&Value) -> bool) {
    until(what, async || so(&state(host).await).then_some(())).await;
}

impl Site {
    /// A host that caches films for long and hears of changes; `None` where there is no NATS.
    async fn start(more: &str) -> Option<Self> {
        let nats = Nats::start().await?;
        if more.contains("stream") {
            nats.stream("FILMS", "films.>").await;
        }
        let upstream = FakeUpstream::start().await;
        upstream.on(GET_FILM, titled("first cut"));
        let films = "scope = \"public\"\ncache = { ttl = \"10m\", tags = [\"film:{id}\"] }";
        let events = format!(
            "[events.films]\nsource = \"{}\"\nsubject = \"films.*.changed\"\ntags = [\"film:{{id}}\", \"film:{{subject.2}}\"]\n{more}",
            nats.url()
        );
        let host = setup(&[upstream.address()], &rule(GET_FILM, films)).more(&events).start().await;
        until_state(&host, "the host to hear", |state| state["connected"] == true).await;
        shown(&host, "/film/1").await;
        assert_eq!(shown(&host, "/film/1").await, ("first cut".to_owned(), "Cache".to_owned()));
        upstream.on(GET_FILM, titled("director's cut"));
        Some(Self { nats, upstream, host })
    }

    async fn until_shown(&self, title: &str) {
        until("the change to be seen", async || (shown(&self.host, "/film/1").await.0 == title).then_some(())).await;
    }

    async fn counted(&self, result: &str) -> f64 {
        self.host.metrics().await.sum("weft_events_total", &[("source", "films"), ("result", result)])
    }
}

#[tokio::test]
async fn a_message_ends_what_is_cached_of_its_tags_and_nonsense_ends_nothing() {
    let Some(site) = Site::start("").await else { return };
    for nonsense in ["", "no JSON", "{}", "{\"id\": {}}", "{\"id\": []}", "[[[", "{\"id\": null}"] {
        site.nats.publish("films.7.changed", nonsense).await;
    }
    site.nats.publish("films.7.changed", "{\"id\": 8}").await;
    until_state(&site.host, "all to be dealt with", |state| state["taken"] == 1 && state["skipped"] == 7).await;
    assert_eq!(shown(&site.host, "/film/1").await, ("first cut".to_owned(), "Cache".to_owned()));
    assert_eq!((site.counted("unreadable").await, site.counted("field-missing").await), (3.0, 4.0));

    site.nats.publish("films.7.changed", "{\"id\": [5, 1]}").await;
    site.until_shown("director's cut").await;
    site.upstream.on(GET_FILM, titled("final cut"));
    site.nats.publish("films.1.changed", "{\"id\": 5}").await;
    site.until_shown("final cut").await;
    site.host.stop().await;
}

#[tokio::test]
async fn while_the_broker_is_away_the_host_serves_what_it_has_cached_and_says_so() {
    let Some(mut site) = Site::start("").await else { return };
    site.nats.kill().await;
    until_state(&site.host, "the host to notice", |state| state["connected"] == false && !state["error"].is_null())
        .await;
    assert_eq!(shown(&site.host, "/film/1").await, ("first cut".to_owned(), "Cache".to_owned()));
    let connected = site.host.metrics().await.sum("weft_events_connected", &[("source", "films")]);
    assert_eq!(connected, 0.0);

    site.nats.run().await;
    until_state(&site.host, "the host to hear again", |state| state["connected"] == true).await;
    // What nobody heard is not known, and this host was told to serve on.
    assert_eq!(shown(&site.host, "/film/1").await.1, "Cache");
    site.nats.publish("films.1.changed", "{\"id\": 1}").await;
    site.until_shown("director's cut").await;
    site.host.stop().await;
}

#[tokio::test]
async fn a_host_that_doubts_believes_no_cached_reply_until_it_has_heard_what_it_missed() {
    let Some(mut site) = Site::start("while-away = \"doubt\"").await else { return };
    site.nats.kill().await;
    until_state(&site.host, "the host to notice", |state| state["connected"] == false).await;
    // The backend is asked each time.
    assert_eq!(shown(&site.host, "/film/1").await, ("director's cut".to_owned(), "Upstream".to_owned()));
    assert_eq!(shown(&site.host, "/film/1").await.1, "Upstream");
    site.upstream.on(GET_FILM, titled("final cut"));
    site.nats.run().await;
    until_state(&site.host, "the host to hear again", |state| state["connected"] == true).await;
    // What was published in between came to nobody, so nothing of it is believed; from now on it is.
    site.until_shown("final cut").await;
    until("the cache to be believed", async || (shown(&site.host, "/film/1").await.1 == "Cache").then_some(())).await;
    site.host.stop().await;
}

#[tokio::test]
async fn a_stream_brings_what_was_published_while_the_host_did_not_listen() {
    let Some(mut site) = Site::start("stream = \"FILMS\"\ndurable = \"here\"\nwhile-away = \"doubt\"").await else {
        return;
    };
    for _ in 0..3 {
        // The host finds it on its own time: mostly before it is connected again.
        site.nats.kill().await;
        site.nats.run().await;
        site.nats.publish("films.1.changed", "{\"id\": 1}").await;
    }
    until_state(&site.host, "all to be dealt with", |state| {
        state["connected"] == true && state["taken"].as_u64() >= Some(3) && state["pending"] == 0
    })
    .await;
    site.until_shown("director's cut").await;
    until("the cache to be believed", async || (shown(&site.host, "/film/1").await.1 == "Cache").then_some(())).await;
    site.host.stop().await;
}

#[tokio::test]
async fn a_broker_that_answers_nothing_is_taken_for_one_that_is_away() {
    let Some(site) = Site::start("stream = \"FILMS\"\nwhile-away = \"doubt\"").await else { return };
    site.nats.program().freeze();
    until_state(&site.host, "the host to notice", |state| state["connected"] == false).await;
    assert_eq!(shown(&site.host, "/film/1").await, ("director's cut".to_owned(), "Upstream".to_owned()));
    site.nats.program().thaw();
    until_state(&site.host, "the host to hear again", |state| state["connected"] == true).await;
    until("the cache to be believed", async || (shown(&site.host, "/film/1").await.1 == "Cache").then_some(())).await;
    site.host.stop().await;
}

#[tokio::test]
async fn a_reload_that_changes_what_messages_mean_counts_from_the_next_one() {
    let Some(site) = Site::start("").await else { return };
    site.host.folder.change(|text| {
        text.replace("\"film:{subject.2}\"", "\"film:{no}\"").replace("[\"film:{id}\", ", "[\"movie:{id}\", ")
    });
    site.host.reload().await.unwrap();
    until_state(&site.host, "the host to hear anew", |state| state["connected"] == true && state["taken"] == 0).await;
    site.nats.publish("films.1.changed", "{\"id\": 1, \"no\": 2}").await;
    until_state(&site.host, "the message to be dealt with", |state| state["taken"] == 1).await;
    assert_eq!(shown(&site.host, "/film/1").await.1, "Cache");
    site.nats.publish("films.1.changed", "{\"id\": 2, \"no\": 1}").await;
    site.until_shown("director's cut").await;

    site.host.folder.change(|text| text.split("[events.films]").next().unwrap().to_owned());
    site.host.reload().await.unwrap();
    assert!(state(&site.host).await.is_null());
    let scrape = site.host.metrics().await;
    assert_eq!(scrape.find("weft_events_connected", &[]).count(), 0, "nothing is told of what is not followed");
    site.host.stop().await;
}
