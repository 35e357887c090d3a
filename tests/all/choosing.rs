//! Members of answers that requests choose by `?fields=`: kept by what is chosen, cut by the host, and refused where there is no such member.

use crate::support::{knows_all, probe, weft};
use serde_json::{Value, json};
use weft_tests::{
    artifacts::{built, with_manifest},
    demo::Demo,
    host::TestHost,
    setup::Setup,
    web::Reply,
};

/// The probe, of whose echoes members may be chosen; they are kept for everybody.
async fn host(fields: &str) -> TestHost {
    let artifact = with_manifest(&probe(), |manifest| {
        let policy = manifest["endpoint"]["GET /echo/{name}"].as_table_mut().unwrap();
        let vary = r#"vary = ["accept-language", "x-md-global-subject", "x-weft-degraded", "x-real-ip"]"#;
        let more = format!("fields = {fields}\ncache = {{ ttl = \"10m\", scope = \"public\", {vary} }}");
        policy.extend(more.parse::<toml::Table>().unwrap());
    });
    let upstream = knows_all().await;
    Setup::new().one_backend(upstream.address(), "").plugin("probe.wasm", &artifact).start().await
}

fn is_hit(reply: &Reply) -> bool {
    reply.header("cache-status").is_some_and(|status| status.starts_with("weft; hit"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_chosen_is_kept_whatever_the_order_and_apart_from_the_whole() {
    let host = host("true").await;
    let get = |query: &str| host.get(&format!("/echo/x?{query}")).send();
    let made = get("fields=path,endpoint&q=1").await.ok();
    assert_eq!(made.json(), json!({ "endpoint": "GET /echo/{name}", "path": "/echo/x" }));
    assert!(!is_hit(&made));
    for query in ["q=1&fields=endpoint,path", "fields=path&q=1&fields=endpoint", "fields=path%2C+endpoint%2Cpath&q=1"] {
        let hit = get(query).await.ok();
        assert!(is_hit(&hit), "{query}: {hit:?}");
        assert_eq!((&hit.body, hit.header("etag")), (&made.body, made.header("etag")), "{query}");
    }
    let whole = get("q=1").await.ok();
    assert!(!is_hit(&whole) && whole.json().as_object().unwrap().len() > 5, "{whole:?}");
    assert_ne!(whole.header("etag"), made.header("etag"));
    let other = get("fields=path&q=1").await.ok();
    assert_eq!((is_hit(&other), other.json()), (false, json!({ "path": "/echo/x" })));

    // The tag is that of the part, also where nothing is packed or kept.
    let tag = made.header("etag").unwrap();
    let known = host.get("/echo/x?q=1&fields=endpoint,path").header("if-none-match", tag).send().await;
    assert_eq!(known.status, 304);
    assert_eq!(host.get("/echo/x?q=1").header("if-none-match", tag).send().await.status, 200);
    let head = host.web().request("HEAD", "/echo/x?fields=path,endpoint&q=1").send().await.ok();
    assert_eq!(head.header("content-length"), made.header("content-length"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guest_is_shown_the_plainest_spelling_and_strangers_what_comes_nearest() {
    let host = host("[\"query\", \"path\"]").await;
    let seen = host.get("/echo/x?fields=query&a=b&fields=path,query").send().await.ok();
    assert_eq!(seen.json(), json!({ "path": "/echo/x", "query": [["a", "b"], ["fields", "path,query"]] }));
    for (fields, why) in [
        ("pth", "query `fields`: `pth` can't be chosen; did you mean `path`?"),
        ("endpoint", "query `fields`: `endpoint` can't be chosen; there are `query`, `path`"),
        ("path,,query", "query `fields`: has an empty name: expected names such as `title,cast.actor`"),
        ("", "query `fields`: has an empty name: expected names such as `title,cast.actor`"),
        ("a.b.c.d.e.f.g.h.i", "query `fields`: `a.b.c.d.e.f.g.h.i` has more than 8 names"),
    ] {
        let problem = host.get(&format!("/echo/x?fields={fields}")).send().await.problem(400);
        assert_eq!(
            (&problem["type"], &problem["field"]),
            (&json!("urn:weft:problem:bad-fields"), &json!("query.fields"))
        );
        assert_eq!(problem["detail"], why);
    }
    // Where nobody may choose it is a parameter as any other.
    let post = host.post("/echo/x?fields=nonsense").header("content-type", "text/plain").body("x").send().await.ok();
    assert_eq!(post.json()["query"], json!([["fields", "nonsense"]]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_the_demo_calls_for_what_is_chosen_only() {
    let demo = Demo::start().await;
    let host = demo.shown().plugin("web.wasm", &built(weft(), "plugins/home-web")).start().await;
    let calls = |reply: &Reply| {
        let timing = reply.header("server-timing").unwrap_or_default().to_owned();
        timing.split("desc=\"").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<u32>().ok()).unwrap()
    };
    let title = host.get("/web/films/1?fields=title").send().await.ok();
    assert_eq!((title.json(), calls(&title)), (json!({ "title": "The Godfather" }), 1));
    let named = host.get("/web/films/1?fields=directors.name,year").send().await.ok();
    assert_eq!(named.json(), json!({ "year": 1972, "directors": [{ "name": "Francis Ford Coppola" }] }));
    // What the page for frontends says.
    let page = std::fs::read_to_string(weft_tests::repository().join("docs/frontends/calling.md")).unwrap();
    let (_, rest) = page.split_once("curl 'http://127.0.0.1:8080").unwrap();
    let mut lines = rest.lines();
    let told = host.get(lines.next().unwrap().trim_end_matches('\'')).send().await.ok();
    assert_eq!(told.text(), lines.next().unwrap());
    let whole = host.get("/web/films/1").send().await.ok();
    assert!(calls(&whole) > 10, "{whole:?}");
    assert!(whole.json()["reviews"].as_array().is_some_and(|reviews: &Vec<Value>| !reviews.is_empty()));
    let unknown = host.get("/web/films/1?fields=directors.nme").send().await.problem(400);
    assert_eq!(unknown["detail"], "query `fields`: `directors.nme` can't be chosen; did you mean `directors.name`?");
}
