//! The end of connections when the process is told to stop: each is told in its own language, and none that does nothing keeps it.

use crate::support::{GET_PERSON, hold_people, knows_all, probe, weft};
use bytes::Bytes;
use weft_tests::{
    artifacts::with_manifest,
    h2::{Attacker, Frame, Outcome, get},
    process::HostProcess,
    raw::Connection,
    setup::{Folder, Setup},
    upstream::{FakeUpstream, Gate},
};

fn patient() -> Bytes {
    with_manifest(&probe(), |manifest| {
        manifest["endpoint"]["GET /people"].as_table_mut().unwrap().insert("timeout".to_owned(), "120s".into());
    })
}

async fn start(gate: &Gate, http: &str) -> (HostProcess, FakeUpstream, Folder) {
    let upstream = knows_all().await;
    hold_people(&upstream, gate, 1);
    let setup = Setup::new().http(http).one_backend(upstream.address(), "timeout = \"120s\"");
    let folder = setup.plugin("probe.wasm", &patient()).write();
    (HostProcess::start(weft(), &folder).await, upstream, folder)
}

const HELD: &[u8] = b"GET /people?ids=1 HTTP/1.1\r\nhost: test\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_told_by_goaway_and_connection_close_and_finish_what_they_began() {
    let gate = Gate::new();
    let (process, upstream, _folder) =
        start(&gate, "drain = \"600s\"\nheader-timeout = \"1s\"\ntimeout = \"120s\"").await;
    let (mut one, mut two) = (Connection::open(process.http).await, Attacker::open(process.http, 65_535).await);
    let mut idle = Attacker::open(process.http, 65_535).await;
    idle.send([get(1, "/version")]).await;
    assert_eq!(idle.outcome(1).await, Outcome::Status(Some(200)));
    one.send(HELD).await;
    two.send([get(1, "/people?ids=1")]).await;
    upstream.arrived(GET_PERSON, 1).await;
    // Both: the second one waits for the first one's call.
    let both = async || {
        let plugins = weft_tests::web::Web::admin(process.admin).get("/v1/plugins").send().await.ok().json();
        (plugins["requests_under_way"] == 2).then_some(())
    };
    weft_tests::wait::until("both to be under way", both).await;
    process.terminate();
    // It does not answer the ping that comes with it, and keeps the host no longer for that.
    assert!(idle.rest().await.contains(&Frame::GoAway(0)), "an idle one is told, and closed");
    while two.next().await.unwrap() != Frame::GoAway(0) {}
    gate.open();
    let reply = one.next().await;
    assert_eq!((reply.status, reply.header("connection"), reply.body()), (200, Some("close"), "[\"Person 1\"]"));
    assert_eq!(one.rest().await, b"");
    assert_eq!(two.outcome(1).await, Outcome::Status(Some(200)));
    assert!(two.rest().await.iter().any(|frame| matches!(frame, Frame::Data { stream: 1, ends: true, .. })));
    assert_eq!(process.end().await.0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_began_something_and_do_not_go_on_keep_nobody() {
    let (process, _upstream, _folder) =
        start(&Gate::new(), "drain = \"600s\"\nheader-timeout = \"1s\"\nidle = \"600s\"").await;
    let starts =
        [&b"GET /version HTTP/1.1\r\nhost: te"[..], b"PRI * HTTP/2.0\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b""];
    let mut open = Vec::new();
    for start in starts {
        let mut connection = Connection::open(process.http).await;
        connection
            .send(
                b"GET /version HTTP/1.1\r\nhost: test\r\n\r\n"
                    .repeat(usize::from(!start.starts_with(b"PRI")))
                    .as_slice(),
            )
            .await;
        connection.send(start).await;
        if !start.starts_with(b"PRI") {
            assert_eq!(connection.next().await.body(), "1.0.0");
        }
        open.push(connection);
    }
    process.terminate();
    assert_eq!(process.end().await.0, 0);
}

const ASK: &[u8] = b"GET /version HTTP/1.1\r\nhost: test\r\n\r\n";

/// An answer that is not the last of its connection.
async fn served(connection: &mut Connection) {
    connection.send(ASK).await;
    let reply = connection.next().await;
    assert_eq!((reply.status, reply.header("connection")), (200, None));
}

/// An answer that says that it is the last one, and is.
async fn served_last(connection: &mut Connection) {
    connection.send(ASK).await;
    let reply = connection.next().await;
    assert_eq!((reply.status, reply.header("connection"), reply.body()), (200, Some("close"), "1.0.0"));
    assert_eq!(connection.rest().await, b"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_connection_gets_one_last_answer_however_far_the_host_is_with_its_end() {
    // Whoever rests is awaited for as long as a header, which is longer than this test takes.
    let bounds = "drain = \"600s\"\nheader-timeout = \"300s\"\nidle = \"600s\"";
    for delay in ["0s", "300s"] {
        let (process, _upstream, _folder) = start(&Gate::new(), &format!("{bounds}\ndrain-delay = \"{delay}\"")).await;
        let mut busy = Connection::open(process.http).await;
        served(&mut busy).await;
        let mut half = Connection::open(process.http).await;
        served(&mut half).await;
        half.send(&ASK[..20]).await;
        process.terminate();
        let admin = weft_tests::web::Web::admin(process.admin);
        let unready = async || (admin.get("/readyz").send().await.status == 503).then_some(());
        weft_tests::wait::until("the host to say that it is not ready", unready).await;
        if delay != "0s" {
            // It goes on accepting, and there too each answer is the last one.
            served_last(&mut Connection::open(process.http).await).await;
        }
        served_last(&mut busy).await;
        half.send(&ASK[20..]).await;
        assert_eq!(half.next().await.header("connection"), Some("close"));
        assert_eq!(half.rest().await, b"");
        if delay == "0s" {
            assert_eq!(process.end().await.0, 0, "nobody is awaited any more");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_loses_no_request() {
    let bounds = "drain = \"600s\"\nheader-timeout = \"300s\"";
    let (process, _upstream, _folder) = start(&Gate::new(), bounds).await;
    let served = std::sync::atomic::AtomicUsize::new(0);
    let client = async || {
        let mut connection = Connection::open(process.http).await;
        loop {
            connection.send(ASK).await;
            let reply = connection.next().await;
            // A host that is full says so, and that is an answer.
            assert!([200, 503].contains(&reply.status), "{}", reply.text);
            served.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if reply.header("connection") == Some("close") {
                return assert_eq!(connection.rest().await, b"");
            }
        }
    };
    let stop = async {
        let busy = async || (served.load(std::sync::atomic::Ordering::Relaxed) >= 200).then_some(());
        weft_tests::wait::until("some requests", busy).await;
        process.terminate();
    };
    tokio::join!(futures_util::future::join_all((0..16).map(|_| client())), stop);
    assert_eq!(process.end().await.0, 0);
}
