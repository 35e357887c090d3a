//! Responses that are kept for others can be neither delayed nor coloured by whoever happens to ask first.

use crate::support::{hold_people, knows_all, probe};
use bytes::Bytes;
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use weft_tests::{
    artifacts::with_manifest,
    host::TestHost,
    raw::abandon,
    setup::Setup,
    tokens::Token,
    upstream::{FakeUpstream, Gate},
    wait::until,
    web::Reply,
};

/// The probe, with this rule for what is kept of an endpoint's responses.
fn keeping(endpoint: &str, scope: &str) -> Bytes {
    with_manifest(&probe(), |manifest| {
        let policy = manifest["endpoint"][&format!("GET {endpoint}")].as_table_mut().unwrap();
        let vary = r#"["accept-language", "x-md-global-subject", "x-weft-degraded", "x-real-ip", "accept"]"#;
        let rule = format!(
            "cache = {{ ttl = \"10m\", scope = {scope:?}, vary = {vary} }}\ntimeout = \"60s\"\nauth = \"optional\""
        );
        policy.extend(rule.parse::<toml::Table>().unwrap());
    })
}

fn setup(upstream: &FakeUpstream, artifact: &Bytes) -> Setup {
    let setup = Setup::new().identity("").one_backend(upstream.address(), "timeout = \"30s\"");
    setup.plugin("probe.wasm", artifact)
}

async fn host(upstream: &FakeUpstream, artifact: &Bytes) -> TestHost {
    setup(upstream, artifact).start().await
}

fn origin(reply: &Reply) -> &str {
    reply.header("cache-status").unwrap_or("alone")
}

const MADE: &str = "weft; fwd=uri-miss";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_makes_a_tenants_response_finds_nothing_of_another_tenant() {
    let upstream = knows_all().await;
    let host = host(&upstream, &keeping("/first/{key}", "tenant")).await;
    let ask = async |subject: &str, tenant: &str, path: &str| {
        let caller = Token::of(subject).claim("tenant", tenant).sign();
        let reply = host.get(path).bearer(&caller).send().await.ok();
        (reply.text(), origin(&reply).to_owned())
    };
    for scope in ["principal", "tenant"] {
        for tenant in ["one", "two"] {
            let path = format!("/first/{scope}?scope={scope}&value={tenant}");
            assert_eq!(ask("ann", tenant, &path).await, (tenant.to_owned(), MADE.to_owned()), "{scope}");
        }
    }
    // Of the tenant it may keep something; of nobody in particular nothing.
    assert_eq!(ask("bob", "one", "/first/tenant?scope=tenant&value=again").await.0, "one");
    assert_eq!(ask("bob", "one", "/first/principal?scope=principal&value=again").await.0, "again");
    for name in ["1", "2"] {
        let path = format!("/first/nobody?scope=tenant&value={name}");
        assert_eq!(ask("ann", "", &path).await, (name.to_owned(), "alone".to_owned()), "an empty tenant is none");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_in_the_key_is_not_given_to_the_guest() {
    let upstream = knows_all().await;
    let host = host(&upstream, &keeping("/echo/{name}", "public")).await;
    let twisted = host.get("/echo/%61%2f?y=2&x=1&y=1").header("accept-language", "en").body("{\"evil\":1}");
    let twisted = twisted.header("content-type", "application/json; evil=1").header("x-request-id", "evil");
    let twisted = twisted
        .header("accept", "application/json, evil/*;q=0.1")
        .header("x-forwarded-for", "6.6.6.6")
        .send()
        .await
        .ok();
    assert_eq!(origin(&twisted), MADE);
    let expected = json!({
        "endpoint": "GET /echo/{name}", "client": "test", "path": "/echo/a%2F", "params": [["name", "a/"]],
        "query": [["x", "1"], ["y", "2"], ["y", "1"]], "headers": [["accept-language", "en"]], "body": "", "request_id": "",
        "subject": null,
    });
    assert_eq!(twisted.json(), expected);
    assert_eq!(twisted.header("x-request-id"), Some("evil"), "the answer is to this request all the same");
    let plain = host.get("/echo/a%2F?x=1&y=2&y=1").header("accept-language", "en").send().await.ok();
    assert!(origin(&plain).starts_with("weft; hit"), "{plain:?}");
    assert_eq!(plain.body, twisted.body);
    // A body that the endpoint doesn't take is the fault of this request alone, whatever is there already.
    let refused = host.get("/echo/a%2F?x=1&y=2&y=1").header("content-type", "text/plain").body("evil").send().await;
    refused.problem(415);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_finish_a_request_keeps_nobody_waiting_for_a_kept_response() {
    let upstream = knows_all().await;
    let host = host(&upstream, &keeping("/people", "public")).await;
    let mut unfinished = Vec::new();
    for number in 1..=3 {
        let mut stream = TcpStream::connect(host.address()).await.unwrap();
        let head = format!(
            "GET /people?ids={number} HTTP/1.1\r\nhost: test\r\naccept: */*\r\ncontent-length: 10\r\n\r\n12345"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        unfinished.push(stream);
        let begun = async || (host.metrics().await.sum("weft_requests_active", &[]) >= f64::from(number)).then_some(());
        until("it to have begun", begun).await;
    }
    for number in 1..=3 {
        let made = host.get(&format!("/people?ids={number}")).send().await.ok();
        assert_eq!((origin(&made), made.json()), (MADE, json!([format!("Person {number}")])));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_on_for_others_when_its_caller_has_left_keeps_its_place() {
    let (gate, upstream) = (Gate::new(), knows_all().await);
    hold_people(&upstream, &gate, 7);
    // Places for twenty requests, of which those of this priority may have twelve; turns for ten.
    let plugin = with_manifest(&keeping("/people", "public"), |manifest| {
        let policy = manifest["endpoint"]["GET /people"].as_table_mut().unwrap();
        policy.insert("priority".to_owned(), "sheddable".into());
    });
    let setup = setup(&upstream, &plugin);
    let host = setup.limits("requests = 10\nplugin-share = \"100%\"\nqueue = \"10s\"").start().await;
    let active = async || host.metrics().await.sum("weft_requests_active", &[]);
    for number in 0..12 {
        let request = format!("GET /people?ids={number} HTTP/1.1\r\nhost: test\r\n\r\n");
        let begun = async || (active().await >= 1.0).then_some(());
        abandon(host.address(), request.as_bytes(), until("it to have begun", begun)).await;
        until("it to have gone", async || (active().await == 0.0).then_some(())).await;
    }
    let refused = host.get("/people?ids=12").send().await.problem(503);
    assert_eq!(refused["type"], "urn:weft:problem:overloaded");
    gate.open();
    let served = async || (host.get("/people?ids=12").send().await.status == 200).then_some(());
    until("their places to be free", served).await;
}
