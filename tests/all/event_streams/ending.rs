//! Who ends a stream, and what the client hears of it.

use super::{end, ended, live, setup, until_open};
use crate::support::weft;
use tokio::io::AsyncWriteExt;
use weft_tests::{
    artifacts::{with_limit, with_version},
    h2::{Attacker, Frame, get},
    process::HostProcess,
    raw::narrow,
    sse::Sse,
    tokens::Token,
    wait::until,
    web::Web,
};

/// One that has begun, and goes on for longer than any test.
async fn begun(web: &Web) -> Sse {
    let mut stream = web.get("/open").listen().await;
    assert!(stream.event().await.unwrap().starts_with("id: 41"));
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_ends_it_and_the_next_one_begins_with_the_new_configuration() {
    let host = setup().more("[streams]\nlongest = \"60s\"").start().await;
    let stream = begun(host.web()).await;
    host.folder.change(|text| text.replace("longest = \"60s\"", "longest = \"1s\""));
    host.reload().await.unwrap();
    assert_eq!(stream.rest().await, [end("reload")]);
    assert_eq!(begun(host.web()).await.rest().await, [end("time")]);
    assert_eq!((ended(&host, "reload").await, ended(&host, "time").await), (1.0, 1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_version_of_its_plugin_ends_it_and_another_plugin_does_not() {
    let host = setup().start().await;
    let stream = begun(host.web()).await;
    host.folder.install("probe.wasm", &crate::support::probe());
    host.until_live("probe", "1.0.0").await;
    assert_eq!(ended(&host, "release").await, 0.0);
    host.folder.install("live.wasm", &with_version(&live(), "1.1.0"));
    assert_eq!(stream.rest().await, [end("release")]);
    let again = begun(host.web()).await;
    assert_eq!(ended(&host, "release").await, 1.0);
    drop(again);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_with_its_callers_token() {
    let host = setup().identity("").start().await;
    let token = Token::of("ann").expires_in(3).sign();
    let stream = host.get("/mine").bearer(&token).listen().await;
    assert_eq!(stream.status, 200);
    assert_eq!(stream.rest().await, ["id: 41\ndata: {\"since\":\"ann\"}".to_owned(), end("token")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_stops_says_so_and_waits_for_nobody() {
    let folder = setup().http("drain = \"600s\"").write();
    let process = HostProcess::start(weft(), &folder).await;
    let (one, two) = (begun(&process.web()).await, begun(&Web::h2c(process.http)).await);
    process.terminate();
    assert_eq!(one.rest().await, [end("stop")]);
    assert_eq!(two.rest().await, [end("stop")]);
    let (code, lines) = process.end().await;
    assert_eq!(code, 0);
    let told = lines.iter().filter(|line| line.contains("a stream has ended") && line.contains("stop")).count();
    assert_eq!(told, 2, "{lines:#?}");
}

/// With one slot for streams, the next one begins only once all of the first one is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_frees_everything() {
    let host = setup().limits("requests = 4\nstreams = 1\nidle = 0").start().await;
    for (count, web) in [host.web().clone(), Web::h2c(host.address())].into_iter().enumerate() {
        let stream = begun(&web).await;
        until_open(&host, 1.0).await;
        drop(stream);
        until_open(&host, 0.0).await;
        assert_eq!(ended(&host, "client").await, count as f64 + 1.0);
    }
    let answered = async || (host.get("/many?count=1&bytes=1").listen().await.status == 200).then_some(());
    until("the guest's place", answered).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_is_cut_off_and_its_guest_ends() {
    let artifact = with_limit(&live(), "cpu", "10s");
    let setup = super::Setup::new().one_backend("127.0.0.1:1", "").plugin("live.wasm", &artifact);
    let limits = "requests = 4\nstreams = 4\nidle = 0\ncpu = \"10s\"";
    let host = setup.http("write-timeout = \"1s\"").limits(limits).start().await;
    let path = "/many?count=100000&bytes=60000";
    let mut client = narrow(host.address()).await;
    client.write_all(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()).await.unwrap();
    until_open(&host, 1.0).await;
    until_open(&host, 0.0).await;
    assert_eq!(ended(&host, "client").await, 1.0);

    // Of HTTP/2 that stream alone.
    let mut client = Attacker::open(host.address(), 1_000).await;
    client.send([get(1, path)]).await;
    loop {
        match client.next().await.unwrap() {
            Frame::Reset { stream: 1, .. } => break,
            Frame::Data { ends, .. } => assert!(!ends, "half of it would look whole"),
            _ => {}
        }
    }
    until_open(&host, 0.0).await;
    client.send([get(3, "/plain")]).await;
    assert_eq!(client.outcome(3).await, weft_tests::h2::Outcome::Status(Some(200)));
}
