//! Names in the configuration that nothing has: found by the check, and told by the log of a host, once each, as soon as something shows
//! them.

use crate::support::{knows_all, probe, rule, weft};
use demo_services::proto::DESCRIPTORS;
use rustix::process::Signal;
use weft_tests::{
    demo::Demo,
    process::{HostProcess, run},
    setup::{Folder, Setup},
};

const GET_FILM: &str = "`catalog.v1.Films` has no method `GteFilm`; did you mean `GetFilm`?";
const GET_PERSON: &str = "`people.v1.People` has no method `GetPersn`; did you mean `GetPerson`?";
const LIST_REVIEWS: &str = "`reviews.v1.Reviews` has no method `ListReview`; did you mean `ListReviews`?";

fn public(method: &str) -> String {
    rule(method, "scope = \"public\"")
}

/// What the check says of it, which is a mistake.
async fn checked(folder: &Folder) -> String {
    let ended = run(weft(), &["check", "--config", folder.config().to_str().unwrap()]).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    ended.err
}

fn count(host: &HostProcess, text: &str) -> usize {
    host.lines().iter().filter(|line| line.contains(text)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_warns_of_each_name_once_when_an_artifact_or_a_reload_shows_it() {
    let upstream = knows_all().await;
    let tables = public("catalog.v1.Films/GteFilm");
    let folder = Setup::new().one_backend(upstream.address(), &tables).write();
    let host = HostProcess::start(weft(), &folder).await;
    folder.install("probe.wasm", &probe());
    let line = host.until_line(GET_FILM).await;
    assert!(line.contains("WARN") && line.contains("weft.toml:"), "{line}");
    assert!(line.contains("backend.fake.method.\"catalog.v1.Films/GteFilm\""), "{line}");

    // The new one tells that all were looked for again.
    for (more, told) in [("people.v1.People/GetPersn", GET_PERSON), ("reviews.v1.Reviews/ListReview", LIST_REVIEWS)] {
        folder.change(|text| format!("# Moved by a line.\n{text}\n{}", public(more)));
        host.signal(Signal::HUP);
        host.until_line(told).await;
    }
    assert_eq!([GET_FILM, GET_PERSON, LIST_REVIEWS].map(|told| count(&host, told)), [1, 1, 1], "{:#?}", host.lines());

    // What was mended is told anew.
    folder.change(|text| text.replace("Films/GteFilm", "Films/GetFilm").replace("People/GetPersn", "People/GetPerson"));
    host.signal(Signal::HUP);
    host.until_line("GteFilm").await;
    folder.change(|text| text.replace("People/GetPerson\"", "People/GetPersno\""));
    host.signal(Signal::HUP);
    host.until_line("has no method `GetPersno`").await;
    assert_eq!((count(&host, GET_FILM), count(&host, LIST_REVIEWS)), (1, 1), "{:#?}", host.lines());

    host.terminate();
    host.end().await;
    let again = HostProcess::start(weft(), &folder).await;
    again.until_line(LIST_REVIEWS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn descriptors_that_operators_give_show_names_to_check_and_host() {
    let upstream = knows_all().await;
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("demo.binpb");
    std::fs::write(&file, DESCRIPTORS).unwrap();
    let services = ["catalog.v1.Films", "people.v1.Peple"];
    let lines = format!("descriptors = {file:?}\n{}", public("catalog.v1.Films/GteFilm"));
    let folder = Setup::new().backend("fake", &services, upstream.address(), &lines).write();
    let peple = "no proto has the service `people.v1.Peple`; did you mean `people.v1.People`?";
    let told = checked(&folder).await;
    assert!(told.contains(GET_FILM) && told.contains(peple), "{told}");
    let host = HostProcess::start(weft(), &folder).await;
    host.until_line(GET_FILM).await;
    host.until_line(peple).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_backends_tell_of_themselves_shows_names_to_check_and_host() {
    let demo = Demo::generated(10, 20, 10).await;
    let learning = |toml: String| {
        let toml = toml.replace("\nservices = ", "\ndescriptors = \"reflection\"\nservices = ");
        toml.replace("\"people.v1.People\"", "\"people.v1.Peple\"").replace("\"people.v1.People/", "\"people.v1.Peple/")
    };
    let folder = demo.setup().edit(learning).write();
    let peple = "no proto has the service `people.v1.Peple`; did you mean `people.v1.People`?";
    let told = checked(&folder).await;
    assert!(told.contains(peple), "{told}");
    let host = HostProcess::start(weft(), &folder).await;
    host.until_line(peple).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_artifact_that_needs_a_service_is_refused_with_the_name_that_may_be_meant() {
    let services = ["catalog.v1.Films", "people.v1.Peple", "reviews.v1.Reviews", "recommend.v1.Recommend"];
    let folder = Setup::new().backend("fake", &services, "127.0.0.1:1", "").plugin("probe.wasm", &probe()).write();
    let host = HostProcess::start(weft(), &folder).await;
    let line = host.until_line("no backend serves `people.v1.People`").await;
    assert!(line.contains("weft.toml:") && line.contains("has `people.v1.Peple`: was this one meant?"), "{line}");
}
