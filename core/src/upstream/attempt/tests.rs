//! Retries, hedges and the budget, in paused time.

use super::*;
use crate::{
    observe::{Audience, written},
    upstream::{
        Transport,
        kit::{backend, outgoing},
        scripted::{Script, failed},
    },
};

const SECOND: Duration = Duration::from_secs(1);

async fn call(backend: &Backend, safe: bool) -> Answer {
    backend.call(outgoing(safe, SECOND)).await
}

fn fails_once(code: Code) -> Script {
    Script::new(move |call| std::future::ready(if call == 0 { Err(failed(code)) } else { Ok(Bytes::new()) }))
}

#[tokio::test(start_paused = true)]
async fn a_safe_call_is_tried_again_on_another_endpoint_and_an_unsafe_one_is_not() {
    let scripts = [fails_once(Code::Unavailable), fails_once(Code::Unavailable), fails_once(Code::Unavailable)];
    let backend = backend("", &scripts);
    let answer = call(&backend, true).await;
    assert_eq!((answer.result.unwrap_err().code, answer.attempts), (Code::Unavailable, 3));
    assert_eq!(scripts.each_ref().map(Script::count), [1, 1, 1], "each attempt goes to an endpoint of its own");
    assert!(answer.endpoint.is_some_and(|endpoint| endpoint.ends_with(":1")), "it says where it ended");

    let script = fails_once(Code::Unavailable);
    let backend = super::super::kit::backend("", std::slice::from_ref(&script));
    assert_eq!(call(&backend, false).await.attempts, 1);
    assert_eq!(script.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_the_named_codes_are_tried_again() {
    for (code, attempts) in
        [(Code::Unavailable, 2), (Code::Internal, 1), (Code::NotFound, 1), (Code::DeadlineExceeded, 1)]
    {
        assert_eq!(call(&backend("", &[fails_once(code)]), true).await.attempts, attempts, "{code}");
    }
    let aborted = backend("retry = { on = [\"ABORTED\"] }", &[fails_once(Code::Aborted)]);
    assert!(call(&aborted, true).await.result.is_ok());
}

#[tokio::test(start_paused = true)]
async fn never_after_the_backend_has_begun_to_answer_and_not_when_it_says_stop() {
    for change in [
        (|f: &mut Failed| f.answered = true) as fn(&mut Failed),
        |f| f.pushback = Pushback::Stop,
        |f| f.pushback = Pushback::After(SECOND * 5),
    ] {
        let script = Script::new(move |_| {
            let mut failed = failed(Code::Unavailable);
            change(&mut failed);
            std::future::ready(Err(failed))
        });
        assert_eq!(call(&backend("", &[script]), true).await.attempts, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_found_no_connection_looks_for_another_endpoint_whatever_its_method() {
    let dead = Script::new(|_| std::future::ready(Err(Failed { unsent: true, ..failed(Code::Unavailable) })));
    let live = Script::after(Duration::ZERO);
    let backend = backend("balance = \"round-robin\"", &[dead.clone(), live.clone()]);
    for _ in 0..50 {
        assert!(call(&backend, false).await.result.is_ok());
    }
    assert_eq!(live.count(), 50);
    assert!(dead.count() < 10, "it is left out after five failures: {}", dead.count());
}

#[tokio::test(start_paused = true)]
async fn retries_never_add_more_than_a_fifth() {
    let script = Script::failing(Code::Unavailable);
    let backend = backend("breaker = { k = 0.0 }", std::slice::from_ref(&script));
    for _ in 0..1000 {
        call(&backend, true).await;
    }
    assert!(script.count() <= 1000 + 200 + 40, "{} calls for 1000", script.count());
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_is_hedged_on_the_other_endpoint() {
    let (slow, fast) = (Script::after(SECOND * 10), Script::after(Duration::from_millis(5)));
    let backend = backend("hedge = { after = \"50ms\" }\nbalance = \"round-robin\"", &[slow.clone(), fast]);
    let since = Instant::now();
    let answer = call(&backend, true).await;
    assert_eq!((answer.result.is_ok(), answer.attempts, slow.count()), (true, 2, 1));
    assert_eq!(since.elapsed(), Duration::from_millis(55));
    let unsafe_call = backend.call(outgoing(false, Duration::from_millis(200))).await;
    assert_eq!(unsafe_call.attempts, 1, "what is not safe is never hedged");
}

#[tokio::test(start_paused = true)]
async fn everything_ends_by_the_deadline() {
    for settings in ["", "concurrency = { initial = 1, max = 1 }", "hedge = { after = \"10ms\" }"] {
        let backend = backend(settings, &[Script::after(SECOND * 100), Script::after(SECOND * 100)]);
        let since = Instant::now();
        let (a, b) = tokio::join!(call(&backend, true), call(&backend, true));
        for answer in [a, b] {
            assert_eq!(answer.result.unwrap_err().code, Code::DeadlineExceeded);
        }
        assert_eq!(since.elapsed(), SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_says_whether_the_call_may_have_arrived() {
    let unconnected = || Script::new(|_| std::future::ready(Err(Failed { unsent: true, ..failed(Code::Unavailable) })));
    let answer = call(&backend("", &[unconnected(), unconnected()]), false).await;
    assert_eq!((answer.attempts, answer.sent), (2, false), "there was no connection");
    let broken = Script::failing(Code::Unavailable);
    assert!(call(&backend("", &[broken]), false).await.sent, "it broke on the way back");
    let backend = backend("balance = \"round-robin\"", &[Script::failing(Code::Unavailable), unconnected()]);
    let answer = call(&backend, true).await;
    assert!(answer.attempts > 1 && answer.sent, "of several attempts one is enough: {answer:?}");
    assert!(call(&super::super::kit::backend("", &[Script::after(SECOND * 9)]), false).await.sent, "it may be late");
    let late = backend.call(outgoing(false, Duration::ZERO)).await;
    assert_eq!((late.refused_by, late.sent), (Some(RefusedBy::Deadline), false));
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_told_with_its_number_and_its_reason() {
    let observed = async |backend: Backend| {
        let (observer, heard) = written();
        let outgoing = Outgoing { audience: Audience::of(observer), ..outgoing(true, SECOND) };
        assert!(backend.call(outgoing).await.result.is_ok());
        heard().iter().map(|line| line.split(" at h").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let retried = observed(backend("", &[fails_once(Code::Unavailable)])).await;
    let expected =
        ["attempt 1: First", "attempt 1: UNAVAILABLE after 0ns", "attempt 2: Retry", "attempt 2: OK after 0ns"];
    assert_eq!(retried, expected);
    let scripts = [Script::after(SECOND * 10), Script::after(Duration::from_millis(5))];
    let hedged = observed(backend("hedge = { after = \"50ms\" }\nbalance = \"round-robin\"", &scripts)).await;
    // The first one is given up.
    assert_eq!(hedged, ["attempt 1: First", "attempt 2: Hedge", "attempt 2: OK after 5ms"]);
}
