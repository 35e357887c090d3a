//! Nobody sees what was loaded for somebody else: not from a cache, not by coalescing, not in a batch. And what is shared by all
//! carries nobody's credentials.

use crate::support::{
    BATCH_GET_PEOPLE, FOR_USER, GET_FILM, GET_PERSON, LIST_FILMS, PEOPLE_IN_BATCHES, SUBJECT, film, knows_all, person,
    probe, rule,
};
use demo_services::proto::{
    catalog::v1::ListFilmsResponse,
    people::v1::{BatchGetPeopleRequest, BatchGetPeopleResponse, Person},
    recommend::v1::{ForUserResponse, Recommendation},
};
use serde_json::{Value, json};
use weft_tests::{
    host::TestHost,
    setup::Setup,
    tokens::{Token, token},
    upstream::{Answer, Call, FakeUpstream, Gate},
};

const FORWARD: &str = "subject = \"x-md-global-subject\"\ntenant = \"x-md-global-tenant\"\ntoken = true";

fn who(call: &Call) -> &str {
    call.meta(SUBJECT).unwrap_or("nobody")
}

/// A backend that answers everybody with their own name, once the gate is open.
async fn personal(gate: &Gate) -> FakeUpstream {
    let upstream = knows_all().await;
    let shut = gate.clone();
    upstream.on(FOR_USER, move |call| {
        let films = vec![Recommendation { film_id: 1, reason: format!("for {}", who(call)) }];
        Answer::message(&ForUserResponse { films }).held(&shut)
    });
    let shut = gate.clone();
    upstream.on(BATCH_GET_PEOPLE, move |call| {
        let ids = call.decoded::<BatchGetPeopleRequest>().ids.into_iter();
        let people = ids.map(|id| Person { name: format!("{id} as {} knows", who(call)), ..person(id) });
        Answer::message(&BatchGetPeopleResponse { people: people.collect() }).held(&shut)
    });
    upstream
}

async fn host(upstream: &FakeUpstream, rules: &str) -> TestHost {
    Setup::new().identity(FORWARD).one_backend(upstream.address(), rules).plugin("probe.wasm", &probe()).start().await
}

