//! Every page of the demo as every client sees it: whole bodies, compared with those that the demo keeps.

use crate::support::weft;
use bytes::Bytes;
use demo::Case;
use std::collections::BTreeSet;
use weft_tests::{
    artifacts::{built, with_manifest},
    demo::Demo,
    host::TestHost,
    web::Reply,
};

const PLUGINS: [&str; 3] = ["home-web", "home-ios", "home-tv"];

/// The demo's plugin, which however gives its backends time on a busy machine.
fn page_maker(name: &str) -> Bytes {
    with_manifest(&built(weft(), &format!("plugins/{name}")), |manifest| {
        for (_, endpoint) in manifest["endpoint"].as_table_mut().unwrap() {
            endpoint["timeout"] = "30s".into();
        }
    })
}

async fn host(demo: &Demo) -> TestHost {
    let setup =
        PLUGINS.iter().fold(demo.shown(), |setup, name| setup.plugin(&format!("{name}.wasm"), &page_maker(name)));
    setup.start().await
}

async fn ask(host: &TestHost, case: &Case) -> Reply {
    let request = host.web().request(case.method, case.path);
    let request = case.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    match case.body {
        Some(body) => request.body(body).send().await,
        None => request.send().await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_endpoint_answers_every_client_as_the_demo_shows_it() {
    let demo = Demo::start().await;
    let host = host(&demo).await;
    let mut wrong = Vec::new();
    for case in demo::cases() {
        let reply = ask(&host, &case).await;
        let found = [
            demo::check(&case, reply.status, &reply.body),
            demo::check_headers(&case, |name| reply.header(name)),
            // A page that does without a part looks whole where nothing is compared with it.
            reply.header("x-weft-degraded").map_or(Ok(()), |what| Err(format!("degraded: {what}"))),
        ];
        wrong.extend(found.into_iter().filter_map(Result::err).map(|text| format!("{}: {text}", case.name)));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));

    // What nobody asked for was not compared either.
    let scrape = host.metrics().await;
    let plugins = host.plugins().await;
    let endpoint = |plugin: &serde_json::Value, name: &serde_json::Value| {
        (plugin["client"].as_str().unwrap().to_owned(), name.as_str().unwrap().to_owned())
    };
    let live = plugins["plugins"].as_array().unwrap().iter();
    let declared: BTreeSet<_> = live
        .flat_map(|plugin| plugin["endpoints"].as_array().unwrap().iter().map(|name| endpoint(plugin, name)))
        .collect();
    let asked: BTreeSet<_> = scrape
        .find("weft_requests_total", &[])
        .filter(|sample| sample.label("status").is_some_and(|status| status.starts_with('2')))
        .map(|sample| (sample.label("client").unwrap().to_owned(), sample.label("endpoint").unwrap().to_owned()))
        .collect();
    assert_eq!(asked, declared);
    assert_eq!(declared.len(), 15, "three plugins with five endpoints each");
}
