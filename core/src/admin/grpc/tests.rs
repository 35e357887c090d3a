//! The protocol, without a connection.

use super::*;
use crate::{admin::readiness::Readiness, model::health_question, sync::lock};
use std::{collections::BTreeMap, sync::Mutex};
use tower::ServiceExt;

#[derive(Default)]
struct Known {
    statuses: Mutex<BTreeMap<String, ServingStatus>>,
    readiness: Readiness,
}

impl Statuses for Known {
    fn status_of(&self, service: &str) -> Option<ServingStatus> {
        lock(&self.statuses).get(service).copied()
    }

    fn all(&self) -> Vec<(String, ServingStatus)> {
        lock(&self.statuses).clone().into_iter().collect()
    }

    fn stages(&self) -> watch::Receiver<Stage> {
        self.readiness.watch()
    }
}

fn known() -> Arc<Known> {
    let known = Known::default();
    known.set("", ServingStatus::Serving);
    known.set("web", ServingStatus::NotServing);
    Arc::new(known)
}

impl Known {
    fn set(&self, service: &str, status: ServingStatus) {
        lock(&self.statuses).insert(service.to_owned(), status);
    }
}

async fn ask(router: &Router, method: &str, body: impl Into<Bytes>) -> Response<Body> {
    let request = Request::post(format!("/grpc.health.v1.Health/{method}"))
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc+proto");
    router.clone().oneshot(request.body(Body::from(body.into())).unwrap()).await.unwrap()
}

fn asked_for(service: &str) -> Bytes {
    framed(&health_question(service))
}

/// The message and the status of a whole answer.
async fn read(answer: Response<Body>) -> (Bytes, String) {
    assert_eq!(answer.headers()["content-type"], "application/grpc");
    let status = |lines: &HeaderMap| lines.get("grpc-status").map(|code| code.to_str().unwrap().to_owned());
    let in_head = status(answer.headers());
    let body = answer.into_body().collect().await.unwrap();
    let in_trailers = body.trailers().and_then(status);
    assert!(in_head.is_none() || in_trailers.is_none(), "one status");
    (body.to_bytes(), in_head.or(in_trailers).unwrap())
}

#[tokio::test]
async fn check_and_list_tell_of_the_host_and_of_each_client() {
    let router = routes(known());
    for (service, message, code) in [("", "\x08\x01", "0"), ("web", "\x08\x02", "0"), ("tv", "", "5")] {
        let expected = if code == "0" { framed(message.as_bytes()) } else { Bytes::new() };
        let answer = read(ask(&router, "Check", asked_for(service)).await).await;
        assert_eq!(answer, (expected, code.to_owned()), "{service:?}");
    }
    let (list, code) = read(ask(&router, "List", asked_for("")).await).await;
    assert_eq!(code, "0");
    assert_eq!(list, framed(b"\x0a\x04\x12\x02\x08\x01\x0a\x09\x0a\x03web\x12\x02\x08\x02"));
}

#[tokio::test]
async fn what_is_no_question_is_refused_in_the_words_of_grpc() {
    let router = routes(known());
    for (body, code) in [
        (Bytes::new(), "3"),
        (Bytes::from_static(b"\0\0\0\0"), "3"),
        (Bytes::from_static(b"\0\0\0\0\x05web"), "3"),
        (Bytes::from_static(b"\0\0\0\0\x02\x0a\x05"), "3"),
        (Bytes::from_static(b"\x01\0\0\0\0"), "12"),
        (Bytes::from(vec![0; LARGEST + 1]), "8"),
    ] {
        assert_eq!(read(ask(&router, "Check", body).await).await, (Bytes::new(), code.to_owned()));
    }
    let plain = Request::post("/grpc.health.v1.Health/Check").body(Body::empty()).unwrap();
    assert_eq!(router.oneshot(plain).await.unwrap().status(), 415);
}

/// The next message of a stream.
async fn next(body: &mut Body) -> Option<Bytes> {
    body.frame().await?.unwrap().into_data().ok()
}

#[tokio::test(start_paused = true)]
async fn watch_says_how_it_stands_and_whenever_that_changes_until_the_host_ends() {
    let known = known();
    let router = routes(known.clone());
    let mut host = ask(&router, "Watch", asked_for("")).await.into_body();
    let mut later = ask(&router, "Watch", asked_for("tv")).await.into_body();
    assert_eq!(next(&mut host).await.unwrap(), framed(b"\x08\x01"));
    assert_eq!(next(&mut later).await.unwrap(), framed(b"\x08\x03"), "an open stream that says SERVICE_UNKNOWN");
    known.set("tv", ServingStatus::Serving);
    assert_eq!(next(&mut later).await.unwrap(), framed(b"\x08\x01"));
    let silence = timeout(LOOK * 100, next(&mut host)).await;
    assert!(silence.is_err(), "what has not changed is not told");
    known.set("", ServingStatus::NotServing);
    known.readiness.reach(Stage::Leaving);
    assert_eq!(next(&mut host).await.unwrap(), framed(b"\x08\x02"));
    known.readiness.reach(Stage::Gone);
    let trailers = host.frame().await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!((&trailers["grpc-status"], host.frame().await.is_none()), (&HeaderValue::from(14), true));
}

#[tokio::test]
async fn streams_are_bounded_and_give_their_place_up() {
    let router = routes(known());
    let mut streams = Vec::new();
    for _ in 0..WATCHES {
        streams.push(ask(&router, "Watch", asked_for("")).await);
    }
    let refused = ask(&router, "Watch", asked_for("")).await;
    assert_eq!(read(refused).await, (Bytes::new(), "8".to_owned()));
    streams.pop();
    assert_eq!(next(ask(&router, "Watch", asked_for("")).await.body_mut()).await.unwrap(), framed(b"\x08\x01"));
}
