//! Attacks in HTTP/2, frame by frame, on the real process: each is answered rightly or ends its connection, memory stays bounded, and
//! others are served meanwhile.

use crate::support::{probe, weft};
use bytes::Bytes;
use futures_util::future::join_all;
use std::net::SocketAddr;
use weft_tests::{
    artifacts::with_manifest,
    h2::{Attacker, Frame, Outcome, continuation, data, get, get_with, open_head, ping, post, reset, settings, window},
    metrics::Scrape,
    neighbour::beside,
    process::HostProcess,
    setup::{Folder, Setup},
    wait::until,
    web::Web,
};

/// RFC 9113, section 7.
const REFUSED_STREAM: u32 = 7;
const WINDOW: u32 = 65_535;
/// By how much the memory of the process may grow through one attack, guests that run for its requests and all.
const FLOOD: u64 = 32 << 20;
/// Two connections, each with as many answers as it may have under way, each answer with 200 KB: 40 MB that have to be kept until they
/// are cut.
const UNREAD: u64 = 64 << 20;

async fn start(http: &str) -> (HostProcess, Folder) {
    let probe = with_manifest(&probe(), |manifest| {
        manifest["endpoint"]["POST /echo/{name}"].as_table_mut().unwrap().insert("timeout".into(), "1s".into());
        manifest["limits"].as_table_mut().unwrap().insert("cpu".into(), "1s".into());
        for path in ["GET /version", "GET /big"] {
            manifest["endpoint"][path].as_table_mut().unwrap().insert("timeout".into(), "30s".into());
        }
    });
    let setup = Setup::new().http(http).limits("requests = 32\nidle = 8\nqueue = \"10s\"");
    let folder = setup.one_backend("127.0.0.1:1", "").plugin("probe.wasm", &probe).write();
    (HostProcess::start(weft(), &folder).await, folder)
}

/// Asked for by many at once, so that what comes with that is not taken for a growth.
async fn warm(process: &HostProcess) {
    let webs = [(); 2].map(|()| Web::h2c(process.http));
    join_all((0..64).map(async |number| {
        // A busy host says when to come again.
        let served =
            async || Some(webs[number % 2].get("/big?bytes=200000").send().await).filter(|reply| reply.status != 503);
        assert_eq!(until("an answer", served).await.ok().body.len(), 200_000);
    }))
    .await;
}

async fn cut(process: &HostProcess, reason: &str) -> f64 {
    let scrape = Scrape::parse(&Web::admin(process.admin).get("/metrics").send().await.ok().text());
    scrape.sum("weft_connections_cut_total", &[("reason", reason)])
}

/// Requests and answers cut for this reason, and not their connections.
async fn ended(process: &HostProcess, reason: &str) -> f64 {
    let scrape = Scrape::parse(&Web::admin(process.admin).get("/metrics").send().await.ok().text());
    scrape.sum("weft_requests_cut_total", &[("reason", reason)])
}

/// A header block of so many cookies, all but the first in one byte each.
fn crumbs(count: usize) -> Vec<u8> {
    // "cookie: a=b", to be remembered (RFC 7541, section 6.2.1), and then the newest that is remembered.
    [&[0x60, 3][..], b"a=b", &vec![0xbe; count - 1]].concat()
}

/// A header block with one large header, and many times the same in one byte each.
fn bomb() -> Vec<u8> {
    // 3000 bytes behind their length in seven bits and more (RFC 7541, section 5.1).
    [&[0x40, 1, b'x', 0x7f, 0xb9, 0x16][..], &[b'y'; 3000], &[0xbe; 10_000]].concat()
}

type Flood = Box<dyn Iterator<Item = Bytes> + Send>;

/// Frames for streams 1, 3, 5 …
fn streams(count: u32, frames: impl Fn(u32) -> Vec<Bytes> + Send + 'static) -> Flood {
    Box::new((0..count).flat_map(move |number| frames(2 * number + 1)))
}

