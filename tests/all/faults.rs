//! Backends that break HTTP/2, gRPC or their word: each fault is one truthful code, tried again only where that is safe, and over when
//! it is over.

use crate::{
    fan::{film as shown, setup},
    support::{GET_FILM, RATE_FILM, film, knows_all, weft},
};
use demo_services::proto::reviews::v1::Rating;
use futures_util::{StreamExt, stream};
use std::time::Duration;
use weft_tests::{
    frames::{BlackHole, RawUpstream, Step, framed, reply},
    process::HostProcess,
    tokens::token,
    upstream::{Answer, FakeUpstream},
    wait::until,
};

/// Tries everything again that it may, as long as the backend has not begun to answer.
const EAGER: &str = r#"timeout = "400ms"
connect-timeout = "100ms"
retry = { attempts = 2, budget = "100%", on = ["UNAVAILABLE", "INTERNAL", "UNKNOWN", "CANCELLED", "RESOURCE_EXHAUSTED"] }
breaker = { k = 0 }"#;

/// A fault, its code, and how often the backend then sees the call: twice where it can't have begun to answer.
struct Fault(&'static str, Vec<Step>, &'static str, usize);

fn before_the_answer() -> Vec<Fault> {
    use Step::{Abort, Close, Garbage, GoAway, Reset, Vanish};
    vec![
        Fault("resets the connection", vec![Abort], "UNAVAILABLE", 2),
        Fault("closes the connection", vec![Close], "UNAVAILABLE", 2),
        Fault("goes away", vec![GoAway, Close], "UNAVAILABLE", 2),
        Fault("goes away and leaves the connection open", vec![GoAway], "UNAVAILABLE", 2),
        Fault("refuses the stream", vec![Reset(7)], "UNAVAILABLE", 2),
        Fault("resets the stream with INTERNAL_ERROR", vec![Reset(2)], "INTERNAL", 2),
        Fault("resets the stream with CANCEL", vec![Reset(8)], "CANCELLED", 2),
        Fault("resets the stream with ENHANCE_YOUR_CALM", vec![Reset(11)], "RESOURCE_EXHAUSTED", 2),
        Fault("does not speak HTTP/2", vec![Garbage(b"HTTP/1.1 400 Bad Request\r\n\r\n")], "INTERNAL", 2),
        Fault("takes the call and vanishes", vec![Vanish], "DEADLINE_EXCEEDED", 1),
        Fault("takes the call and says nothing", vec![], "DEADLINE_EXCEEDED", 1),
    ]
}

fn in_the_answer() -> Vec<Fault> {
    use Step::{Abort, Close, Data, End, Headers, Pause, Reset, Settle, Trailers, Vanish};
    const OK: Step = Trailers(&[("grpc-status", "0")]);
    const BEGIN: Step = Headers(&[]);
    let whole = framed(&film(1));
    let data = || Data(whole.clone());
    let half = || Data(whole.slice(..whole.len() / 2));
    let bytes = |bytes: &'static [u8]| Data(bytes::Bytes::from_static(bytes));
    let drip = whole.chunks(1).flat_map(|byte| [Data(byte.to_vec().into()), Pause(Duration::from_millis(100))]);
    let cases = [
        ("stalls after its headers", vec![BEGIN], "DEADLINE_EXCEEDED"),
        ("stalls within the message", vec![BEGIN, half()], "DEADLINE_EXCEEDED"),
        ("stalls after the message", vec![BEGIN, data()], "DEADLINE_EXCEEDED"),
        ("vanishes after its headers", vec![BEGIN, Vanish], "DEADLINE_EXCEEDED"),
        ("drips", [BEGIN].into_iter().chain(drip).collect(), "DEADLINE_EXCEEDED"),
        ("resets the connection within the message", vec![BEGIN, half(), Settle, Abort], "UNAVAILABLE"),
        ("closes the connection after its headers", vec![BEGIN, Settle, Close], "UNAVAILABLE"),
        ("refuses the stream after its headers", vec![BEGIN, Reset(7)], "UNAVAILABLE"),
        ("resets the stream after the message", vec![BEGIN, data(), Reset(2)], "INTERNAL"),
        ("cuts the message short", vec![BEGIN, half(), OK], "INTERNAL"),
        ("sends no trailers", vec![BEGIN, data(), End], "UNKNOWN"),
        ("sends a status that is no number", vec![BEGIN, data(), Trailers(&[("grpc-status", "fine")])], "UNKNOWN"),
        ("sends trailers without a status", vec![BEGIN, data(), Trailers(&[("x-more", "1")])], "UNKNOWN"),
        ("answers twice", vec![BEGIN, data(), data(), OK], "INTERNAL"),
        ("says OK and nothing else", vec![BEGIN, OK], "INTERNAL"),
        ("announces 4 GiB", vec![BEGIN, bytes(b"\0\xff\xff\xff\xff")], "RESOURCE_EXHAUSTED"),
        ("announces more than is read", vec![BEGIN, bytes(b"\0\0\x40\0\x01")], "RESOURCE_EXHAUSTED"),
        ("compresses without saying how", vec![BEGIN, bytes(b"\x01\0\0\0\x01x"), OK], "INTERNAL"),
        ("sets a flag that does not exist", vec![BEGIN, bytes(b"\x07\0\0\0\x01x"), OK], "INTERNAL"),
        ("compresses as nobody asked", vec![Headers(&[("grpc-encoding", "snappy")]), data(), OK], "UNIMPLEMENTED"),
    ];
    cases.into_iter().map(|(what, steps, code)| Fault(what, steps, code, 1)).collect()
}

