//! The keeping of keys, by a clock that the test moves.

use super::*;
use futures_util::future::join_all;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const MINUTE: Duration = Duration::from_mins(1);
const HARD_LIMIT: Duration = Duration::from_hours(24);

/// What the issuer answers, and how often it was asked.
#[derive(Default)]
struct Issuer {
    answer: Mutex<Option<Answer>>,
    fetches: AtomicUsize,
    at_once: AtomicUsize,
}

#[derive(Clone)]
struct Answer {
    keys: Vec<String>,
    max_age: Option<Duration>,
    after: Duration,
}

#[derive(Clone)]
struct Origin(Arc<Issuer>);

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Origin")
    }
}

impl Fetch for Origin {
    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, String>> {
        async move {
            self.0.fetches.fetch_add(1, SeqCst);
            assert_eq!(self.0.at_once.fetch_add(1, SeqCst), 0, "one fetch at a time");
            let answer = self.0.answer.lock().unwrap().clone();
            let after = answer.as_ref().map_or(Duration::ZERO, |answer| answer.after);
            let late = tokio::time::timeout(FETCH, tokio::time::sleep(after)).await.is_err();
            self.0.at_once.fetch_sub(1, SeqCst);
            if late {
                std::future::pending::<()>().await;
            }
            let Answer { keys, max_age, .. } = answer.ok_or("away")?;
            let jwk = |id: &String| json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "x": "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE" });
            let document = json!({ "keys": keys.iter().map(jwk).collect::<Vec<_>>() });
            Ok(Fetched { body: document.to_string().into(), max_age })
        }
        .boxed()
    }
}

impl Issuer {
    fn has(&self, keys: &[&str]) {
        self.answers(keys, None, Duration::ZERO);
    }

    fn answers(&self, keys: &[&str], max_age: Option<Duration>, after: Duration) {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        *self.answer.lock().unwrap() = Some(Answer { keys, max_age, after });
    }

    fn is_away(&self) {
        *self.answer.lock().unwrap() = None;
    }

    fn fetches(&self) -> usize {
        self.fetches.load(SeqCst)
    }
}

/// A cache of this issuer's keys, and the task that keeps it.
fn kept(issuer: &Arc<Issuer>) -> (Arc<Remote>, tokio::task::JoinHandle<()>) {
    let origin = Box::new(Origin(issuer.clone()));
    let remote = Arc::new(Remote::new("https://iss.test/keys".into(), origin, HARD_LIMIT, &Metrics::default()));
    let keeper = tokio::spawn(remote.clone().keep());
    (remote, keeper)
}