async fn as_caller(host: &TestHost, path: &str, subject: &str) -> Value {
    host.get(path).bearer(&token(subject)).send().await.ok().json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cached_reply_is_seen_by_its_own_principal_only() {
    let gate = Gate::new();
    gate.open();
    let upstream = personal(&gate).await;
    let host = host(&upstream, &rule(FOR_USER, "cache = { ttl = \"10m\" }")).await;
    for subject in ["ann", "bob", "ann", "bob"] {
        assert_eq!(as_caller(&host, "/for-you", subject).await, json!([format!("1 for {subject}")]));
    }
    assert_eq!(upstream.count(FOR_USER), 2, "one for each, and then from the cache");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_calls_of_two_principals_are_two_upstream_calls() {
    let gate = Gate::new();
    let upstream = personal(&gate).await;
    let host = host(&upstream, &rule(FOR_USER, "timeout = \"30s\"")).await;
    let both = async { tokio::join!(as_caller(&host, "/for-you", "ann"), as_caller(&host, "/for-you", "bob")) };
    let opened = async {
        upstream.arrived(FOR_USER, 2).await;
        gate.open();
    };
    let ((ann, bob), ()) = tokio::join!(both, opened);
    assert_eq!((ann, bob), (json!(["1 for ann"]), json!(["1 for bob"])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_two_principals_never_share_a_batch() {
    let gate = Gate::new();
    let upstream = personal(&gate).await;
    let rules = rule(GET_PERSON, &format!("{PEOPLE_IN_BATCHES}\ntimeout = \"30s\"\ncache = {{ ttl = \"10m\" }}"));
    let host = host(&upstream, &rules).await;
    let both = async {
        tokio::join!(as_caller(&host, "/my-people?ids=1,2", "ann"), as_caller(&host, "/my-people?ids=2,1", "bob"))
    };
    let opened = async {
        upstream.arrived(BATCH_GET_PEOPLE, 2).await;
        gate.open();
    };
    let ((ann, bob), ()) = tokio::join!(both, opened);
    assert_eq!(ann, json!(["1 as ann knows", "2 as ann knows"]));
    assert_eq!(bob, json!(["2 as bob knows", "1 as bob knows"]));
    assert_eq!(as_caller(&host, "/my-people?ids=2,1", "ann").await, json!(["2 as ann knows", "1 as ann knows"]));
    assert_eq!(upstream.total(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_without_identity_share_nothing_but_what_is_public() {
    let gate = Gate::new();
    let upstream = knows_all().await;
    let shut = gate.clone();
    upstream.on(GET_FILM, move |_| Answer::message(&film(1)).held(&shut));
    let host = host(&upstream, &rule(GET_FILM, "timeout = \"30s\"\ncache = { ttl = \"10m\" }")).await;
    let (one, other) = (host.get("/films/1").send(), host.get("/films/1").send());
    let opened = async {
        upstream.arrived(GET_FILM, 2).await;
        gate.open();
    };
    let (one, other, ()) = tokio::join!(one, other, opened);
    assert_eq!((one.ok().text(), other.ok().text()), ("Film 1".to_owned(), "Film 1".to_owned()));
    host.get("/films/1").send().await.ok();
    assert_eq!(upstream.count(GET_FILM), 3, "nor is anything kept for the next one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_backend_is_told_of_the_caller_follows_from_the_scope() {
    let upstream = knows_all().await;
    let title = |call: &Call| format!("for {}", call.meta("x-md-global-tenant").unwrap_or("all"));
    upstream.on(LIST_FILMS, move |call| {
        let films = vec![demo_services::proto::catalog::v1::Film { title: title(call), ..film(1) }];
        Answer::message(&ListFilmsResponse { films, next_page_token: String::new() })
    });
    upstream.on(FOR_USER, |_| Answer::message(&ForUserResponse::default()));
    let rules = [
        rule(GET_FILM, "scope = \"public\""),
        rule(GET_PERSON, &format!("scope = \"public\"\n{PEOPLE_IN_BATCHES}")),
        rule(LIST_FILMS, "cache = { ttl = \"10m\", scope = \"tenant\" }"),
    ];
    let host = host(&upstream, &rules.concat()).await;
    let tokens = [("ann", "acme"), ("bob", "acme"), ("eve", "evil")];
    let tokens = tokens.map(|(subject, tenant)| Token::of(subject).claim("tenant", tenant).sign());
    let mut lists = Vec::new();
    for token in &tokens {
        host.get("/my-people?ids=1,2").bearer(token).send().await.ok();
        host.get("/outcome?film=1&person=1").bearer(token).send().await.ok();
        host.get("/for-you").bearer(token).send().await.ok();
        lists.push(host.get("/list").bearer(token).send().await.ok().json());
    }
    assert_eq!(lists, [json!(["for acme"]), json!(["for acme"]), json!(["for evil"])]);

    let told = |method: &str| -> Vec<Vec<String>> {
        let calls = upstream.calls(method).into_iter();
        calls.map(|call| told_of_the_caller(&call)).collect()
    };
    let nothing: Vec<String> = Vec::new();
    for method in [GET_FILM, GET_PERSON, BATCH_GET_PEOPLE] {
        assert_eq!(told(method), vec![nothing.clone(); 3], "{method} is public");
    }
    assert_eq!(told(LIST_FILMS), [["x-md-global-tenant: acme"], ["x-md-global-tenant: evil"]], "one for each tenant");
    let personal = told(FOR_USER);
    assert_eq!(personal.len(), 3);
    assert_eq!(personal[1][0], format!("authorization: Bearer {}", tokens[1]));
    assert_eq!(personal[1][1..], ["x-md-global-subject: bob", "x-md-global-tenant: acme"]);
}

/// Everything in the metadata that says who calls. Whatever is not known to say nothing of it counts.
fn told_of_the_caller(call: &Call) -> Vec<String> {
    let silent = ["content-type", "grpc-timeout", "te", "traceparent", "user-agent", "x-request-id"];
    let told = call.metadata.iter().filter(|(name, _)| !silent.contains(&name.as_str()));
    let mut told: Vec<_> = told.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    told.sort();
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plugins_own_cache_keeps_scopes_apart() {
    let upstream = knows_all().await;
    let host = host(&upstream, "").await;
    let caller = |subject: &str, tenant: &str| Token::of(subject).claim("tenant", tenant).sign();
    let (ann, bob, eve) = (caller("ann", "acme"), caller("bob", "acme"), caller("eve", "evil"));
    for scope in ["principal", "tenant", "public"] {
        let set = host.web().request("PUT", &format!("/cache/key?scope={scope}&value=of+ann"));
        assert_eq!(set.bearer(&ann).send().await.status, 204);
    }
    let seen = async |token: Option<&String>| {
        let mut seen = Vec::new();
        for scope in ["principal", "tenant", "public"] {
            let request = host.get(&format!("/cache/key?scope={scope}"));
            let request = match token {
                Some(token) => request.bearer(token),
                None => request,
            };
            seen.push(request.send().await.ok().text());
        }
        seen
    };
    assert_eq!(seen(Some(&ann)).await, ["of ann", "of ann", "of ann"]);
    assert_eq!(seen(Some(&bob)).await, ["nothing", "of ann", "of ann"]);
    assert_eq!(seen(Some(&eve)).await, ["nothing", "nothing", "of ann"]);
    assert_eq!(seen(None).await, ["nothing", "nothing", "of ann"]);
    host.web().request("DELETE", "/cache").send().await;
    assert_eq!(seen(Some(&ann)).await, ["nothing"; 3], "a tag is invalidated in every scope");
}
