//! REST backends under the same calls: the plugin doesn't know.

use crate::{
    fan::{fan, film as shown},
    support::{FOR_USER, GET_FILM, RATE_FILM},
};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};
use weft_tests::{
    collector::Collector,
    frames::BlackHole,
    host::TestHost,
    setup::Setup,
    site::{Asked, Page, Site},
    tokens::token,
    upstream::FakeUpstream,
};

const PATHS: [(&str, &str); 4] = [
    (GET_FILM, "http = \"GET /v1/films/{id}\"\nscope = \"public\""),
    ("catalog.v1.Films/BatchGetFilms", "http = \"GET /v1/films?ids={ids}\"\nresponse-body = \"films\""),
    (RATE_FILM, "http = \"POST /v1/films/{film_id}/ratings\"\ninvalidates = [\"film:{film_id}\"]"),
    (FOR_USER, "http = \"GET /v1/recommended\"\nresponse-body = \"films\""),
];

/// A host with one REST backend for all but the feed; `films` are more lines for films.
async fn host(address: SocketAddr, lines: &str, films: &str) -> TestHost {
    let methods = PATHS.map(|(method, rules)| {
        let more = if method == GET_FILM { films } else { "" };
        format!("[backend.rest.method.\"{method}\"]\n{rules}\n{more}\n")
    });
    let services = ["catalog.v1.Films", "reviews.v1.Reviews", "recommend.v1.Recommend"];
    let rest = format!(
        "[backend.rest]\nprotocol = \"rest\"\nservices = {services:?}\nendpoints = \"static://{address}\"\n{lines}\n{}",
        methods.concat()
    );
    let setup = Setup::new().identity("subject = \"x-md-global-subject\"\ntoken = true");
    let setup = setup.backend("feed", &["feed.v1.Feed"], FakeUpstream::nowhere().await, "").more(&rest);
    setup.plugin("fan.wasm", &fan()).start().await
}

fn a_film(id: u32) -> Value {
    json!({ "id": id, "title": format!("Film {id}"), "posterUrl": "", "unheard": { "of": [1] } })
}

/// A server that answers everything so.
async fn site(script: impl Fn(&Asked) -> Page + Send + Sync + 'static) -> Site {
    let site = Site::start().await;
    site.otherwise(script);
    site
}

