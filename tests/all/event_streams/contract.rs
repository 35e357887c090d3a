//! The contract of streams is a version of its own: what has none is built for the one before, and a host that does not know it says so.

use super::{live, problem, setup};
use crate::support::probe;
use bytes::Bytes;
use weft::artifact::{CONTRACT, STREAMING, Sections};
use weft_tests::repository;

/// Whether the component imports the interface.
fn imports_emit(artifact: &Bytes) -> bool {
    artifact.windows(b"weft:bff/emit".len()).any(|bytes| bytes == b"weft:bff/emit")
}

fn with(artifact: &Bytes, change: impl FnOnce(&mut Sections)) -> Bytes {
    let mut sections = Sections::read(artifact).unwrap();
    change(&mut sections);
    sections.append_to(artifact).into()
}

#[test]
fn only_a_plugin_with_streams_is_built_for_the_newer_contract() {
    let (with_streams, without) = (live(), probe());
    assert_eq!(Sections::read(&with_streams).unwrap().contract, STREAMING);
    assert_eq!(Sections::read(&without).unwrap().contract, CONTRACT);
    assert!(imports_emit(&with_streams));
    assert!(!imports_emit(&without), "hosts from before would not link it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_does_not_know_an_artifacts_contract_names_both() {
    let host = setup().start().await;
    let newer = with(&live(), |sections| sections.contract = "0.3.0".to_owned());
    host.folder.install("live.wasm", &newer);
    let why = host.until_refused("live.wasm").await;
    assert!(why.contains("built for contract 0.3.0, and this host serves 0.1.0 and 0.2.0"), "{why}");

    // Its own contract is what an older host goes by.
    let claims = with(&live(), |sections| sections.contract = CONTRACT.to_owned());
    host.folder.install("other.wasm", &claims);
    let why = host.until_refused("other.wasm").await;
    assert!(why.contains("`GET /parts/{id}` answers in parts, which contract 0.1.0 has not"), "{why}");
}

/// By hand: the SDK writes what the code says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_no_stream_begins_none() {
    let denied = with(&live(), |sections| {
        let schema = String::from_utf8(sections.schema.clone()).unwrap();
        let open = "\"path\":\"/open\"";
        let (before, after) = schema.split_once(open).unwrap();
        let changed = format!("{before}{open}{}", after.replacen("\"stream\":true", "\"stream\":false", 1));
        sections.schema = changed.into_bytes();
    });
    let host = super::Setup::new().one_backend("127.0.0.1:1", "").plugin("live.wasm", &denied).start().await;
    let told = host.get("/open").send().await.problem(502);
    assert_eq!(told["type"], "urn:weft:problem:plugin-trapped");
    let mut other = host.get("/fails").listen().await;
    other.event().await.unwrap();
    assert_eq!(problem(&other.event().await.unwrap())["status"], 404);
}

/// The page for authors shows what runs here.
#[test]
fn the_page_of_streams_shows_the_plugin_that_is_tested() {
    let page = std::fs::read_to_string(repository().join("docs/authors/streams.md")).unwrap();
    let code = std::fs::read_to_string(repository().join("tests/guests/live/src/lib.rs")).unwrap();
    let (_, rest) = page.split_once("```rust\n").unwrap();
    let (snippet, _) = rest.split_once("```").unwrap();
    assert!(code.contains(snippet), "{snippet}");
}