async fn has(remote: &Remote, id: &str) -> Result<bool, NoKeys> {
    remote.find(Some(id)).await.map(|found| !found.is_empty())
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_ahead_within_bounds_whatever_the_issuer_says() {
    for (said, at_least, at_most) in [
        (None, 6, 9),
        (Some(Duration::ZERO), 66, 90),
        (Some(MINUTE * 30), 2, 3),
        (Some(Duration::from_hours(1000)), 1, 2),
    ] {
        let issuer = Arc::<Issuer>::default();
        issuer.answers(&["a"], said, Duration::ZERO);
        let (remote, _keeper) = kept(&issuer);
        remote.ready().await;
        let before = issuer.fetches();
        for _ in 0..600 {
            tokio::time::sleep(Duration::from_secs(6)).await;
            assert_eq!(has(&remote, "a").await, Ok(true));
        }
        let fetched = issuer.fetches() - before;
        assert!((at_least..=at_most).contains(&fetched), "{fetched} in an hour for {said:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_key_is_found_at_once_by_all_who_ask_with_one_fetch() {
    let issuer = Arc::<Issuer>::default();
    issuer.has(&["a"]);
    let (remote, _keeper) = kept(&issuer);
    remote.ready().await;
    issuer.answers(&["b"], None, Duration::from_secs(2));
    let found = join_all((0..50).map(|_| has(&remote, "b"))).await;
    assert!(found.iter().all(|found| *found == Ok(true)), "{found:?}");
    assert_eq!(issuer.fetches(), 2);
    assert_eq!(has(&remote, "a").await, Ok(false), "what the issuer has taken away is gone");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_unknown_keys_leads_to_one_fetch_each_half_minute() {
    let issuer = Arc::<Issuer>::default();
    issuer.has(&["a"]);
    let (remote, _keeper) = kept(&issuer);
    remote.ready().await;
    for n in 0..1000 {
        assert_eq!(has(&remote, &format!("k{n}")).await, Ok(false));
    }
    assert_eq!(issuer.fetches(), 2);
    for impossible in ["", "a b", "a\n", "é", &"k".repeat(300)] {
        tokio::time::advance(COOLDOWN).await;
        assert_eq!(has(&remote, impossible).await, Ok(false));
        assert_eq!(issuer.fetches(), 2, "{impossible:?} can't be a key");
    }
    assert_eq!(has(&remote, "k").await, Ok(false));
    assert_eq!(issuer.fetches(), 3);
}

#[tokio::test(start_paused = true)]
async fn keys_live_through_an_outage_up_to_the_hard_limit() {
    let issuer = Arc::<Issuer>::default();
    issuer.has(&["a"]);
    let (remote, _keeper) = kept(&issuer);
    remote.ready().await;
    issuer.is_away();
    for _ in 0..23 {
        tokio::time::sleep(MINUTE * 60).await;
        assert_eq!(has(&remote, "a").await, Ok(true));
    }
    assert!(remote.state().failure.is_some_and(|failure| failure.contains("away")));
    assert_eq!(has(&remote, "b").await, Err(NoKeys), "nobody knows whether there is such a key by now");
    tokio::time::sleep(MINUTE * 60).await;
    assert_eq!(has(&remote, "a").await, Err(NoKeys), "too old to be believed");
    issuer.has(&["a"]);
    remote.ready().await;
    assert_eq!(has(&remote, "a").await, Ok(true));
    assert_eq!(remote.state().failure, None);
}

#[tokio::test(start_paused = true)]
async fn failures_are_followed_by_ever_longer_pauses() {
    let issuer = Arc::<Issuer>::default();
    let (remote, _keeper) = kept(&issuer);
    assert_eq!(has(&remote, "a").await, Err(NoKeys));
    let mut fetches = Vec::new();
    for _ in 0..4 {
        let before = issuer.fetches();
        tokio::time::sleep(MINUTE).await;
        fetches.push(issuer.fetches() - before);
    }
    // After 0, 1, 3, 7, 15, 31 and 63 seconds, and from then on each minute.
    assert_eq!(fetches, [6, 1, 1, 1]);
    issuer.has(&["a"]);
    remote.ready().await;
    assert_eq!(has(&remote, "a").await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_hangs_is_given_up_and_holds_few_requests() {
    let issuer = Arc::<Issuer>::default();
    issuer.has(&["a"]);
    let (remote, _keeper) = kept(&issuer);
    remote.ready().await;
    issuer.answers(&["b"], None, MINUTE);
    let asking: Vec<_> = (0..WAITERS)
        .map(|_| {
            let remote = remote.clone();
            tokio::spawn(async move { has(&remote, "b").await })
        })
        .collect();
    tokio::task::yield_now().await;
    assert_eq!(has(&remote, "b").await, Err(NoKeys), "one more does not wait");
    assert_eq!(has(&remote, "a").await, Ok(true), "nor do tokens whose key is there");
    for asked in asking {
        assert_eq!(asked.await.unwrap(), Err(NoKeys));
    }
    assert_eq!(has(&remote, "a").await, Ok(true));
    assert!(remote.state().failure.is_some_and(|failure| failure.contains("no whole answer")));
}

#[test]
fn a_document_is_bounded_and_bad_keys_in_it_are_left_out() {
    let key = |id: usize| json!({ "kty": "OKP", "crv": "Ed25519", "kid": id.to_string(), "x": "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE" });
    let parse = |keys: Vec<serde_json::Value>| KeySet::parse(json!({ "keys": keys }).to_string().as_bytes());
    assert_eq!(parse((0..100).map(key).collect()).unwrap().0.find(Some("99")).len(), 1);
    assert!(parse((0..101).map(key).collect()).unwrap_err().contains("too many"));
    let others = vec![
        json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "secret" }),
        json!({ "kty": "unheard-of", "kid": "new" }),
        json!({ "kty": "RSA", "kid": "bad", "n": "!", "e": "AQAB" }),
        json!("no key at all"),
    ];
    assert!(parse(others.clone()).is_err());
    let (keys, complaints) = parse(others.into_iter().chain([key(1)]).collect()).unwrap();
    assert_eq!((keys.names(), complaints.is_empty()), (vec!["1".to_owned()], false));
    for text in ["", "[]", "{}", "{\"keys\": 1}", "<html>"] {
        assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
    }
    let many_without_id = (0..50).map(|id| {
        let mut key = key(id);
        key.as_object_mut().unwrap().remove("kid");
        key
    });
    assert_eq!(parse(many_without_id.collect()).unwrap().0.find(None).len(), 8, "one token costs few verifications");
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_adopted_are_as_old_as_they_are() {
    let issuer = Arc::<Issuer>::default();
    issuer.has(&["a"]);
    let (first, keeper) = kept(&issuer);
    first.ready().await;
    keeper.abort();
    issuer.is_away();
    tokio::time::sleep(HARD_LIMIT - MINUTE).await;
    let (second, _keeper) = kept(&issuer);
    second.adopt(first.fetched("https://iss.test/keys").unwrap());
    assert_eq!(has(&second, "a").await, Ok(true));
    assert_eq!((second.state().usable, second.state().seconds_old), (true, Some((HARD_LIMIT - MINUTE).as_secs())));
    tokio::time::sleep(MINUTE).await;
    assert_eq!((has(&second, "a").await, second.state().usable), (Err(NoKeys), false));
}
