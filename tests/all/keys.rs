//! Keys by URL: a new one is known at once, one that is gone is gone, and an issuer that is away, slow or talks nonsense stops
//! nobody whose key is known.

use crate::support::{knows_all, probe};
use futures_util::{StreamExt, future::join_all, stream};
use tokio::net::TcpListener;
use weft_tests::{
    host::TestHost,
    setup::Setup,
    site::{Page, Site},
    tokens::{AUDIENCE, ISSUER, Signer, Token, jwks},
    wait::until,
    web::Reply,
};

fn keys(signers: &[&Signer]) -> Page {
    Page::json(jwks(signers))
}

async fn host(identity: &str) -> TestHost {
    let identity = format!("[identity]\naudience = [\"{AUDIENCE}\"]\nalgorithms = [\"EdDSA\"]\n{identity}");
    let setup = Setup::new().limits("requests = 8\nidle = 2").identity_tables(&identity);
    setup.one_backend(knows_all().await.address(), "").plugin("probe.wasm", &probe()).start().await
}

async fn host_of(url: &str) -> TestHost {
    // All from one address, and some in great numbers.
    host(&format!("issuers = [\"{ISSUER}\"]\njwks = \"{url}\"\nfailure-rate = \"1000000/m\"\n")).await
}

/// Each with a token of its own, so that nothing is remembered of it.
async fn ask(host: &TestHost, subject: &str, signer: &Signer) -> Reply {
    host.get("/maybe").bearer(&Token::of(subject).by(signer).sign()).send().await
}