/// What a caller sees of each fault, some at a time, beside what it should see.
async fn all<F: Future<Output = String>>(
    faults: Vec<Fault>,
    see: impl Fn(Fault) -> F,
    should: impl Fn(&Fault) -> String,
) {
    let expected: Vec<_> = faults.iter().map(|fault| format!("{}: {}", fault.0, should(fault))).collect();
    let seen = stream::iter(faults).map(|fault| {
        let (what, seen) = (fault.0, see(fault));
        async move { format!("{what}: {}", seen.await) }
    });
    assert_eq!(seen.buffered(6).collect::<Vec<_>>().await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_is_told_as_it_is_and_never_tried_again_once_the_answer_has_begun() {
    let see = |Fault(_, steps, ..)| async move {
        let broken = RawUpstream::start(move |_| steps.clone()).await;
        let host = setup(&[broken.address()], EAGER).start().await;
        let reply = host.get("/film/1").send().await;
        assert!((502..=504).contains(&reply.status), "callers are not to blame: {reply:?}");
        format!("{} after {} calls", reply.json()["code"], broken.calls())
    };
    let every = before_the_answer().into_iter().chain(in_the_answer()).collect();
    all(every, see, |fault| format!("{:?} after {} calls", fault.2, fault.3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_answered_is_tried_again_and_then_goes_well() {
    let see = |Fault(_, steps, ..)| async move {
        let once = RawUpstream::start(move |call| if call == 0 { steps.clone() } else { reply(&film(1)) }).await;
        let host = setup(&[once.address()], EAGER).start().await;
        let reply = host.get("/film/1").send().await.json();
        format!("{} after {} calls", reply["title"], once.calls())
    };
    let faults = before_the_answer().into_iter().filter(|fault| fault.3 > 1).collect();
    all(faults, see, |_| "\"Film 1\" after 2 calls".to_owned()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_safe_is_never_sent_again() {
    let see = |Fault(_, steps, ..)| async move {
        let broken = RawUpstream::start(move |_| steps.clone()).await;
        let host = setup(&[broken.address()], EAGER).start().await;
        let reply = host.post("/film/1/rating").bearer(&token("ann")).send().await;
        format!("{} after {} calls", reply.json()["code"], broken.calls())
    };
    all(before_the_answer(), see, |fault| format!("{:?} after 1 calls", fault.2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_connection_is_made_nothing_was_sent_and_another_endpoint_may_have_it() {
    let hole = BlackHole::open().await;
    for dead in [hole.address(), FakeUpstream::nowhere().await] {
        let alone = setup(&[dead], EAGER).start().await;
        assert_eq!(alone.get("/film/1").send().await.problem(503)["code"], "UNAVAILABLE");

        let well = knows_all().await;
        well.on(RATE_FILM, |_| Answer::message(&Rating::default()));
        let both = setup(&[dead, well.address()], &format!("{EAGER}\nbalance = \"round-robin\"")).start().await;
        for _ in 0..3 {
            assert_eq!(shown(&both, "/film/1").await.0, "Film 1");
            both.post("/film/1/rating").bearer(&token("ann")).send().await.ok();
        }
        assert_eq!((well.count(GET_FILM), well.count(RATE_FILM)), (3, 3), "each once, writes too");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_whose_peer_has_vanished_is_given_up_and_made_anew() {
    // The first connection dies after a good call, and nobody is told.
    let half_open = RawUpstream::start(|call| if call == 1 { vec![Step::Vanish] } else { reply(&film(1)) }).await;
    let host = setup(&[half_open.address()], &format!("{EAGER}\nkeep-alive = \"200ms\"")).start().await;
    assert_eq!(shown(&host, "/film/1").await.0, "Film 1");
    // Its time is over, or the ping that did not come back is noticed first.
    let given_up = host.get("/film/1").send().await.status;
    assert!(given_up == 503 || given_up == 504, "{given_up}");
    until("the host to notice", async || (host.get("/film/1").send().await.status == 200).then_some(())).await;
}

/// However a backend writes its status: the code is what it says, at once, and only its own words leave the host.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_backend_says_of_a_failure_counts_however_it_is_written() {
    use Step::{Data, End, Headers, Http, Trailers};
    const NOT_FOUND: (&str, &str) = ("grpc-status", "5");
    const DETAILS: &str = "grpc-status-details-bin";
    const GRPC: (&str, &str) = ("content-type", "application/grpc");
    let heads: [(&str, Vec<Step>); 8] = [
        ("details that are no base64", vec![Headers(&[NOT_FOUND, (DETAILS, "%%%")]), End]),
        ("details in the other alphabet", vec![Headers(&[NOT_FOUND, (DETAILS, "CAUSBGdvbmU_-_8")]), End]),
        ("details twice in one line", vec![Headers(&[NOT_FOUND, (DETAILS, "CAUSBGdvbmU,CAUSBGdvbmU")]), End]),
        ("the same in trailers", vec![Headers(&[]), Trailers(&[NOT_FOUND, (DETAILS, "CAUSBGdvbmU,!")])]),
        ("a message that is no UTF-8", vec![Headers(&[NOT_FOUND, ("grpc-message", "caf%E9")]), End]),
        ("HTTP 404 with a status", vec![Http("404", &[GRPC, NOT_FOUND]), End]),
        ("HTTP 503 with a status and without a type", vec![Http("503", &[NOT_FOUND]), End]),
        ("HTTP 404 with a status in trailers", vec![Http("404", &[GRPC]), Trailers(&[NOT_FOUND])]),
    ];
    for (what, steps) in heads {
        let broken = RawUpstream::start(move |_| steps.clone()).await;
        let host = setup(&[broken.address()], "").start().await;
        let shared = host.get("/film/1").send().await.problem(404);
        let alone = host.post("/film/1/rating").bearer(&token("ann")).send().await.problem(404);
        for problem in [shared, alone] {
            assert_eq!(problem["code"], "NOT_FOUND", "{what}");
            assert!(!problem.to_string().contains(&broken.address().to_string()), "{what}: {problem}");
            assert!(!problem.to_string().contains("fake"), "{what}: {problem}");
        }
    }
    let whole = framed(&Rating { your_ratings: 3, ..Rating::default() });
    let trailers: [&'static [(&str, &str)]; 2] =
        [&[("grpc-status", "0"), (DETAILS, "%%%")], &[("grpc-status", "0"), ("grpc-message", "%ff")]];
    for trailers in trailers {
        let steps = vec![Headers(&[]), Data(whole.clone()), Trailers(trailers)];
        let odd = RawUpstream::start(move |_| steps.clone()).await;
        let host = setup(&[odd.address()], "").start().await;
        let rated = host.post("/film/1/rating").bearer(&token("ann")).send().await.ok();
        assert_eq!(rated.json(), 3, "what went well is not lost over {trailers:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_takes_pings_for_too_many_is_pinged_less() {
    let touchy =
        RawUpstream::start(|call| if call == 0 { vec![Step::Calm, Step::Close] } else { reply(&film(1)) }).await;
    let folder = setup(&[touchy.address()], &format!("{EAGER}\nkeep-alive = \"3s\"")).write();
    let host = HostProcess::start(weft(), &folder).await;
    host.web().get("/film/1").send().await;
    let line = host.until_line("from now on it is 6s").await;
    assert!(line.contains(&touchy.address().to_string()) && line.contains("raise `keep-alive`"), "{line}");
    host.web().get("/film/1").send().await.ok();
}
