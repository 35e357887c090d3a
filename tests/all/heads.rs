//! A HEAD is told what its GET would be, whatever kind of answer that is, and answers without a body have none of a body's headers.

use crate::support::{knows_all, probe, weft};
use http::HeaderMap;
use weft_tests::{
    artifacts::with_manifest,
    process::HostProcess,
    raw::Connection,
    setup::{Folder, Setup},
    upstream::FakeUpstream,
    web::{Reply, Web},
};

async fn start(upstream: &FakeUpstream) -> (HostProcess, Folder) {
    let probe = with_manifest(&probe(), |manifest| {
        let rule = "cache = { ttl = \"1h\", scope = \"public\" }".parse::<toml::Table>().unwrap();
        manifest["endpoint"]["GET /films"].as_table_mut().unwrap().extend(rule);
    });
    let folder = Setup::new().one_backend(upstream.address(), "").plugin("probe.wasm", &probe).write();
    (HostProcess::start(weft(), &folder).await, folder)
}

/// All but what is another one for each request.
fn lasting(reply: &Reply) -> HeaderMap {
    let mut headers = reply.headers.clone();
    for name in ["date", "x-request-id", "traceparent", "server-timing", "age", "cache-status"] {
        headers.remove(name);
    }
    headers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_is_told_what_its_get_is() {
    let upstream = knows_all().await;
    let (process, _folder) = start(&upstream).await;
    let codings = ["", "gzip", "br", "zstd", "identity", "gzip;q=0, *", "identity;q=0, gzip", "*;q=0"];
    let paths = [
        "/big?bytes=200000",
        "/big?bytes=1023",
        "/version",
        "/films/7",
        "/films?ids=1",
        "/log?lines=0&text=a",
        "/problem",
        "/nothing",
        "/headers",
    ];
    for web in [Web::new(process.http), Web::h2c(process.http)] {
        for (path, coding) in paths.iter().flat_map(|path| codings.iter().map(move |coding| (path, coding))) {
            let ask = async |method: &str, tag: Option<&str>| {
                // Problems name the request and its trace, and are packed with these.
                let mut request = web.request(method, path).header("x-request-id", "same");
                request = request.header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
                if !coding.is_empty() {
                    request = request.header("accept-encoding", coding);
                }
                request = tag.into_iter().fold(request, |request, tag| request.header("if-none-match", tag));
                request.send().await
            };
            let (get, head) = (ask("GET", None).await, ask("HEAD", None).await);
            assert_eq!((head.status, lasting(&head)), (get.status, lasting(&get)), "{path} as {coding:?}");
            assert!(head.body.is_empty());
            if let Some(length) = get.header("content-length") {
                assert_eq!(length, get.body.len().to_string(), "{path} as {coding:?}");
            }
            let Some(tag) = get.header("etag").filter(|_| get.status == 200) else { continue };
            let (same, same_head) = (ask("GET", Some(tag)).await, ask("HEAD", Some(tag)).await);
            assert_eq!((same.status, same_head.status), (304, 304), "{path} as {coding:?}");
            assert_eq!(lasting(&same_head), lasting(&same), "{path} as {coding:?}");
            assert_eq!(
                same.headers.get_all("vary").iter().collect::<Vec<_>>(),
                get.headers.get_all("vary").iter().collect::<Vec<_>>()
            );
            for name in ["content-length", "content-type", "content-encoding"] {
                assert_eq!(same.header(name), None, "{name} of a 304 of {path}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_no_body_says_nothing_of_one() {
    let upstream = knows_all().await;
    let (process, _folder) = start(&upstream).await;
    let mut connection = Connection::open(process.http).await;
    let (mut seen, path) = (0, "/log?lines=0&text=a");
    for method in ["GET", "HEAD"] {
        for coding in ["gzip", "identity;q=0, gzip"] {
            let request = format!("{method} {path} HTTP/1.1\r\nhost: test\r\naccept-encoding: {coding}\r\n\r\n");
            connection.send(request.as_bytes()).await;
            let head = connection.next_head().await;
            assert_eq!(head.status, 204, "{head:?}");
            for name in ["content-length", "content-type", "content-encoding", "transfer-encoding"] {
                assert_eq!(head.header(name), None, "{name} of {method}: {head:?}");
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 4, "the next answer begins where the one before ends");
}
