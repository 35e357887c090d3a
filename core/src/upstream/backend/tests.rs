//! What the log says of endpoints that come and go, in paused time.

use super::*;
use crate::{
    telemetry::kept::Kept,
    upstream::{
        kit::{backend, outgoing},
        scripted::{Script, failed},
    },
};
use bytes::Bytes;
use std::{future::ready, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

/// Fails the calls of which this says so.
fn failing(fails: impl Fn(usize) -> bool + Send + Sync + 'static) -> Script {
    Script::new(move |call| ready(if fails(call) { Err(failed(Code::Unavailable)) } else { Ok(Bytes::new()) }))
}

async fn call(backend: &Backend) {
    let _ = backend.call(outgoing(false, SECOND)).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_left_out_for_its_success_rate_is_told_with_the_reason_and_so_is_its_return() {
    let (kept, _guard) = Kept::begin();
    let mut scripts = vec![failing(|call| call % 2 == 0)];
    scripts.resize_with(10, || failing(|_| false));
    let lines =
        "balance = \"round-robin\"\nbreaker = { k = 0.0 }\nretry = { attempts = 1 }\noutlier = { consecutive = 0 }";
    let backend = backend(lines, &scripts);
    for _ in 0..2_000 {
        call(&backend).await;
    }
    assert_eq!((kept.count("left out"), kept.count("fails")), (0, 0), "one failure between good answers is no line");
    tokio::time::advance(SECOND * 10).await;
    call(&backend).await;
    let told = "`b`: h0:1 is left out for 30s: 49.8 % of its calls succeeded, where the mean of all is 95.0 %";
    assert_eq!((kept.count(told), kept.count("left out")), (1, 1), "{:#?}", kept.lines());
    assert_eq!(backend.endpoints()[0].state, EndpointHealth::Ejected);
    for _ in 0..100 {
        call(&backend).await;
    }
    tokio::time::advance(SECOND * 30).await;
    for _ in 0..100 {
        call(&backend).await;
    }
    assert_eq!(kept.count("`b`: h0:1 is no longer left out"), 1, "{:#?}", kept.lines());
    assert_eq!(kept.count("left out"), 2);
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_refused_here_are_told_seldom_with_how_many_and_why() {
    let (kept, _guard) = Kept::begin();
    let scripts = vec![failing(|_| true)];
    let backend = backend("retry = { attempts = 1 }\noutlier = { consecutive = 0 }", &scripts);
    let refused = || backend.state().refused;
    while refused() == 0 {
        call(&backend).await;
    }
    let first = "`b` fails too often: calls are refused here (1 since the last word of it); the last failure, of h0:1: UNAVAILABLE: ";
    assert_eq!((kept.count(first), kept.count("refused here")), (1, 1), "{:#?}", kept.lines());
    let line =
        kept.lines().into_iter().find(|line| line["message"].as_str().unwrap().contains("refused here")).unwrap();
    assert_eq!((&line["level"], &line["backend"]), (&"WARN".into(), &"b".into()));
    for _ in 0..500 {
        call(&backend).await;
    }
    let passed_over = refused() - 1;
    assert!(passed_over > 100, "{passed_over}");
    assert_eq!(kept.count("refused here"), 1, "all at once is one line");
    tokio::time::advance(SECOND * 10).await;
    let before = refused();
    while refused() == before {
        call(&backend).await;
    }
    let second = format!("refused here ({} since the last word of it)", passed_over + 1);
    assert_eq!((kept.count(&second), kept.count("refused here")), (1, 2), "{:#?}", kept.lines());
}
