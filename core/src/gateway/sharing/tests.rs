//! Who makes a response, and who gets it.

use super::*;
use bytes::Bytes;
use http::HeaderMap;

fn reply(text: &'static str) -> Outcome {
    Ok(Reply {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: Body::Bytes(Bytes::from_static(text.as_bytes())),
    })
}

fn responses() -> (Arc<Shared>, Digest) {
    (Shared::new(1 << 20), Digest::of(b"key"))
}

async fn duty(responses: &Arc<Shared>, key: &Digest) -> Duty {
    match way(responses, key, Deadline::after(Duration::from_secs(1))).await {
        Ok(Way::Make(duty)) => duty,
        _ => panic!("somebody else makes it"),
    }
}

/// A request that waits, with so many seconds of its own.
fn waits(responses: &Arc<Shared>, key: &Digest, seconds: u64) -> tokio::task::JoinHandle<&'static str> {
    let (responses, key) = (responses.clone(), *key);
    tokio::spawn(async move {
        match way(&responses, &key, Deadline::after(Duration::from_secs(seconds))).await {
            Ok(Way::Make(_)) => "makes it",
            Ok(Way::Answered(_)) => "has it",
            Ok(_) => "goes alone",
            Err(fault) => fault.problem.kind.as_str(),
        }
    })
}

#[tokio::test(start_paused = true)]
async fn when_a_maker_comes_to_nothing_one_who_waits_makes_it() {
    let (responses, key) = responses();
    let first = duty(&responses, &key).await;
    let (one, other) = (waits(&responses, &key, 60), waits(&responses, &key, 60));
    tokio::task::yield_now().await;
    drop(first);
    let mut both = [one.await.unwrap(), other.await.unwrap()];
    both.sort_unstable();
    // The second one's maker comes to nothing as well: here it is dropped at once.
    assert!(both == ["goes alone", "makes it"] || both == ["makes it", "makes it"], "{both:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_longer_than_their_own_time_or_ends_with_anothers() {
    let (responses, key) = responses();
    let maker = duty(&responses, &key).await;
    let (short, long) = (waits(&responses, &key, 1), waits(&responses, &key, 60));
    assert_eq!(short.await.unwrap(), "deadline");
    maker.done(reply("made"), None, true);
    assert_eq!(long.await.unwrap(), "has it");
}

#[tokio::test(start_paused = true)]
async fn what_is_for_its_maker_alone_is_waited_for_no_more() {
    let (responses, key) = responses();
    let maker = duty(&responses, &key).await;
    let waits = waits(&responses, &key, 60);
    tokio::task::yield_now().await;
    maker.done(reply("with a cookie"), None, false);
    assert_eq!(waits.await.unwrap(), "goes alone");
}

#[test]
fn a_time_left_below_zero_is_for_how_long_it_has_been_old() {
    let status = |origin: &Origin| {
        let told = told(reply("kept"), origin).unwrap();
        told.headers[CACHE_STATUS].to_str().unwrap().to_owned()
    };
    let (age, left) = (Duration::from_secs(90), Duration::from_millis(1500));
    assert_eq!(status(&Origin::Hit { age, left }), "weft; hit; ttl=1");
    for (millis, ttl) in [(1, -1), (1000, -1), (29_001, -30)] {
        let over = Duration::from_millis(millis);
        assert_eq!(
            status(&Origin::Stale { age, over }),
            format!("weft; hit; ttl={ttl}; detail=stale-while-revalidate")
        );
    }
}