/// What is sent, and whether it ends the connection; where it does not, that still serves. Whether resets do depends on how far the host
/// has come with a request when its reset arrives.
fn floods() -> Vec<(&'static str, Option<bool>, Flood)> {
    let (fatal, harmless) = (Some(true), Some(false));
    let heads = |start: Bytes, piece: &'static [u8]| -> Flood {
        Box::new(std::iter::once(start).chain((0..20_000).map(move |_| continuation(1, piece))))
    };
    vec![
        ("rapid reset", None, streams(3_000, |id| vec![get(id, "/version"), reset(id)])),
        (
            "resets that the host is made to send, by a zero update",
            fatal,
            streams(3_000, |id| vec![get(id, "/version"), window(id, 0)]),
        ),
        ("and by too large a window", fatal, streams(3_000, |id| vec![get(id, "/version"), window(id, 0x7fff_ffff)])),
        ("and by data behind the end", fatal, streams(3_000, |id| vec![get(id, "/version"), data(id, b"x")])),
        ("CONTINUATION without end", fatal, heads(open_head(1, "/version"), b"\0\x01x\x01y")),
        ("empty CONTINUATION without end", fatal, heads(open_head(1, "/version"), b"")),
        (
            "empty DATA without end",
            fatal,
            Box::new(std::iter::once(post(1, "/echo/a")).chain((0..20_000).map(|_| data(1, b"")))),
        ),
        ("PING", harmless, Box::new((0..20_000).map(|_| ping()))),
        ("SETTINGS", harmless, Box::new((0..20_000).map(|_| settings()))),
    ]
}

