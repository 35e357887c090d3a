//! Replies of backends that come packed: understood in each coding that is offered or not, and bounded by what they unpack to. On the real
//! process, whose memory is looked at.

use crate::support::{GET_FILM, film, knows_all, probe, weft};
use futures_util::future::join_all;
use prost::Message;
use weft_tests::{
    artifacts::with_limit,
    neighbour::beside,
    packing::{pack, pack_with_window},
    process::HostProcess,
    setup::{Folder, Setup},
    upstream::{Answer, FakeUpstream},
};

/// What a bomb would unpack to.
const BOMB: usize = 64 << 20;
/// Bombs under way at the same time, of each kind.
const AT_ONCE: usize = 8;
/// By how much the memory of the process may grow through all of them; unpacked they have 1.5 GiB.
const GROWTH: u64 = 64 << 20;

async fn start(upstream: &FakeUpstream, lines: &str) -> (HostProcess, Folder) {
    let lines =
        format!("max-reply = \"1MiB\"\nretry = {{ attempts = 1 }}\nbreaker = {{ k = 0 }}\ntimeout = \"60s\"\n{lines}");
    let probe = with_limit(&probe(), "response", "2MiB");
    let folder = Setup::new().one_backend(upstream.address(), &lines).plugin("probe.wasm", &probe).write();
    (HostProcess::start(weft(), &folder).await, folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packed_replies_are_understood_whether_they_were_offered_or_not() {
    let upstream = knows_all().await;
    for (lines, offered) in [
        ("", None),
        ("compression = [\"zstd\", \"gzip\"]", Some("zstd,gzip,identity")),
        ("compression = [\"gzip\"]", Some("gzip,identity")),
    ] {
        let (process, _folder) = start(&upstream, lines).await;
        for coding in ["gzip", "zstd"] {
            let title = format!("in {coding} ").repeat(1_000);
            let mut film = film(1);
            film.title.clone_from(&title);
            let packed = pack(coding, &film.encode_to_vec()).await;
            assert!(packed.len() < title.len() / 10);
            upstream.on(GET_FILM, move |_| Answer::Packed(coding, packed.clone().into()));
            assert_eq!(process.web().get("/films/1").send().await.ok().text(), title, "{coding}, {lines}");
            let last = upstream.calls(GET_FILM).pop().unwrap();
            assert_eq!(last.meta("grpc-accept-encoding"), offered, "{lines}");
            // What is asked is sent as it is.
            assert_eq!(last.meta("grpc-encoding"), None);
        }
        // A backend that was offered codings need not take them.
        upstream.on(GET_FILM, |_| Answer::message(&film(1)));
        assert_eq!(process.web().get("/films/1").send().await.ok().text(), "Film 1");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_unpacks_to_more_than_max_reply_is_refused_without_its_memory() {
    let upstream = knows_all().await;
    let (process, _folder) = start(&upstream, "").await;
    // What many good ones at a time take is not the bombs'.
    let mut large = film(1);
    large.title = "x".repeat(900 << 10);
    let packed = pack("gzip", &large.encode_to_vec()).await;
    upstream.on(GET_FILM, move |_| Answer::Packed("gzip", packed.clone().into()));
    let web = process.web();
    let large = join_all((0..AT_ONCE * 3).map(|_| web.get("/outcome?film=1&person=7").send())).await;
    large.into_iter().for_each(|reply| assert_eq!(reply.ok().json()["film"]["code"], "OK"));

    let zeros = vec![0; BOMB];
    // The last one asks for a window of 128 MiB as well.
    let bombs = [
        ("gzip", pack("gzip", &zeros).await),
        ("zstd", pack("zstd", &zeros).await),
        ("zstd", pack_with_window(27, &zeros).await),
    ];
    drop(zeros);
    let before = process.forget_peak_memory();
    for (coding, bomb) in bombs {
        assert!(bomb.len() < 1 << 20, "small enough as it comes: {}", bomb.len());
        upstream.on(GET_FILM, move |_| Answer::Packed(coding, bomb.clone().into()));
        let attack = join_all((0..AT_ONCE).map(|_| web.get("/outcome?film=1&person=7").send()));
        for reply in beside(process.http, "/version", "1.0.0", attack).await {
            let outcome = reply.ok().json();
            assert_eq!(outcome["film"]["code"], "RESOURCE_EXHAUSTED", "{coding}: {outcome}");
            assert_eq!(outcome["person"]["reply"], "Person 7", "{coding}: {outcome}");
        }
    }
    let growth = process.peak_memory().saturating_sub(before);
    assert!(growth < GROWTH, "{} MiB more", growth >> 20);
}
