//! Calls in JSON, for plugins in languages without protobuf: transcoded once, by descriptors from the artifact, a file, or the
//! backend itself.

use crate::{
    fan::{LIST_EVENTS, fan},
    support::{GET_FILM, LIST_FILMS, PATIENT, RATE_FILM, film, knows_all, raw},
};
use bytes::Bytes;
use demo_services::proto::{
    DESCRIPTORS,
    catalog::v1::{Film, GetFilmRequest, Role},
};
use serde_json::{Value, json};
use weft_tests::{
    artifacts::{descriptors, with_limit, with_methods},
    demo::Demo,
    frames::{RawUpstream, Step},
    host::{TestHost, refusal},
    setup::Setup,
    upstream::{Answer, FakeUpstream},
};

/// The plugin without the SDK, which may call these and knows these messages.
fn plugin(methods: &[&str], descriptors: &[u8]) -> Bytes {
    with_methods(&raw(), methods, descriptors)
}

/// A call in JSON: the reply, or the gRPC code and what was said.
async fn call(host: &TestHost, method: &str, message: &str) -> Result<Value, (u32, String)> {
    let reply = host.post(&format!("/raw/json/{method}")).body(message.to_owned()).send().await;
    if reply.status == 200 {
        return Ok(reply.json());
    }
    let text = reply.text();
    let (code, said) = text.split_once(' ').unwrap();
    Err((code.parse().unwrap(), said.to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_goes_out_as_protobuf_and_comes_back_as_json() {
    let upstream = knows_all().await;
    upstream.on(GET_FILM, |call| {
        let cast = vec![Role { person_id: 7, character: "Ripley".to_owned() }];
        let id = call.decoded::<GetFilmRequest>().id;
        Answer::message(&Film { cast, genres: vec!["horror".to_owned()], ..film(id) })
    });
    let host = Setup::new().one_backend(upstream.address(), "").plugin("raw.wasm", &plugin(&[GET_FILM], DESCRIPTORS));
    let host = host.start().await;
    let alien = call(&host, GET_FILM, r#"{"id": 1}"#).await.unwrap();
    assert_eq!(
        alien,
        json!({
            "id": 1, "title": "Film 1", "year": 0, "minutes": 0, "directorIds": [], "synopsis": "", "posterUrl": "",
            "cast": [{ "personId": 7, "character": "Ripley" }], "genres": ["horror"],
        })
    );
    let more = call(&host, GET_FILM, r#"{"id": "2", "unheard": {"of": [true]}, "newer": null}"#).await.unwrap();
    assert_eq!(more["id"], 2, "what this host doesn't know is passed over");

    for (message, said) in [
        (r#"{"id": "two"}"#, "the request is no JSON of `catalog.v1.GetFilmRequest`: `id`: "),
        (r#"{"id": -1}"#, "the request is no JSON of `catalog.v1.GetFilmRequest`: `id`: "),
        (r#"{"id": "#, "the request is no JSON of `catalog.v1.GetFilmRequest`: "),
        (r#"{"id": 1} {"#, "the request is no JSON of `catalog.v1.GetFilmRequest`: "),
        ("", "the request is no JSON of `catalog.v1.GetFilmRequest`: "),
    ] {
        let (code, text) = call(&host, GET_FILM, message).await.unwrap_err();
        assert!(code == 3 && text.starts_with(said), "{message}: {code} {text}");
    }
    assert_eq!(call(&host, RATE_FILM, "{}").await.unwrap_err().0, 7, "what is not granted is not called");
    assert_eq!(upstream.total(), 2, "and none of it has left the host");
    upstream.on(GET_FILM, |_| Answer::Message(b"\xff\xff".to_vec().into()));
    assert_eq!(call(&host, GET_FILM, r#"{"id": 1}"#).await.unwrap_err().0, 13);
    upstream.on(GET_FILM, |_| Answer::fails(5, "no film 1"));
    let (code, said) = call(&host, GET_FILM, r#"{"id": 1}"#).await.unwrap_err();
    assert!(code == 5 && said.contains("no film 1"), "{code} {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_unpacks_to_far_more_than_it_is_fails_that_call_alone() {
    let upstream = knows_all().await;
    // Empty films: two bytes each, and more than a hundred in JSON.
    upstream.on(LIST_FILMS, |call| {
        let films = if call.message.is_empty() { 20_000 } else { 10 };
        Answer::Message([0x0a, 0].repeat(films).into())
    });
    let artifact = with_limit(&plugin(&[GET_FILM, LIST_FILMS], DESCRIPTORS), "cpu", "1s");
    let setup =
        Setup::new().limits("requests = 8\nidle = 2\narena = \"1MiB\"").one_backend(upstream.address(), PATIENT);
    let host = setup.plugin("raw.wasm", &artifact).start().await;
    let few = call(&host, LIST_FILMS, r#"{"pageSize": 10}"#).await.unwrap();
    assert_eq!(few["films"].as_array().unwrap().len(), 10);
    let (code, said) = call(&host, LIST_FILMS, "{}").await.unwrap_err();
    assert_eq!((code, said.contains("over the bound in JSON")), (8, true), "{said}");
    assert_eq!(call(&host, GET_FILM, r#"{"id": 1}"#).await.unwrap()["title"], "Film 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_comes_back_as_a_list() {
    let frame = |event: &'static [u8]| Step::Data(Bytes::from_static(event));
    let events = [frame(b"\0\0\0\0\x02\x08\x01"), frame(b"\0\0\0\0\x05\x08\x02\x12\x01x")];
    let steps = [vec![Step::Headers(&[])], events.to_vec(), vec![Step::Trailers(&[("grpc-status", "0")])]].concat();
    let upstream = RawUpstream::start(move |_| steps.clone()).await;
    let setup = Setup::new().backend("feed", &["feed.v1.Feed"], upstream.address(), "");
    let host = setup.plugin("raw.wasm", &plugin(&[LIST_EVENTS], &descriptors(&fan()))).start().await;
    let list = call(&host, LIST_EVENTS, r#"{"topic": "all"}"#).await;
    assert_eq!(list, Ok(json!([{ "number": 1, "payload": "" }, { "number": 2, "payload": "eA==" }])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_the_artifact_lacks_are_read_from_a_file() {
    let upstream = knows_all().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("demo.binpb");
    std::fs::write(&file, DESCRIPTORS).unwrap();
    let bare = plugin(&[GET_FILM], &[]);
    let host = async |lines: String| {
        Setup::new().one_backend(upstream.address(), &lines).plugin("raw.wasm", &bare).start().await
    };

    let told = host(format!("descriptors = {file:?}")).await;
    assert_eq!(call(&told, GET_FILM, r#"{"id": 7}"#).await.unwrap()["title"], "Film 7");
    let untold = host(String::new()).await;
    let reason = refusal(&untold.plugins().await, "raw.wasm").unwrap();
    assert!(reason.contains("`catalog.v1.Films/GetFilm` is not in the artifact's descriptors"), "{reason}");
    std::fs::write(&file, b"\xff\xff").unwrap();
    let garbled = host(format!("descriptors = {file:?}")).await;
    let reason = refusal(&garbled.plugins().await, "raw.wasm").unwrap();
    assert!(reason.contains("weft.toml:") && reason.contains("descriptors of `catalog.v1.Films`"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_the_artifact_lacks_are_learnt_from_the_backend() {
    let demo = Demo::generated(10, 20, 10).await;
    let learning = |toml: String| toml.replace("\nservices = ", "\ndescriptors = \"reflection\"\nservices = ");
    let bare = plugin(&[GET_FILM, RATE_FILM], &[]);
    let host = demo.setup().edit(learning).plugin("raw.wasm", &bare).start().await;
    let at = |method: &str| format!("/test/raw/json/{method}");
    let film = host.post(&at(GET_FILM)).body(r#"{"id": 1}"#).send().await.ok().json();
    assert!(film["title"].is_string() && film["directorIds"].is_array(), "{film}");
    let unknown = host.post(&at(RATE_FILM)).body(r#"{"filmId": "x"}"#).send().await;
    assert!(unknown.text().contains("`filmId`"), "{unknown:?}");

    // A backend that doesn't tell.
    let mute = FakeUpstream::start().await;
    let setup = Setup::new().one_backend(mute.address(), "descriptors = \"reflection\"").plugin("raw.wasm", &bare);
    let reason = refusal(&setup.start().await.plugins().await, "raw.wasm").unwrap();
    assert!(reason.contains("server reflection of backend `fake` tells nothing of `catalog.v1.Films`"), "{reason}");
}
