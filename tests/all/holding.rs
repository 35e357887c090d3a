//! What the host holds for clients, request bodies that do not end and answers that nobody reads, is bounded for each of them and in all,
//! and keeps nobody else away: neither directly, nor among the callers of a gateway.

use crate::support::{probe, weft};
use futures_util::{StreamExt, future::join_all, stream};
use http_body_util::BodyExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weft_tests::{
    artifacts::{with_limit, with_manifest},
    gateway::{Gateway, Through},
    metrics::Scrape,
    process::HostProcess,
    raw::{connect_from, narrow},
    setup::{Folder, Setup},
    wait::until,
    web::Web,
};

/// Who is not hostile, behind the gateway.
const OTHERS: std::ops::Range<u16> = 1..1000;
const AT_ONCE: usize = 8;
const HOSTILE: &str = "203.0.113.7";
const GATEWAY: &str = "trusted-peers = [\"127.0.0.1\"]\nstreams = 2000\n";
/// 16 unfinished bodies of one address, and 64 of all.
const BODIES: &str = "max-body = \"16KiB\"\nbody-rate = \"0B\"\nbodies = \"1MiB\"\nbodies-per-ip = \"256KiB\"\nbodies-per-connection = \"256KiB\"\n";
const UNREAD: &str = "unread = \"8MiB\"\nunread-per-ip = \"2MiB\"\nunread-per-connection = \"1MiB\"\n";
const LARGE_UNREAD: &str = "unread = \"24MiB\"\nunread-per-ip = \"16MiB\"\nunread-per-connection = \"8MiB\"\n";

async fn start(http: &str) -> (HostProcess, Folder) {
    let response = if http.contains("unread = \"8MiB\"") { "1MiB" } else { "8MiB" };
    let probe = with_manifest(&with_limit(&probe(), "response", response), |manifest| {
        manifest["limits"].as_table_mut().unwrap().insert("cpu".into(), "1s".into());
        for path in ["POST /echo/{name}", "GET /version", "GET /big"] {
            manifest["endpoint"][path].as_table_mut().unwrap().insert("timeout".into(), "300s".into());
        }
    });
    let limits =
        format!("requests = 32\nidle = 8\nqueue = \"10s\"\nplugin-share = \"100%\"\nresponse = \"{response}\"");
    let setup = Setup::new().http(&format!("{http}timeout = \"300s\"")).limits(&limits);
    let folder = setup.one_backend("127.0.0.1:1", "").plugin("probe.wasm", &probe).write();
    (HostProcess::start(weft(), &folder).await, folder)
}

async fn ended(process: &HostProcess, reason: &str) -> f64 {
    let scrape = Scrape::parse(&Web::admin(process.admin).get("/metrics").send().await.ok().text());
    scrape.sum("weft_requests_cut_total", &[("reason", reason)])
}

async fn all_are_served(requests: impl Iterator<Item = Through>) {
    let answers = stream::iter(requests.map(Through::send)).buffer_unordered(AT_ONCE);
    let statuses: Vec<u16> = answers.map(|answer| answer.status).collect().await;
    assert_eq!(statuses.iter().filter(|status| **status != 200).count(), 0, "{statuses:?}");
}

