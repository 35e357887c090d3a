//! Where tokens are exchanged, no transport sees a caller's, on whichever way a call travels.

use super::kit::*;
use crate::{
    fanout::{Forward, TokenExchange},
    model::{Code, Failure},
};
use futures_util::future::BoxFuture;
use http::{HeaderValue, header::AUTHORIZATION};
use std::{sync::Arc, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

/// Gives `Bearer ITEMS-for-…` for good tokens, nothing for Bob's, and is slow for Cid's.
#[derive(Debug)]
struct Bureau;

impl TokenExchange for Bureau {
    fn exchange<'a>(&'a self, token: &'a HeaderValue, backend: &'a str) -> BoxFuture<'a, Result<HeaderValue, Failure>> {
        Box::pin(async move {
            let caller = token.to_str().unwrap().rsplit('-').next().unwrap();
            match caller {
                "bob" => return Err(Failure::new(Code::Unauthenticated, "not for bob")),
                "cid" => tokio::time::sleep(SECOND * 60).await,
                _ => {}
            }
            Ok(HeaderValue::try_from(format!("Bearer {backend}-for-{caller}")).unwrap())
        })
    }
}

fn bench() -> Bench {
    let forward = Forward { exchange: Some(Arc::new(Bureau)), ..Forward::default() };
    Bench::forwarding(Fake::after(Duration::ZERO), BATCH, "", forward)
}

#[tokio::test(start_paused = true)]
async fn a_backend_sees_its_own_token_for_reads_and_writes_and_none_where_replies_are_shared() {
    let bench = bench();
    for caller in ["ann", "dan"] {
        let heads = vec![head(MINE, 1), head(SET, 2), head(GET, 3), head(GET, 4)];
        let done = all(&mut bench.session(Some(caller), SECOND), heads).await;
        assert!(done.iter().all(|done| done.code == 0), "{done:?}");
    }
    for seen in bench.fake.seen() {
        let told = seen.metadata.get(AUTHORIZATION).map(|value| value.to_str().unwrap());
        if seen.method.ends_with("GetMine") || seen.method.ends_with("SetItem") {
            assert!(matches!(told, Some("Bearer items-for-ann" | "Bearer items-for-dan")), "{seen:?}");
        } else {
            assert_eq!(told, None, "{seen:?}");
        }
        assert!(!format!("{:?}", seen.metadata).contains("token-of"), "{seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_token_cannot_be_exchanged_is_not_made() {
    let bench = bench();
    for (caller, code) in [("bob", Code::Unauthenticated), ("cid", Code::DeadlineExceeded)] {
        let done = all(&mut bench.session(Some(caller), SECOND), vec![head(MINE, 1), head(SET, 2)]).await;
        assert!(done.iter().all(|done| done.code == code as u32), "{done:?}");
    }
    assert_eq!(bench.fake.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_loaded_for_one_caller_is_nobody_elses_also_where_tokens_are_exchanged() {
    let bench = bench();
    for caller in ["ann", "dan", "ann", "dan"] {
        all(&mut bench.session(Some(caller), SECOND), vec![head(MINE, 1)]).await;
    }
    assert_eq!(bench.fake.count(), 2, "one load for each, and then the cache");
}
