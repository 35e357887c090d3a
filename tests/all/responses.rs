//! Whole responses that are kept: a hit runs no guest, nobody gets what was made for another, and what is less than good is not kept.

use crate::support::{GET_FILM, GET_PERSON, film, knows_all, person, probe};
use bytes::Bytes;
use demo_services::proto::{catalog::v1::GetFilmRequest, people::v1::GetPersonRequest};
use futures_util::future::join_all;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use weft_tests::{
    artifacts::{with_manifest, with_version},
    host::TestHost,
    raw::abandon,
    setup::Setup,
    tokens::{Token, token},
    upstream::{Answer, FakeUpstream, Gate},
    wait::until,
    web::Reply,
};

/// Headers that the probe is shown at `/echo`, and so its responses differ by them.
const VARY: &str = r#"vary = ["accept-language", "x-md-global-subject", "x-weft-degraded", "x-real-ip"]"#;

/// The probe, whose responses are kept as these rules say.
fn keeping(rules: &[(&str, &str)]) -> Bytes {
    with_manifest(&probe(), |manifest| {
        for (endpoint, rule) in rules {
            let policy = manifest["endpoint"][&format!("GET {endpoint}")].as_table_mut().unwrap();
            policy.extend(rule.parse::<toml::Table>().unwrap());
            policy.insert("timeout".to_owned(), "30s".into());
        }
        manifest.insert(
            "fallback".to_owned(),
            toml::from_str::<toml::Value>("\"catalog.v1.Films/GetFilm\" = { value = '{\"title\": \"Some film\"}' }")
                .unwrap(),
        );
    })
}

const PUBLIC: &str = "cache = { ttl = \"10m\", scope = \"public\" }";

/// Nearly everything kept for everybody.
fn public() -> Bytes {
    let echo = format!("auth = \"optional\"\ncache = {{ ttl = \"10m\", scope = \"public\", {VARY} }}");
    keeping(&[
        ("/echo/{name}", &echo),
        ("/people", PUBLIC),
        ("/films/{id}", PUBLIC),
        ("/films", "cache = { ttl = \"1ms\", stale-while-revalidate = \"10m\", scope = \"public\" }"),
        ("/with-header/{name}", PUBLIC),
        ("/problem", PUBLIC),
        ("/big", PUBLIC),
        ("/version", PUBLIC),
        ("/maybe", "auth = \"required\"\ncache = { ttl = \"10m\", scope = \"public\" }"),
    ])
}

async fn host(upstream: &FakeUpstream, artifact: &Bytes) -> TestHost {
    let setup = Setup::new().identity("").plugins("response-headers = [\"set-cookie\"]");
    let setup =
        setup.one_backend(upstream.address(), "timeout = \"30s\"\nretry = { attempts = 1 }\nbreaker = { k = 0.0 }");
    setup.plugin("probe.wasm", artifact).start().await
}

/// Guests that have run.
async fn guests(host: &TestHost) -> f64 {
    host.metrics().await.sum("weft_guest_cpu_seconds_count", &[])
}

