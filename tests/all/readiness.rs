//! What the host says of itself: to Kubernetes and balancers, to gRPC's health clients, and to whoever asks by the command.

use crate::support::{PATIENT, knows_all, probe, weft};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use tokio::net::TcpStream;
use weft_tests::{
    process::{HostProcess, run},
    setup::{Folder, Setup},
    upstream::FakeUpstream,
    wait::{soon, until},
    web::Web,
};

async fn process(http: &str) -> (HostProcess, Folder, FakeUpstream) {
    let upstream = knows_all().await;
    let clients = "[[client]]\nname = \"test\"\nprefix = \"/test\"\n[[client]]\nname = \"tv\"\nprefix = \"/tv\"\n";
    let setup = Setup::new().http(http).clients(clients).one_backend(upstream.address(), PATIENT);
    let folder = setup.plugin("probe.wasm", &probe()).write();
    (HostProcess::start(weft(), &folder).await, folder, upstream)
}

/// A stream of answers about one service.
async fn watch(admin: SocketAddr, service: &str) -> Incoming {
    let stream = TcpStream::connect(admin).await.unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post(format!("http://{admin}/grpc.health.v1.Health/Watch"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    sender.send_request(request.body(Full::new(question(service))).unwrap()).await.unwrap().into_body()
}

/// `HealthCheckRequest` in its frame.
fn question(service: &str) -> Bytes {
    let length: u8 = service.len().try_into().unwrap();
    let message = if service.is_empty() { Vec::new() } else { [&[10, length], service.as_bytes()].concat() };
    [&[0, 0, 0, 0, message.len().try_into().unwrap()], message.as_slice()].concat().into()
}

/// The status in the next message.
async fn next(stream: &mut Incoming) -> u8 {
    let frame = soon("a word of the stream", stream.frame()).await.unwrap().unwrap();
    let bytes = frame.into_data().unwrap();
    assert_eq!(bytes[..6], [0, 0, 0, 0, 2, 8]);
    bytes[6]
}

const SERVING: u8 = 1;
const NOT_SERVING: u8 = 2;
const SERVICE_UNKNOWN: u8 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_told_of_the_host_and_of_each_client_until_the_host_ends() {
    let (process, folder, _upstream) = process("drain-delay = \"0s\"\ndrain = \"300s\"").await;
    let grpc = Web::h2c(process.admin);
    let check = async |service: &str| {
        let request = grpc.post("/grpc.health.v1.Health/Check").header("content-type", "application/grpc");
        let reply = request.body(question(service)).send().await.ok();
        (reply.header("grpc-status").map(str::to_owned), reply.body.last().copied())
    };
    assert_eq!(check("").await, (None, Some(SERVING)), "the status is in the trailers");
    assert_eq!(check("test").await, (None, Some(SERVING)));
    assert_eq!(check("tv").await, (None, Some(NOT_SERVING)), "it has no plugin");
    assert_eq!(check("radio").await, (Some("5".to_owned()), None));
    let mut streams = Vec::new();
    for (service, status) in [("", SERVING), ("test", SERVING), ("radio", SERVICE_UNKNOWN)] {
        let mut stream = watch(process.admin, service).await;
        assert_eq!(next(&mut stream).await, status, "{service:?}");
        streams.push(stream);
    }
    folder.remove("probe.wasm");
    assert_eq!(next(&mut streams[1]).await, NOT_SERVING, "its plugin is gone");
    process.terminate();
    assert_eq!(next(&mut streams[0]).await, NOT_SERVING);
    for stream in &mut streams {
        let end = soon("the end of the stream", stream.frame()).await.unwrap().unwrap();
        assert_eq!(end.into_trailers().unwrap()["grpc-status"], "14");
    }
    assert_eq!(process.end().await.0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_asks_a_host_whether_it_is_ready() {
    let (process, _folder, _upstream) = process("drain-delay = \"300s\"").await;
    let admin = process.admin.to_string();
    let health = async |more: &[&str]| run(weft(), &[&["health", "--admin", &admin], more].concat()).await;
    let said = health(&[]).await;
    assert_eq!((said.code, said.out.as_str()), (0, "ready\n"), "{said:?}");
    let said = run(weft(), &["health", "--admin", &format!("http://{admin}/"), "--json"]).await;
    assert_eq!((said.code, said.out.trim()), (0, r#"{"ready":true,"waits_for":[],"notes":[]}"#), "{said:?}");
    process.terminate();
    until("the host not to be ready", async || (health(&[]).await.code == 1).then_some(())).await;
    let said = health(&[]).await;
    assert_eq!(said.out, "not ready: end: the host was told to stop, and finishes what is under way\n");
    let said = health(&["--json"]).await;
    assert!(said.code == 1 && said.out.contains(r#""waits_for":[{"what":"end""#), "{said:?}");
    // It finishes what is under way, so nobody may end it.
    let said = health(&["--live"]).await;
    assert_eq!((said.code, said.out.as_str()), (0, "alive\n"), "{said:?}");
    let said = health(&["--live", "--json"]).await;
    assert_eq!((said.code, said.out.trim()), (0, r#"{"alive":true}"#), "{said:?}");
    // There the gateway answers, by a problem document.
    for more in [&[][..], &["--live"]] {
        let said = run(weft(), &[&["health", "--admin", &process.http.to_string()], more].concat()).await;
        assert!(said.code == 1 && said.err.contains("is --admin the admin address?"), "{said:?}");
    }
    let nowhere = FakeUpstream::nowhere().await.to_string();
    for (more, out) in [
        (&["--json"][..], "{\"error\":"),
        (&[], ""),
        (&["--live", "--json"], "{\"alive\":false,\"error\":"),
        (&["--live"], ""),
    ] {
        let said = run(weft(), &[&["health", "--admin", &nowhere], more].concat()).await;
        assert!(said.code == 1 && said.out.starts_with(out) && said.out.is_empty() == out.is_empty(), "{said:?}");
    }
}