/// Films, ratings and recommendations in JSON.
fn library(asked: &Asked) -> Page {
    match asked.target.split(['?', '/']).collect::<Vec<_>>().as_slice() {
        ["GET ", "v1", "films", ids] if ids.starts_with("ids=") => {
            let ids = ids[4..].split("%2C").filter_map(|id| id.parse().ok());
            Page::json(Value::from_iter(ids.map(a_film)).to_string())
        }
        ["GET ", "v1", "films", id] => Page::json(a_film(id.parse().unwrap()).to_string()),
        ["POST ", "v1", "films", _, "ratings"] => Page::json(json!({ "yourRatings": 3 }).to_string()),
        ["GET ", "v1", "recommended", ..] => Page::json(json!([{ "filmId": 7, "reason": "good" }]).to_string()),
        _ => Page::status(404, "no such path"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_become_paths_queries_and_bodies_and_json_becomes_messages() {
    let rest = site(library).await;
    let host = host(rest.address(), "", "").await;
    assert_eq!(shown(&host, "/film/7").await, ("Film 7".to_owned(), "Upstream".to_owned()));
    assert_eq!(host.post("/film/7/rating").bearer(&token("ann")).send().await.ok().json(), 3);
    assert_eq!(host.get("/recommended").bearer(&token("ann")).send().await.ok().json(), json!(["7 good"]));
    let targets = ["GET /v1/films/7", "POST /v1/films/7/ratings", "GET /v1/recommended?limit=5"];
    assert_eq!(rest.targets(), targets);
    let [film, rating, _] = rest.asked().try_into().unwrap();
    assert_eq!((film.header("accept"), film.body.len()), (Some("application/json"), 0));
    assert_eq!((rating.header("content-type"), rating.json()["stars"].clone()), (Some("application/json"), 4.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hosts_own_credential_goes_where_no_callers_goes() {
    let rest = site(library).await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("key");
    std::fs::write(&secret, "s3cret\n").unwrap();
    let credential = format!("credential = {{ prefix = \"Bearer \", secret = \"file:{}\" }}", secret.display());
    let host = host(rest.address(), &credential, "").await;
    let ann = token("ann");
    host.get("/film/7").bearer(&ann).send().await.ok();
    host.get("/recommended").bearer(&ann).send().await.ok();
    let told: Vec<_> = rest.asked().iter().map(|asked| asked.header("authorization").unwrap().to_owned()).collect();
    assert_eq!(told, ["Bearer s3cret".to_owned(), format!("Bearer {ann}")], "films are public, recommendations ann's");
    assert_eq!(rest.asked()[0].header("x-md-global-subject"), None);
    assert_eq!(rest.asked()[1].header("x-md-global-subject"), Some("ann"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_http_status_is_the_code_that_it_means() {
    let once = "timeout = \"400ms\"\nretry = { attempts = 1 }\nbreaker = { k = 0 }\nmax-reply = \"1KiB\"";
    let text = |text: &str| Page::status(200, text.to_owned());
    for (told, code, status) in [
        (Page::status(400, "which film?"), "INVALID_ARGUMENT", 400),
        (Page::status(422, "odd film"), "INVALID_ARGUMENT", 400),
        (Page::status(401, "who?"), "UNAUTHENTICATED", 401),
        (Page::status(403, "no"), "PERMISSION_DENIED", 403),
        (Page::status(404, "<html>"), "NOT_FOUND", 404),
        (Page::status(409, "changed"), "ABORTED", 409),
        (Page::status(418, "teapot"), "FAILED_PRECONDITION", 400),
        (Page::status(429, "slow down"), "RESOURCE_EXHAUSTED", 503),
        (Page::status(500, "stack trace"), "INTERNAL", 502),
        (Page::status(501, "what?"), "UNIMPLEMENTED", 502),
        (Page::status(302, "elsewhere"), "UNKNOWN", 502),
        (Page::status(503, "busy"), "UNAVAILABLE", 503),
        (Page::status(504, "late"), "DEADLINE_EXCEEDED", 504),
        (Page::Silence, "DEADLINE_EXCEEDED", 504),
        (Page::Drip, "DEADLINE_EXCEEDED", 504),
        (text("<html>hello</html>"), "INTERNAL", 502),
        (text("{\"id\": \"seven\"}"), "INTERNAL", 502),
        (text("{\"id\": 7"), "INTERNAL", 502),
        (text(&format!("{{\"title\": \"{}\"}}", "x".repeat(2000))), "RESOURCE_EXHAUSTED", 503),
    ] {
        let what = format!("{told:?}");
        let rest = site(move |_| told.clone()).await;
        let host = host(rest.address(), once, "").await;
        assert_eq!(host.get("/film/7").send().await.problem(status)["code"], code, "{what}");
        assert_eq!(rest.asked().len(), 1, "{what}");
    }
    let hole = BlackHole::open().await;
    let impatient = format!("{once}\nconnect-timeout = \"100ms\"");
    for (address, lines) in [(FakeUpstream::nowhere().await, once), (hole.address(), &impatient)] {
        let host = host(address, lines, "").await;
        assert_eq!(host.get("/film/7").send().await.problem(503)["code"], "UNAVAILABLE");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_safe_is_tried_again_and_not_before_its_time() {
    for (first, path, status, requests) in [
        (Page::status(503, "busy"), "GET /film/7", 200, 2),
        (Page::status(503, "").header("retry-after", "0"), "GET /film/7", 200, 2),
        (Page::status(503, "").header("retry-after", "3600"), "GET /film/7", 503, 1),
        (Page::status(500, "bug"), "GET /film/7", 502, 1),
        (Page::status(503, "busy"), "POST /film/7/rating", 503, 1),
    ] {
        let tried = std::sync::atomic::AtomicBool::new(false);
        let script = move |asked: &Asked| {
            let again = tried.swap(true, SeqCst);
            if again { library(asked) } else { first.clone() }
        };
        let rest = site(script).await;
        let host = host(rest.address(), "timeout = \"30s\"", "").await;
        let (method, target) = path.split_once(' ').unwrap();
        let got = host.web().request(method, target).bearer(&token("ann")).send().await.status;
        assert_eq!((got, rest.asked().len()), (status, requests), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_are_listed_in_one_request_and_cached_each_on_its_own() {
    let rest = site(library).await;
    let rules = r#"batch = { via = "BatchGetFilms", key = "id", keys = "ids", items = "films", item-key = "id" }
cache = { ttl = "10m", negative-ttl = "10m", tags = ["film:{id}"] }"#;
    let host = host(rest.address(), "", rules).await;
    let films = async |ids: &str| host.get(&format!("/films?ids={ids}")).send().await.ok().json();
    assert_eq!(films("3,1,3,2").await, json!(["Film 3", "Film 1", "Film 3", "Film 2"]));
    assert_eq!(films("1,2,3").await, json!(["Film 1", "Film 2", "Film 3"]));
    assert_eq!(rest.targets(), ["GET /v1/films?ids=3%2C1%2C2"]);
    assert_eq!(shown(&host, "/film/2").await.1, "Cache");
    host.post("/film/2/rating").bearer(&token("ann")).send().await.ok();
    assert_eq!(films("1,2,3").await, json!(["Film 1", "Film 2", "Film 3"]));
    assert_eq!(rest.targets()[1..], ["POST /v1/films/2/ratings", "GET /v1/films/2"], "only what a write has changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_are_spans_of_http_with_nothing_of_the_request() {
    let tries = AtomicUsize::new(0);
    let rest = site(move |asked| match tries.fetch_add(1, SeqCst) {
        0 => Page::status(503, "busy"),
        _ => library(asked),
    });
    let (rest, collector) = (rest.await, Collector::start().await);
    let trace = format!("[telemetry.trace]\nendpoint = \"http://{}\"", collector.address());
    let host = host(rest.address(), "", &trace).await;
    assert_eq!(shown(&host, "/film/7").await.0, "Film 7");
    host.stop().await;
    let spans = collector.trace_of("GET /film/{id}").await;
    let mut attempts: Vec<_> = spans.iter().filter(|span| span.kind == 3).collect();
    attempts.sort_by_key(|attempt| attempt.says("weft.attempt.number"));
    let names: Vec<_> = attempts.iter().map(|attempt| &*attempt.name).collect();
    assert_eq!(names, ["GET /v1/films/{id}"; 2]);
    for (name, said) in [
        ("http.request.method", ["GET", "GET"]),
        ("url.template", ["/v1/films/{id}"; 2]),
        ("http.response.status_code", ["503", "200"]),
        ("http.request.resend_count", ["", "1"]),
        ("error.type", ["503", ""]),
        ("server.address", ["127.0.0.1"; 2]),
        ("url.full", [""; 2]),
        ("rpc.system.name", [""; 2]),
        ("rpc.method", [""; 2]),
        ("rpc.status_code", [""; 2]),
    ] {
        let found: Vec<_> = attempts.iter().map(|attempt| attempt.says(name).unwrap_or("")).collect();
        assert_eq!(found, said, "{name}");
    }
}
