//! Random latencies, failures, cancellations, scopes and identities thrown at the engine, by a seed. A failing seed is printed and can
//! be run again alone.

use super::kit::*;
use crate::{
    fanout::Head,
    model::{Code, Failure},
};
use bytes::Bytes;
use prost::Message;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;

const MS: Duration = Duration::from_millis(1);
const REQUESTS: u32 = 60;
const BUDGET: Duration = Duration::from_millis(400);
const MAX: usize = 8;

/// Late, failing, stalling or honest, by chance. GetMine answers with the subject that it was told.
fn moody(seed: u64) -> Fake {
    let dice = Mutex::new(StdRng::seed_from_u64(seed));
    Fake::new(move |seen| {
        let (mood, delay) = {
            let mut dice = dice.lock().unwrap();
            (dice.random_range(0..100_u32), MS * dice.random_range(0..60))
        };
        let honest = if seen.method.ends_with("GetMine") {
            let subject = seen.metadata.get("x-subject").map_or("", |value| value.to_str().unwrap());
            let id = Id::decode(seen.message.clone()).unwrap().id;
            Ok(Bytes::from(Item { id, text: format!("{subject}/{id}") }.encode_to_vec()))
        } else {
            answer(seen)
        };
        // A single reply is the plugin's to read, whatever it is.
        let is_batch = seen.method.ends_with("BatchGetItems");
        Box::pin(async move {
            tokio::time::sleep(delay).await;
            match mood {
                0..10 => Err(Failure::new(Code::Unavailable, "moody")),
                10..15 => std::future::pending().await,
                15..18 => panic!("a bug in the load"),
                18..21 if is_batch => Ok(Bytes::from_static(b"\x0a\xff")),
                _ => honest,
            }
        })
    })
}

/// What one request has asked and got.
#[derive(Default)]
struct Told {
    asked: HashMap<u32, (u32, u32)>,
    cancelled: HashSet<u32>,
    done: Vec<Done>,
}

fn random_heads(dice: &mut impl Rng, told: &mut Told, writes: &Mutex<Vec<u32>>) -> Vec<Head> {
    let count = dice.random_range(0..12);
    let heads = (0..count).map(|_| {
        let (method, id) = match dice.random_range(0..10) {
            0..6 => (GET, dice.random_range(1..30)),
            6..9 => (MINE, dice.random_range(1..5)),
            _ => {
                let mut writes = writes.lock().unwrap();
                let id = 1_000 + writes.len() as u32;
                writes.push(id);
                (SET, id)
            }
        };
        told.asked.insert(told.asked.len() as u32, (method, id));
        let timeout = dice.random_bool(0.2).then(|| MS * dice.random_range(1..50));
        Head { timeout, ..head(method, id) }
    });
    heads.collect()
}

async fn request(bench: Arc<Bench>, seed: u64, writes: Arc<Mutex<Vec<u32>>>) -> (String, Told) {
    let mut dice = StdRng::seed_from_u64(seed);
    let subject = ["ann", "bob", "eve"][dice.random_range(0..3)];
    tokio::time::sleep(MS * dice.random_range(0..200)).await;
    let (since, mut told) = (Instant::now(), Told::default());
    let mut session = bench.session(Some(subject), BUDGET);
    for _ in 0..dice.random_range(1..6) {
        let heads = random_heads(&mut dice, &mut told, &writes);
        let mut cancel = Vec::new();
        if dice.random_bool(0.2) && !told.asked.is_empty() {
            let ticket = dice.random_range(0..told.asked.len() as u32);
            if !told.done.iter().any(|done| done.ticket == ticket) && (ticket as usize) < told.asked.len() - heads.len()
            {
                told.cancelled.insert(ticket);
                cancel.push(ticket);
            }
        }
        let wait = dice.random_bool(0.5).then(|| MS * dice.random_range(0..20));
        told.done.extend(read(&session.exchange(heads, &cancel, wait).await));
    }
    if dice.random_bool(0.2) {
        drop(session);
        told.asked.clear();
        return (subject.to_owned(), told);
    }
    loop {
        let done = read(&session.exchange(Vec::new(), &[], None).await);
        if done.is_empty() {
            break;
        }
        told.done.extend(done);
    }
    assert!(since.elapsed() <= BUDGET + MS, "a request took {:?} of {BUDGET:?}", since.elapsed());
    (subject.to_owned(), told)
}

fn check(subject: &str, told: &Told, seed: u64) {
    let mut answered = HashSet::new();
    for done in &told.done {
        assert!(answered.insert(done.ticket), "seed {seed}: ticket {} was answered twice", done.ticket);
        assert!(!told.cancelled.contains(&done.ticket), "seed {seed}: a cancelled ticket was answered");
        let Some((method, id)) = told.asked.get(&done.ticket).copied() else { continue };
        let expected = if method == MINE { format!("{subject}/{id}") } else { format!("item {id}") };
        assert!(done.code != 0 || done.text == expected, "seed {seed}: asked {expected}, got {}", done.text);
    }
    for ticket in told.asked.keys().filter(|ticket| !told.cancelled.contains(ticket)) {
        assert!(answered.contains(ticket), "seed {seed}: ticket {ticket} was never answered");
    }
}

async fn run(seed: u64) {
    let settings = BATCH.replace("max = 100", &format!("max = {MAX}"))
        + "\ntimeout = \"100ms\"\ncache = { ttl = \"50ms\", stale-while-revalidate = \"50ms\" }";
    let bench = Arc::new(Bench::new(moody(seed), &settings));
    let writes = Arc::<Mutex<Vec<u32>>>::default();
    let requests = (0..REQUESTS)
        .map(|number| tokio::spawn(request(bench.clone(), seed * 1000 + u64::from(number), writes.clone())));
    let mut asked = 0;
    for request in requests.collect::<Vec<_>>() {
        let (subject, told) = request.await.unwrap();
        check(&subject, &told, seed);
        asked += told.asked.len();
    }
    tokio::time::sleep(BUDGET * 2).await;
    assert_eq!(bench.engine.loads_under_way(), 0, "seed {seed}: loads are left over");
    let seen = bench.fake.seen();
    let set: Vec<u32> = seen
        .iter()
        .filter(|s| s.method.ends_with("SetItem"))
        .map(|s| Id::decode(s.message.clone()).unwrap().id)
        .collect();
    let mut distinct = set.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(set.len(), distinct.len(), "seed {seed}: a write travelled twice");
    assert!(bench.fake.batches().iter().all(|keys| *keys <= MAX), "seed {seed}: a batch is over its bound");
    for call in seen.iter().filter(|s| s.method.ends_with("GetItem") || s.method.ends_with("BatchGetItems")) {
        assert!(
            !call.metadata.contains_key("authorization") && !call.metadata.contains_key("x-subject"),
            "seed {seed}: a public load carries an identity"
        );
    }
    assert!(seen.len() <= asked + REQUESTS as usize * 6, "seed {seed}: {} upstream calls for {asked}", seen.len());
}

#[test]
fn whatever_happens_each_call_is_answered_once_to_whom_it_belongs() {
    let seeds: Vec<u64> = match std::env::var("WEFT_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..40).collect(),
    };
    // Loads that panic by chance would fill the output with backtraces.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.to_string().contains("a bug in the load") {
            hook(info);
        }
    }));
    for seed in seeds {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(run(seed));
    }
}
