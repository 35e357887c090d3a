//! What is done only once stays so when there is no more room to remember it.

use crate::{
    fan::setup,
    support::{RATE_FILM, knows_all},
};
use demo_services::proto::reviews::v1::Rating;
use weft_tests::{
    host::TestHost,
    raw::Connection,
    tokens::token,
    upstream::{Answer, FakeUpstream},
    web::Reply,
};

async fn ratings() -> FakeUpstream {
    let upstream = knows_all().await;
    upstream.on(RATE_FILM, |_| Answer::message(&Rating::default()));
    upstream
}

async fn rate(host: &TestHost, subject: &str, key: &str) -> Reply {
    host.post("/film/1/rating").bearer(&token(subject)).header("idempotency-key", key).send().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_store_refuses_what_is_new_and_forgets_nothing() {
    let upstream = ratings().await;
    let host = setup(&[upstream.address()], "").limits("idempotency = \"24KiB\"").start().await;
    rate(&host, "bob", "k1").await.ok();
    let mut done = 0;
    let refused = loop {
        let reply = rate(&host, "ann", &format!("k{done}")).await;
        if reply.status != 200 {
            break reply;
        }
        done += 1;
        assert!(done < 100, "the share of one caller has an end");
    };
    assert!(done > 0);
    assert_eq!(refused.problem(503)["type"], "urn:weft:problem:idempotency-full");
    assert!(refused.header("retry-after").is_some());
    for key in 0..done {
        assert_eq!(rate(&host, "ann", &format!("k{key}")).await.ok().header("idempotent-replayed"), Some("true"));
    }
    assert_eq!(rate(&host, "bob", "k1").await.ok().header("idempotent-replayed"), Some("true"));
    assert_eq!(rate(&host, "bob", "k2").await.ok().header("idempotent-replayed"), None, "others have their own share");
    assert_eq!(upstream.count(RATE_FILM), done + 2, "nothing was done twice, and nothing that was refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_keys_are_none() {
    let upstream = ratings().await;
    let host = setup(&[upstream.address()], "").start().await;
    let mut connection = Connection::open(host.address()).await;
    let head = format!("POST /film/1/rating HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {}", token("ann"));
    let request = format!("{head}\r\nidempotency-key: k1\r\nidempotency-key: k2\r\ncontent-length: 0\r\n\r\n");
    connection.send(request.as_bytes()).await;
    let reply = connection.next().await;
    assert_eq!(reply.status, 400);
    assert!(reply.body().contains("bad-idempotency-key"), "{}", reply.body());
    assert_eq!(upstream.count(RATE_FILM), 0);
}