/// Sends a flood; whether the connection has ended by it, and if not, it serves.
async fn ends(address: SocketAddr, flood: Flood) -> bool {
    let mut attacker = Attacker::open(address, WINDOW).await;
    let last = 200_001;
    let all = flood.chain([get(last, "/version")]);
    if !attacker.send(all).await {
        return true;
    }
    let outcome = attacker.outcome(last).await;
    let has_ended = matches!(outcome, Outcome::Ended(_));
    assert!(has_ended || outcome == Outcome::Status(Some(200)), "{outcome:?}");
    has_ended
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_frames_end_their_own_connection_or_nothing() {
    let (process, _folder) = start("").await;
    warm(&process).await;
    for (name, fatal, flood) in floods() {
        let before = process.forget_peak_memory();
        let ended = beside(process.http, "/version", "1.0.0", ends(process.http, flood)).await;
        assert!(fatal.is_none_or(|fatal| ended == fatal), "{name}: {ended}");
        let growth = process.peak_memory().saturating_sub(before);
        assert!(growth < FLOOD, "{name}: {} MiB more", growth >> 20);
    }
    // What was abandoned does not go on.
    let idle = async || {
        let plugins = Web::admin(process.admin).get("/v1/plugins").send().await.ok().json();
        (plugins["requests_under_way"] == 0).then_some(())
    };
    until("all guests to end", idle).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_unpack_to_more_than_a_request_may_have_are_refused() {
    let (process, _folder) = start("").await;
    warm(&process).await;
    let before = process.forget_peak_memory();
    let attack = join_all([crumbs(5_000), bomb()].map(async |block| {
        let mut attacker = Attacker::open(process.http, 0).await;
        let pieces = (0..90).map(|number| get_with(2 * number + 1, "/version", &block));
        attacker.send(pieces).await;
        attacker.outcome(1).await
    }));
    for outcome in beside(process.http, "/version", "1.0.0", attack).await {
        // A refusal for each, or ENHANCE_YOUR_CALM for all.
        assert!([Outcome::Status(Some(431)), Outcome::Ended(Some(11))].contains(&outcome), "{outcome:?}");
    }
    let growth = process.peak_memory().saturating_sub(before);
    assert!(growth < FLOOD, "{} MiB more", growth >> 20);
}

/// What has come on a connection.
#[derive(Debug, Default)]
struct Came {
    good: u32,
    answered: u32,
    resets: u32,
    bytes: usize,
}

impl Came {
    async fn next(&mut self, attacker: &mut Attacker) {
        match attacker.next().await.unwrap() {
            Frame::Head { status: Some(200), .. } => (self.good, self.answered) = (self.good + 1, self.answered + 1),
            // The host is busy; that answer is not read either.
            Frame::Head { status: Some(503), .. } => self.answered += 1,
            Frame::Data { bytes, .. } => self.bytes += bytes,
            Frame::Reset { .. } => self.resets += 1,
            Frame::Other(_) => {}
            other => panic!("{other:?} after {self:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_for_which_no_window_is_opened_are_cut() {
    let (process, _folder) = start("write-timeout = \"6s\"").await;
    warm(&process).await;
    let before = process.forget_peak_memory();
    // With as many headers as go through, so that the requests weigh something as well.
    let ask = |id| get_with(id, "/big?bytes=200000", &crumbs(500));
    let attack = join_all([0, 1].map(async |window_of_one| {
        let mut attacker = Attacker::open(process.http, 0).await;
        let mut asked = 0;
        let mut came = Came::default();
        // Few at a time: this is not about how much the host can do at once, and it learns no bound below what both ask for.
        while came.good < 100 {
            let some = 4.min(100 - came.good);
            assert!(attacker.send((asked..asked + some).map(|number| ask(2 * number + 1))).await);
            asked += some;
            while came.answered < asked {
                came.next(&mut attacker).await;
            }
        }
        // A byte now and then is no window either.
        if window_of_one == 1 {
            assert!(attacker.send((0..10).map(|_| window(1, 1))).await);
        }
        // On a slow machine the first of them are cut before the last is asked for.
        while came.resets < asked {
            came.next(&mut attacker).await;
        }
        assert!(came.bytes < 1_000, "{came:?} without a window");
        // What is left of the connection is as good as new.
        assert!(attacker.send([get(2 * asked + 1, "/version")]).await);
        assert_eq!(attacker.outcome(2 * asked + 1).await, Outcome::Status(Some(200)));
        asked
    }));
    let asked = beside(process.http, "/version", "1.0.0", attack).await;
    assert_eq!(cut(&process, "write").await, 0.0);
    assert_eq!(ended(&process, "write").await, f64::from(asked.iter().sum::<u32>()));
    let growth = process.peak_memory().saturating_sub(before);
    assert!(growth < UNREAD, "{} MiB more", growth >> 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_do_not_come_to_their_end_are_cut_whatever_else_is_under_way() {
    let (process, _folder) = start("header-timeout = \"1s\"").await;
    let attack = join_all([false, true].map(async |trickles| {
        let mut attacker = Attacker::open(process.http, 0).await;
        // An answer that is not read keeps the connection busy.
        assert!(attacker.send([get(1, "/big?bytes=1000")]).await);
        assert_eq!(attacker.outcome(1).await, Outcome::Status(Some(200)));
        assert!(attacker.send([open_head(3, "/version")]).await);
        if trickles {
            // One frame, byte by byte: of many the library has its own opinion.
            let more = continuation(3, &[0; 10_000]);
            for byte in more.chunks(1) {
                if !attacker.send([Bytes::copy_from_slice(byte)]).await {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
        attacker.rest().await;
    }));
    beside(process.http, "/version", "1.0.0", attack).await;
    assert_eq!(cut(&process, "header").await, 2.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_streams_than_a_connection_may_have_are_refused_one_by_one() {
    let (process, _folder) = start("streams = 10").await;
    let attack = async {
        let mut attacker = Attacker::open(process.http, WINDOW).await;
        // None of these ever ends.
        assert!(attacker.send((0..15).map(|number| post(2 * number + 1, "/echo/a"))).await);
        for number in 10..15 {
            assert_eq!(attacker.outcome(2 * number + 1).await, Outcome::Reset(REFUSED_STREAM));
        }
        let mut late = 0;
        while late < 10 {
            let frame = attacker.next().await.unwrap();
            let is_late = matches!(frame, Frame::Head { status: Some(408), .. });
            assert!(is_late || !matches!(frame, Frame::Head { .. } | Frame::GoAway(_)), "{frame:?}");
            late += usize::from(is_late);
        }
        assert!(attacker.send([get(31, "/version")]).await);
        assert_eq!(attacker.outcome(31).await, Outcome::Status(Some(200)), "there is room again");
    };
    beside(process.http, "/version", "1.0.0", attack).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_only_keep_themselves_alive_are_closed_when_they_have_rested_enough() {
    let (process, _folder) = start("idle = \"2s\"\nheader-timeout = \"1s\"").await;
    let unfinished = async {
        let mut attacker = Attacker::open(process.http, WINDOW).await;
        attacker.send([open_head(1, "/version")]).await;
        attacker.rest().await
    };
    let pinging = async {
        let mut attacker = Attacker::open(process.http, WINDOW).await;
        while attacker.send([ping()]).await {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        attacker.rest().await
    };
    let (unfinished, pinging) = tokio::join!(unfinished, pinging);
    // A header that does not end is cut before the connection has rested; and none of it is answered.
    assert!(!unfinished.iter().any(|frame| matches!(frame, Frame::Head { .. })), "{unfinished:?}");
    assert!(pinging.contains(&Frame::GoAway(0)), "{pinging:?}");
}