/// The status line of what comes until the host closes.
async fn status(mut stream: TcpStream) -> String {
    let mut said = String::new();
    // A reset after the answer is as good as an end.
    let _ = stream.read_to_string(&mut said).await;
    said.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_one_of_a_thousand_callers_does_not_finish_keep_nobody_away() {
    let (process, _folder) = start(&format!("{GATEWAY}{BODIES}")).await;
    let gateway = Gateway::open(process.http).await;
    let mut uploads = Vec::new();
    let mut answers = Vec::new();
    for number in 0..200 {
        let (upload, answer) = gateway.at(HOSTILE, number, "POST", "/echo/a").begin();
        upload.send("begun");
        uploads.push(upload);
        answers.push(tokio::spawn(async move { answer.await.map(|answer| answer.status().as_u16()).unwrap_or(0) }));
    }
    // All but its share are refused, or have given way to the later ones.
    let refused = async || (answers.iter().filter(|answer| answer.is_finished()).count() >= 184).then_some(());
    until("those beyond the share to be answered", refused).await;
    let post = |number: u16| {
        let (upload, answer) = gateway.caller(number, "POST", "/echo/a").begin();
        upload.send("whole");
        drop(upload);
        async move { answer.await.unwrap().status().as_u16() }
    };
    let statuses: Vec<u16> = stream::iter(OTHERS.map(post)).buffer_unordered(AT_ONCE).collect().await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    all_are_served(OTHERS.map(|number| gateway.caller(number, "GET", "/version"))).await;
    drop(uploads);
    let statuses: Vec<u16> = join_all(answers).await.into_iter().map(Result::unwrap).collect();
    assert!(statuses.iter().all(|status| [200, 429, 503].contains(status)), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_there_is_no_more_room_for_bodies_what_stands_still_gives_way_to_what_is_new() {
    let (process, _folder) = start(&format!("{GATEWAY}{BODIES}")).await;
    let gateway = Gateway::open(process.http).await;
    // Each of them within its share, and all of them together far over everything.
    let begun: Vec<_> = (0..200_u16)
        .map(|number| {
            let (upload, answer) = gateway.caller(number, "POST", "/echo/a").begin();
            upload.send("begun");
            (upload, tokio::spawn(answer))
        })
        .collect();
    let enough = async || (ended(&process, "bodies").await >= 136.0).then_some(());
    until("those over everything to give way", enough).await;
    for number in 300..400 {
        let (upload, answer) = gateway.caller(number, "POST", "/echo/a").begin();
        upload.send("whole");
        drop(upload);
        assert_eq!(answer.await.unwrap().status(), 200);
    }
    drop(begun);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_do_not_end_keep_nobody_away_directly() {
    let (process, _folder) = start(BODIES).await;
    let begin = "POST /echo/a HTTP/1.1\r\nhost: test\r\ncontent-length: 5\r\nconnection: close\r\n\r\n";
    let mut hostile = Vec::new();
    for _ in 0..60 {
        let mut stream = connect_from([127, 0, 1, 1], process.http).await;
        stream.write_all(begin.as_bytes()).await.unwrap();
        hostile.push(tokio::spawn(status(stream)));
    }
    let refused = async || (hostile.iter().filter(|status| status.is_finished()).count() >= 44).then_some(());
    until("those beyond the share to be answered", refused).await;
    for _ in 0..20 {
        let mut stream = connect_from([127, 0, 1, 2], process.http).await;
        stream.write_all(format!("{begin}whole").as_bytes()).await.unwrap();
        assert_eq!(status(stream).await, "200");
    }
    for task in hostile {
        if task.is_finished() {
            let status = task.await.unwrap();
            assert!(["429", "503"].contains(&status.as_str()), "{status}");
        } else {
            task.abort();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_one_of_a_thousand_callers_does_not_read_are_bounded_and_keep_nobody_away() {
    let (process, _folder) = start(&format!("{GATEWAY}{UNREAD}")).await;
    let gateway = Gateway::with_window(process.http, 1 << 10).await;
    all_are_served((0..32).map(|number| gateway.caller(number, "GET", "/big?bytes=200000"))).await;
    let before = process.forget_peak_memory();
    let mut unread = Vec::new();
    for number in 0..400 {
        let answer = gateway.at(HOSTILE, number, "GET", "/big?bytes=200000").unread().await;
        let status = answer.as_ref().map(|answer| answer.status().as_u16()).unwrap_or(0);
        assert!([0, 200, 429].contains(&status), "its share, and nobody else's: {status}");
        unread.push(answer);
    }
    all_are_served(OTHERS.map(|number| gateway.caller(number, "GET", "/version"))).await;
    // Many callers, each within its share: those who came first give way.
    for number in OTHERS.take(200) {
        let answer = gateway.caller(number, "GET", "/big?bytes=200000").unread().await.unwrap();
        assert_eq!(answer.status(), 200);
        unread.push(Ok(answer));
    }
    assert!(ended(&process, "unread").await >= 100.0);
    let growth = process.peak_memory().saturating_sub(before);
    // 8 MiB are kept, of 120 MB; the rest is what guests and their answers take while they run.
    assert!(growth < 48 << 20, "{} MiB more", growth >> 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_reads_directly_are_bounded_in_all() {
    let (process, _folder) = start(LARGE_UNREAD).await;
    let mut unread = Vec::new();
    for _ in 0..40 {
        let mut stream = narrow(process.http).await;
        // More than the kernel takes off the host's hands.
        let ask = b"GET /big?bytes=6000000 HTTP/1.1\r\nhost: test\r\n\r\n";
        stream.write_all(ask).await.unwrap();
        unread.push(stream);
    }
    let mut stream = connect_from([127, 0, 1, 2], process.http).await;
    stream.write_all(b"GET /big?bytes=6000000 HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await.unwrap();
    assert_eq!(status(stream).await, "200");
    drop(unread);
}

/// A response that is kept is there once, however many read it slowly.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_many_read_slowly_counts_once_and_cuts_nobody() {
    let probe = with_manifest(&probe(), |manifest| {
        let rule = "timeout = \"300s\"\ncache = { ttl = \"1h\", scope = \"public\" }";
        manifest["endpoint"]["GET /big"].as_table_mut().unwrap().extend(rule.parse::<toml::Table>().unwrap());
    });
    let http = format!("{GATEWAY}{UNREAD}compress = false\n");
    let setup = Setup::new().http(&http).limits("requests = 32\nidle = 8\nresponse = \"1MiB\"");
    let folder = setup.one_backend("127.0.0.1:1", "").plugin("probe.wasm", &probe).write();
    let process = HostProcess::start(weft(), &folder).await;
    let gateway = Gateway::with_window(process.http, 1 << 10).await;
    assert_eq!(gateway.caller(0, "GET", "/big?bytes=200000").send().await.status, 200);
    let mut unread = Vec::new();
    for number in OTHERS.take(100) {
        // Together they would have twenty megabytes.
        unread.push(gateway.caller(number, "GET", "/big?bytes=200000").unread().await.unwrap());
    }
    assert_eq!(ended(&process, "unread").await, 0.0);
    for answer in unread {
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes().len(), 200_000);
    }
}

/// Requests that wait for the host count as well, with heads and bodies, and not as their clients' slowness.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_under_way_are_bounded_for_each_caller_and_keep_nobody_away() {
    let (process, _folder) = start(&format!("{GATEWAY}{BODIES}")).await;
    let gateway = Gateway::open(process.http).await;
    let ask = |number| gateway.at(HOSTILE, number, "GET", "/waits?times=1&millis=3000").send();
    let hostile = tokio::spawn(join_all((0..100).map(ask).collect::<Vec<_>>()));
    let many = async || {
        let scrape = Scrape::parse(&Web::admin(process.admin).get("/metrics").send().await.ok().text());
        (scrape.sum("weft_requests_active", &[]) >= 16.0).then_some(())
    };
    until("its share to be under way", many).await;
    all_are_served(OTHERS.take(100).map(|number| gateway.caller(number, "GET", "/version"))).await;
    let mut statuses: Vec<u16> = hostile.await.unwrap().into_iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200; 16], vec![429; 84]].concat());
    assert_eq!(ended(&process, "bodies").await, 0.0);
}