/// What the admin interface says of the first issuer's keys.
async fn failure(host: &TestHost) -> Option<String> {
    let state = host.admin("/v1/identity").send().await.ok().json();
    state["keys"][0]["failure"].as_str().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_is_known_at_once_and_one_that_is_gone_is_gone() {
    let (old, new) = (Signer::new("old", 1), Signer::new("new", 2));
    let issuer = Site::start().await;
    issuer.has("/jwks", keys(&[&old]));
    let host = host_of(&issuer.url("/jwks")).await;
    assert_eq!(ask(&host, "ann", &old).await.ok().text(), "ann");
    issuer.has("/jwks", keys(&[&new]));
    let asking = (0..20).map(|n| ask(&host, if n % 2 == 0 { "ann" } else { "bob" }, &new));
    for reply in join_all(asking).await {
        reply.ok();
    }
    assert_eq!(ask(&host, "cid", &old).await.problem(401)["detail"], "the token is signed with an unknown key");
    assert_eq!(issuer.count(), 2, "one fetch for all who asked for the new key");
    let state = host.admin("/v1/identity").send().await.ok().json();
    assert_eq!((&state["keys"][0]["keys"][0], &state["keys"][0]["failure"]), (&"new".into(), &().into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_issuer_is_away_known_keys_count_and_of_others_nobody_knows() {
    let (known, other) = (Signer::new("known", 1), Signer::new("other", 2));
    let issuer = Site::start().await;
    issuer.has("/jwks", keys(&[&known]));
    let host = host_of(&issuer.url("/jwks")).await;
    let address = issuer.stop().await;
    assert_eq!(ask(&host, "ann", &known).await.ok().text(), "ann");
    let unsure = ask(&host, "bob", &other).await;
    assert_eq!(unsure.problem(503)["type"], "urn:weft:problem:keys-unavailable");
    assert!(unsure.header("retry-after").is_some() && unsure.header("www-authenticate").is_none(), "{unsure:?}");
    assert_eq!(ask(&host, "cid", &known).await.ok().text(), "cid");
    assert!(failure(&host).await.is_some());
    assert!(host.metrics().await.sum("weft_jwks_fetches_total", &[("result", "failed")]) >= 1.0);

    let issuer = Site::start_at(address).await;
    issuer.has("/jwks", keys(&[&known, &other]));
    until("the new key to be known", async || Some(ask(&host, "bob", &other).await).filter(|r| r.status == 200)).await;
    assert_eq!(failure(&host).await, None);
}

/// Keys that are there stay there through a reload, with their age; a reload that would be without them is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_while_the_issuer_is_away_locks_nobody_out() {
    let known = Signer::new("known", 1);
    let issuer = Site::start().await;
    issuer.has("/jwks", keys(&[&known]));
    let url = issuer.url("/jwks");
    let host = host_of(&url).await;
    ask(&host, "ann", &known).await.ok();
    issuer.stop().await;

    // Nothing of it, something else, and its own part: each time the keys are those that were there.
    for (from, to) in [("", ""), ("name = \"test\"", "name = \"test\"\nrate = \"9999/s\""), ("1000000/m", "1000001/m")]
    {
        host.folder.change(|text| text.replace(from, to));
        host.reload().await.unwrap();
        ask(&host, &format!("bob{to}"), &known).await.ok();
    }
    let elsewhere = url.replace("/jwks", "/elsewhere");
    host.folder.change(|text| text.replace(&url, &elsewhere));
    let refused = host.reload().await.unwrap_err();
    assert!(refused.contains("would be locked out") && refused.contains(&elsewhere), "{refused}");
    ask(&host, "cid", &known).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_of_a_source_of_keys_go_with_it() {
    let known = Signer::new("known", 1);
    let issuer = Site::start().await;
    issuer.has("/old", keys(&[&known])).has("/new", keys(&[&known]));
    let host = host_of(&issuer.url("/old")).await;
    ask(&host, "ann", &known).await.ok();
    let sources = async || {
        let scrape = host.metrics().await;
        let of = |name: &str| -> Vec<String> {
            let labels = scrape.find(name, &[]).filter_map(|sample| sample.label("source"));
            labels.map(|url| url.rsplit('/').next().unwrap().to_owned()).collect()
        };
        (of("weft_jwks_fetched_timestamp_seconds"), of("weft_jwks_fetches_total").contains(&"old".to_owned()))
    };
    assert_eq!(sources().await, (vec!["old".to_owned()], true));
    host.folder.change(|text| text.replace("/old\"", "/new\""));
    host.reload().await.unwrap();
    assert_eq!(sources().await, (vec!["new".to_owned()], false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_unknown_keys_hardly_reaches_the_issuer() {
    let known = Signer::new("known", 1);
    let issuer = Site::start().await;
    issuer.has("/jwks", keys(&[&known]));
    let host = host_of(&issuer.url("/jwks")).await;
    let flood = stream::iter(0..1_000).map(|n| {
        let host = &host;
        async move { ask(host, "eve", &Signer::new(&format!("k{n}"), 6)).await }
    });
    let replies: Vec<Reply> = flood.buffer_unordered(4).collect().await;
    assert!(replies.iter().all(|reply| reply.status == 401), "{:?}", replies.iter().find(|r| r.status != 401));
    assert!(issuer.count() <= 4, "{} fetches", issuer.count());
    assert_eq!(ask(&host, "ann", &known).await.ok().text(), "ann");
}

/// Where nobody listens; what a fetch is told to be wrong with the answer.
fn bad_answers() -> Vec<(Page, &'static str)> {
    let signers: Vec<_> = (0..101).map(|n| Signer::new(&format!("k{n}"), n)).collect();
    let many = keys(&signers.iter().collect::<Vec<_>>());
    vec![
        (Page::Silence, "no whole answer within 5s"),
        (Page::Drip, "no whole answer within 5s"),
        (Page::json(vec![b' '; 300 << 10]), "larger than the 262144 bytes"),
        (Page::json("<html>"), "expected a JWKS document"),
        (Page::json("{\"keys\": []}"), "no key in it can verify a signature"),
        (Page::json("{\"keys\": [{\"kty\": \"oct\", \"k\": \"AAAA\"}]}"), "no key in it can verify a signature"),
        (many, "101 keys are too many"),
        (Page::status(500, "{}"), "answered HTTP 500"),
        (Page::status(302, "").header("location", "/elsewhere"), "answered HTTP 302"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_keys_a_host_serves_what_needs_none_and_recovers_from_every_bad_answer() {
    let signer = Signer::new("k1", 1);
    let cases = bad_answers().into_iter().map(|(page, reason)| {
        let signer = &signer;
        async move {
            let issuer = Site::start().await;
            issuer.has("/jwks", page).has("/elsewhere", keys(&[signer]));
            let host = host_of(&issuer.url("/jwks")).await;
            let told = failure(&host).await.unwrap_or_default();
            assert!(told.contains(reason), "{told:?} does not say {reason:?}");
            let unsure = ask(&host, "ann", signer).await;
            assert_eq!(unsure.problem(503)["type"], "urn:weft:problem:keys-unavailable", "{reason}");
            assert!(unsure.header("retry-after").is_some(), "{reason}");
            assert_eq!(host.get("/maybe").send().await.ok().text(), "nobody");
            host.get("/me").send().await.problem(401);
            issuer.has("/jwks", keys(&[signer]));
            until("keys", async || Some(ask(&host, "ann", signer).await).filter(|reply| reply.status == 200)).await;
            assert!(issuer.asked().iter().all(|asked| asked.path == "/jwks"), "redirects are not followed");
        }
    });
    join_all(cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_waits_for_its_issuer_a_moment_before_it_is_ready() {
    let signer = Signer::new("k1", 1);
    let hangs_up = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = hangs_up.local_addr().unwrap();
    let late = async {
        // The first fetch fails.
        drop(hangs_up.accept().await.unwrap());
        drop(hangs_up);
        let issuer = Site::start_at(address).await;
        issuer.has("/jwks", keys(&[&signer]));
        issuer
    };
    let url = format!("http://{address}/jwks");
    let (host, _issuer) = tokio::join!(host_of(&url), late);
    assert_eq!(ask(&host, "ann", &signer).await.ok().text(), "ann");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_issuers_key_says_nothing_for_another_issuer() {
    // Both call their key the same.
    let (one, other) = (Signer::new("k1", 1), Signer::new("k1", 2));
    let site = Site::start().await;
    site.has("/one", keys(&[&one])).has("/other", keys(&[&other]));
    let table = |name: &str, audience: &str| {
        format!(
            "[[identity.issuer]]\nissuer = \"https://{name}.test\"\njwks = \"{}\"\n{audience}\n",
            site.url(&format!("/{name}"))
        )
    };
    let host = host(&format!("{}{}", table("one", ""), table("other", "audience = [\"b2b\"]"))).await;
    let ask = async |issuer: &str, audience: &str, signer: &Signer| {
        let token = Token::of("ann").claim("iss", issuer).claim("aud", audience).by(signer).sign();
        let reply = host.get("/maybe").bearer(&token).send().await;
        if reply.status == 200 { "ok".to_owned() } else { reply.problem(401)["detail"].as_str().unwrap().to_owned() }
    };
    assert_eq!(ask("https://one.test", AUDIENCE, &one).await, "ok");
    assert_eq!(ask("https://other.test", "b2b", &other).await, "ok");
    assert_eq!(ask("https://one.test", AUDIENCE, &other).await, "the token has a wrong signature");
    assert_eq!(ask("https://other.test", "b2b", &one).await, "the token has a wrong signature");
    assert_eq!(ask("https://other.test", AUDIENCE, &other).await, "the token is for another audience");
    assert_eq!(ask(ISSUER, AUDIENCE, &one).await, "the token is from another issuer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_keys_is_read_again_when_it_has_changed_and_only_if_it_is_good() {
    let (old, new) = (Signer::new("old", 1), Signer::new("new", 2));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, jwks(&[&old])).unwrap();
    let host = host_of(file.to_str().unwrap()).await;
    assert_eq!(ask(&host, "ann", &old).await.ok().text(), "ann");
    std::fs::write(&file, "{\"keys\": [").unwrap();
    until("the bad file to be noticed", async || failure(&host).await).await;
    assert_eq!(ask(&host, "bob", &old).await.ok().text(), "bob");
    std::fs::write(folder.path().join("next"), jwks(&[&new])).unwrap();
    std::fs::rename(folder.path().join("next"), &file).unwrap();
    until("the new key", async || Some(ask(&host, "ann", &new).await).filter(|reply| reply.status == 200)).await;
    ask(&host, "cid", &old).await.problem(401);
    assert_eq!(failure(&host).await, None);
}