/// What `cache-status` says of where the response came from.
fn origin(reply: &Reply) -> &'static str {
    match reply.header("cache-status") {
        Some(status) if status.starts_with("weft; hit; ttl=-") => "stale",
        Some(status) if status.starts_with("weft; hit; ttl=") => "hit",
        Some("weft; fwd=uri-miss") => "made",
        Some("weft; fwd=uri-miss; collapsed") => "collapsed",
        None => "alone",
        Some(_) => "unknown",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hit_runs_no_guest_and_says_that_it_is_one() {
    let upstream = knows_all().await;
    let host = host(&upstream, &public()).await;
    let made = host.get("/people?ids=1,2").send().await.ok();
    assert_eq!((origin(&made), made.header("age"), made.json()), ("made", None, json!(["Person 1", "Person 2"])));
    for _ in 0..5 {
        let hit = host.get("/people?ids=1,2").send().await.ok();
        assert_eq!((origin(&hit), &hit.body), ("hit", &made.body));
        assert!(hit.header("age").unwrap().parse::<u64>().is_ok());
        assert_eq!(hit.header("content-type"), made.header("content-type"));
        assert_ne!(hit.header("x-request-id"), made.header("x-request-id"));
        assert!(!hit.header("server-timing").unwrap().contains("guest"), "{hit:?}");
    }
    let head = host.web().request("HEAD", "/people?ids=1,2").send().await.ok();
    assert_eq!((origin(&head), head.header("content-length")), ("hit", made.header("content-length")));
    let known = host.get("/people?ids=1,2").header("if-none-match", made.header("etag").unwrap()).send().await;
    assert_eq!((known.status, origin(&known)), (304, "hit"));
    assert_eq!((guests(&host).await, upstream.total()), (1.0, 2));
    assert_eq!(host.metrics().await.sum("weft_requests_total", &[("endpoint", "GET /people"), ("status", "200")]), 7.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn for_everybody_means_that_the_guest_knows_of_nobody() {
    let upstream = knows_all().await;
    let host = host(&upstream, &public()).await;
    let ann = host.get("/echo/a").bearer(&token("ann")).send().await.ok();
    assert_eq!((origin(&ann), &ann.json()["subject"]), ("made", &json!(null)), "although she said who she is");
    assert_eq!(origin(&host.get("/echo/a").send().await.ok()), "hit");
    assert_eq!(origin(&host.get("/echo/a").bearer(&token("bob")).send().await.ok()), "hit");
    host.get("/echo/a").bearer("rubbish").send().await.problem(401);
    // Who has to be somebody has to be so for a hit as well.
    let nobody = host.get("/maybe").bearer(&token("ann")).send().await.ok();
    assert_eq!((origin(&nobody), nobody.text().as_str()), ("made", "nobody"));
    host.get("/maybe").send().await.problem(401);
    assert_eq!(origin(&host.get("/maybe").bearer(&token("bob")).send().await.ok()), "hit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_made_for_one_caller_or_tenant_is_for_that_one() {
    let upstream = knows_all().await;
    let tenants = format!("auth = \"optional\"\ncache = {{ ttl = \"10m\", scope = \"tenant\", {VARY} }}");
    let host = host(&upstream, &keeping(&[("/maybe", "cache = { ttl = \"10m\" }"), ("/echo/{name}", &tenants)])).await;
    let ask = async |path: &str, who: &Token| host.get(path).bearer(&who.sign()).send().await.ok();
    let (ann, bob) = (Token::of("ann"), Token::of("bob"));
    for (who, text, from) in [(&ann, "ann", "made"), (&bob, "bob", "made"), (&ann, "ann", "hit"), (&bob, "bob", "hit")]
    {
        let reply = ask("/maybe", who).await;
        assert_eq!((reply.text().as_str(), origin(&reply)), (text, from));
    }
    let reply = ask("/maybe", &ann.clone().claim("plan", "gold")).await;
    assert_eq!(origin(&reply), "made", "with other claims the guest may answer otherwise");
    for _ in 0..2 {
        let reply = host.get("/maybe").send().await.ok();
        assert_eq!((reply.text().as_str(), origin(&reply)), ("nobody", "alone"), "nobody is no caller of one's own");
    }
    let of = |who: &Token, tenant: &str| who.clone().claim("tenant", tenant);
    let one = ask("/echo/a", &of(&ann, "one")).await;
    assert_eq!((origin(&one), &one.json()["subject"]), ("made", &json!("")), "the tenant is known, and no more");
    let same = ask("/echo/a", &of(&bob, "one")).await;
    assert_eq!((origin(&same), &same.body), ("hit", &one.body));
    assert_eq!(origin(&ask("/echo/a", &of(&ann, "two")).await), "made");
    assert_eq!(origin(&ask("/echo/a", &ann).await), "alone", "without a tenant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn path_query_and_declared_headers_tell_responses_apart_and_nothing_else_does() {
    let upstream = knows_all().await;
    let host = host(&upstream, &public()).await;
    for (path, language, from) in [
        ("/echo/a?x=1&y=2", "en", "made"),
        ("/echo/a?y=2&x=1", "en", "hit"),
        ("/echo/a?y=2&&x=1&", "en", "hit"),
        ("/echo/a?x=%31&y=2", "en", "hit"),
        ("/echo/%61?x=1&y=2", "en", "hit"),
        ("/echo/a?x=1&y=2", "de", "made"),
        ("/echo/a?x=1&y=2", "en, de", "made"),
        ("/echo/b?x=1&y=2", "en", "made"),
        ("/echo/a?x=1", "en", "made"),
        ("/echo/a?x=1&y=2&z=", "en", "made"),
        ("/echo/a?x=1%26y=2", "en", "made"),
        ("/echo/a?x=1&x=2", "en", "made"),
        ("/echo/a?x=2&x=1", "en", "made"),
        ("/echo/a", "en", "made"),
    ] {
        let request = host.get(path).header("accept-language", language);
        let reply = request.header("x-whatever", path).header("cookie", path).send().await.ok();
        assert_eq!(origin(&reply), from, "{path} {language}");
        assert_eq!(reply.json()["headers"][0], json!(["accept-language", language]));
    }
    let twice = host.get("/echo/a").header("accept-language", "en").header("accept-language", "de").send().await.ok();
    assert_eq!(origin(&twice), "made", "two lines are not one");
    let post = host.post("/echo/a").send().await.ok();
    assert_eq!(origin(&post), "alone");
    // A client says nothing of what others get.
    let forced = host.get("/echo/a").header("accept-language", "en").header("cache-control", "no-cache").send().await;
    assert_eq!(origin(&forced.ok()), "hit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_ask_at_once_are_answered_by_one_guest_even_when_the_first_goes_away() {
    let gate = Gate::new();
    let upstream = knows_all().await;
    let shut = gate.clone();
    upstream.on(GET_PERSON, move |call| Answer::message(&person(call.decoded::<GetPersonRequest>().id)).held(&shut));
    let host = host(&upstream, &public()).await;
    let first = b"GET /people?ids=7 HTTP/1.1\r\nhost: test\r\n\r\n";
    abandon(host.address(), first, upstream.arrived(GET_PERSON, 1)).await;
    let all = tokio::spawn(join_all((0..20).map(|_| host.get("/people?ids=7").send()).collect::<Vec<_>>()));
    let waiting = async || (host.metrics().await.sum("weft_requests_active", &[]) >= 20.0).then_some(());
    until("all to wait", waiting).await;
    assert_eq!(upstream.total(), 1);
    gate.open();
    for reply in all.await.unwrap() {
        assert_eq!((origin(&reply), reply.ok().json()), ("collapsed", json!(["Person 7"])));
    }
    assert_eq!(upstream.total(), 1);
    assert!(guests(&host).await <= 1.0, "of those who waited none had one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_waited_share_a_failure_too_and_it_is_not_kept() {
    let gate = Gate::new();
    let upstream = FakeUpstream::start().await;
    let shut = gate.clone();
    upstream.on(GET_PERSON, move |_| Answer::fails(13, "broken").held(&shut));
    let host = host(&upstream, &keeping(&[("/people", PUBLIC), ("/trap", PUBLIC)])).await;
    let all = tokio::spawn(join_all((0..5).map(|_| host.get("/people?ids=7").send()).collect::<Vec<_>>()));
    let waiting = async || (host.metrics().await.sum("weft_requests_active", &[]) >= 5.0).then_some(());
    until("all to wait", waiting).await;
    gate.open();
    for reply in all.await.unwrap() {
        assert_eq!(reply.ok().json(), json!(["INTERNAL"]));
    }
    assert_eq!(guests(&host).await, 1.0);
    for traps in 1..=3 {
        host.get("/trap").send().await.problem(502);
        assert_eq!(host.metrics().await.sum("weft_guest_traps_total", &[]), f64::from(traps));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_response_serves_while_one_guest_makes_a_new_one() {
    let (gate, upstream, calls) = (Gate::new(), FakeUpstream::start().await, AtomicUsize::new(0));
    let shut = gate.clone();
    upstream.on(GET_FILM, move |_| match calls.fetch_add(1, SeqCst) {
        0 => Answer::message(&film(0)),
        1 => Answer::message(&film(1)).held(&shut),
        _ => Answer::message(&film(2)),
    });
    let host = host(&upstream, &public()).await;
    let ask = async || host.get("/films?ids=1").send().await.ok();
    assert_eq!((origin(&ask().await), upstream.total()), ("made", 1));
    let stale = async || (origin(&ask().await) == "stale").then_some(());
    until("it to be old", stale).await;
    upstream.arrived(GET_FILM, 2).await;
    for _ in 0..10 {
        let reply = ask().await;
        assert_eq!((origin(&reply), reply.json()), ("stale", json!(["Film 0"])));
        // It was fresh for a millisecond, so it has been old for nearly its whole age.
        let text = reply.header("cache-status").unwrap().split(['=', ';']).nth(3).unwrap();
        let (ttl, age): (i64, i64) = (text.parse().unwrap(), reply.header("age").unwrap().parse().unwrap());
        assert!(ttl < 0 && (age..=age + 1).contains(&-ttl), "{reply:?}");
    }
    assert_eq!(upstream.total(), 2, "one makes it, and for nobody in particular");
    gate.open();
    let renewed = async || (ask().await.json() == json!(["Film 2"])).then_some(());
    until("a new one", renewed).await;
}

/// What the plugin says goes as far as its manifest: ten minutes for everybody at one host, nothing at the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_tightens_what_may_be_kept_and_loosens_nothing() {
    let upstream = knows_all().await;
    let (public, alone) = (host(&upstream, &public()).await, host(&upstream, &keeping(&[])).await);
    for (said, for_all, for_one) in [
        ("public,%20max-age=86400", "public, max-age=600", "private, max-age=86400"),
        ("max-age=1,%20s-maxage=9999", "public, max-age=1, s-maxage=600", "private, max-age=1"),
        ("private", "private", "private"),
        ("no-store", "no-store", "no-store"),
    ] {
        let path = format!("/with-header/cache-control?value={said}");
        for (host, told) in [(&public, for_all), (&alone, for_one)] {
            let reply = host.get(&path).send().await.ok();
            assert_eq!(reply.header("cache-control"), Some(told), "{said}: {reply:?}");
        }
    }
    let far = public.get("/with-header/expires?value=Fri,%2001%20Jan%202100%2000:00:00%20GMT").send().await.ok();
    assert_eq!(far.header("expires"), None);
    let short = "/with-header/cache-control?value=max-age=0";
    assert!(
        origin(&public.get(short).send().await.ok()) != "hit" && origin(&public.get(short).send().await.ok()) != "hit"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_it_since_it_was_changed_is_told_so() {
    let upstream = knows_all().await;
    let host = host(&upstream, &public()).await;
    let dated = "/with-header/last-modified?value=Sun,%2006%20Nov%201994%2008:49:37%20GMT";
    for (since, status) in [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 304),
        ("Sunday, 06-Nov-94 08:49:38 GMT", 304),
        ("Sun Nov  6 08:49:36 1994", 200),
        ("yesterday", 200),
    ] {
        assert_eq!(host.get(dated).header("if-modified-since", since).send().await.status, status, "{since}");
    }
    let tagged = host
        .get(dated)
        .header("if-none-match", "\"other\"")
        .header("if-modified-since", "Mon, 07 Nov 1994 08:49:37 GMT");
    assert_eq!(tagged.send().await.status, 200, "a tag says more than a date");
    let undated = host.get("/echo/a").header("if-modified-since", "Mon, 07 Nov 1994 08:49:37 GMT");
    assert_eq!(undated.send().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_less_than_good_or_not_for_others_is_never_kept() {
    let upstream = knows_all().await;
    upstream.on(GET_FILM, |_| Answer::fails(14, "down"));
    let host = host(&upstream, &public()).await;
    let header = |name: &str, value: &str| format!("/with-header/{name}?value={value}");
    for (path, status, kept) in [
        (header("cache-control", "max-age=60"), 200, true),
        (header("cache-control", "public,%20no-cache"), 200, true),
        (header("vary", "accept"), 200, true),
        (header("x-page", "1"), 200, true),
        (header("cache-control", "no-store"), 200, false),
        (header("cache-control", "max-age=60,%20No-Store"), 200, false),
        (header("cache-control", "private"), 200, false),
        (header("vary", "*"), 200, false),
        (header("set-cookie", "a=1"), 200, false),
        ("/problem".to_owned(), 409, false),
        ("/films/1".to_owned(), 200, false),
        ("/films/x".to_owned(), 400, false),
        ("/big?bytes=300000".to_owned(), 502, false),
    ] {
        let before = guests(&host).await;
        for again in [false, true] {
            let reply = host.get(&path).send().await;
            assert_eq!(reply.status, status, "{path}: {reply:?}");
            assert_eq!(origin(&reply) == "hit", again && kept, "{path}: {reply:?}");
        }
        if status < 500 {
            assert_eq!(guests(&host).await - before, if kept { 1.0 } else { 2.0 }, "{path}");
        }
    }
    let degraded = host.get("/films/1").send().await.ok();
    assert_eq!(
        (degraded.text().as_str(), degraded.header("x-weft-degraded")),
        ("Some film", Some("catalog.v1.Films/GetFilm;how=fallback"))
    );
    upstream.on(GET_FILM, |call| Answer::message(&film(call.decoded::<GetFilmRequest>().id)));
    assert_eq!(host.get("/films/1").send().await.ok().text(), "Film 1", "the first good answer is not missed");
    assert_eq!(origin(&host.get("/films/1").send().await.ok()), "hit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cookies_are_for_the_one_whose_request_they_answer() {
    let upstream = knows_all().await;
    let host = host(&upstream, &public()).await;
    let replies = join_all((0..10).map(|_| host.get("/with-header/set-cookie?value=a=1").send())).await;
    for reply in replies {
        assert_eq!(reply.ok().header("set-cookie"), Some("a=1"));
    }
    assert_eq!(guests(&host).await, 10.0, "each was made for the one who got it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_version_makes_its_own_responses_and_a_rollback_finds_the_old_ones() {
    let upstream = knows_all().await;
    let (one, two) = (public(), with_version(&public(), "2.0.0"));
    let host = host(&upstream, &one).await;
    let version = async || {
        let reply = host.get("/version").send().await.ok();
        (reply.text(), origin(&reply).to_owned())
    };
    assert_eq!([version().await, version().await].map(|(_, from)| from), ["made", "hit"]);
    for (artifact, number, from) in [(&two, "2.0.0", "made"), (&one, "1.0.0", "hit"), (&two, "2.0.0", "hit")] {
        host.folder.install("probe.wasm", artifact);
        host.until_live("probe", number).await;
        assert_eq!(version().await, (number.to_owned(), from.to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_them_together_are_bounded_in_bytes() {
    let setup = Setup::new().limits("requests = 32\nidle = 8\nresponses = \"1MiB\"").one_backend("127.0.0.1:1", "");
    let host = setup.plugin("probe.wasm", &public()).start().await;
    let hits = async || {
        let mut hits = 0;
        for number in 0..20 {
            let reply = host.get(&format!("/big?bytes=200000&number={number}")).send().await.ok();
            hits += usize::from(origin(&reply) == "hit");
        }
        hits
    };
    assert_eq!(hits().await, 0);
    // Of twenty with 200 KB each, five fit. The store tidies up a little later, so some that were made just now are there as well.
    until("the others to give way", async || (hits().await <= 10).then_some(())).await;
    let one = async || (origin(&host.get("/big?bytes=1000").send().await.ok()) == "hit").then_some(());
    until("a small one to be kept", one).await;
}
