//! A load through the gateway: half reads, half writes, each write by a caller of its own, so that one that is done twice is seen.

use super::patience::until;
use crate::{crew::Crew, web};
use demo::token;
use serde_json::Value;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};
use ureq::{Agent, http::Request};

const CLIENTS: usize = 6;
/// Films that are asked for, from 1 on. The demo has 110; the others are in no cache then.
pub(crate) const FILMS: u64 = 60;
/// What is read, in turn.
const PAGES: [&str; 3] = ["web", "ios", "tv"];

/// Under way until [`Load::end`]; dropped, it ends without a word.
#[derive(Debug)]
pub(crate) struct Load {
    counts: Arc<Counts>,
    ended: mpsc::Receiver<Vec<String>>,
    began: Instant,
}

#[derive(Debug, Default)]
struct Counts {
    is_over: AtomicBool,
    /// Requests that were begun; the next one's number.
    begun: AtomicU64,
    answered: AtomicU64,
    writes: AtomicU64,
    failed: AtomicU64,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Sums {
    pub(crate) requests: u64,
    pub(crate) writes: u64,
    /// What went wrong, one line each.
    pub(crate) failed: Vec<String>,
    pub(crate) took: Duration,
}

impl Drop for Load {
    fn drop(&mut self) {
        self.counts.is_over.store(true, Relaxed);
    }
}

impl Load {
    pub(crate) fn begin(gateway: SocketAddr) -> Self {
        let (counts, (tell, ended)) = (Arc::<Counts>::default(), mpsc::channel());
        for _ in 0..CLIENTS {
            let (counts, tell) = (counts.clone(), tell.clone());
            // A thread, which the program's end does not wait for.
            thread::spawn(move || tell.send(client(gateway, &counts)));
        }
        Self { counts, ended, began: Instant::now() }
    }

    /// So many more answers from now on.
    pub(crate) async fn more(&self, crew: &mut Crew, answers: u64) -> anyhow::Result<()> {
        let before = self.counts.answered.load(Relaxed);
        let so = async || (self.counts.answered.load(Relaxed) >= before + answers).then_some(());
        until(crew, || self.told("asking"), so).await
    }

    /// What is waited for, with the counts so far.
    pub(crate) fn told(&self, what: &str) -> String {
        let Counts { answered, failed, .. } = &*self.counts;
        format!("{what}: {} answers, {} failed", answered.load(Relaxed), failed.load(Relaxed))
    }

    pub(crate) async fn end(self) -> anyhow::Result<Sums> {
        self.counts.is_over.store(true, Relaxed);
        let mut failed = Vec::new();
        for _ in 0..CLIENTS {
            failed.extend(tokio::task::block_in_place(|| self.ended.recv())?);
        }
        let Counts { answered, writes, .. } = &*self.counts;
        let (requests, writes) = (answered.load(Relaxed) + failed.len() as u64, writes.load(Relaxed));
        Ok(Sums { requests, writes, failed, took: self.began.elapsed() })
    }
}

fn client(gateway: SocketAddr, counts: &Counts) -> Vec<String> {
    let (agent, mut failed) = (web::agent(), Vec::new());
    while !counts.is_over.load(Relaxed) {
        let turn = counts.begun.fetch_add(1, Relaxed);
        let is_write = turn.is_multiple_of(2);
        if is_write {
            counts.writes.fetch_add(1, Relaxed);
        }
        match if is_write { write(&agent, gateway, turn) } else { read(&agent, gateway, turn) } {
            Ok(()) => counts.answered.fetch_add(1, Relaxed),
            Err(error) => {
                failed.push(format!("{error:#}"));
                counts.failed.fetch_add(1, Relaxed)
            }
        };
    }
    failed
}

fn read(agent: &Agent, gateway: SocketAddr, turn: u64) -> anyhow::Result<()> {
    let client = PAGES.get(usize::try_from(turn / 2)? % PAGES.len()).copied().unwrap_or_default();
    let url = format!("http://{gateway}/{client}/films/{}", film(turn));
    let answer = web::send_by(agent, Request::get(&url).body(&[][..])?)?;
    anyhow::ensure!(answer.status == 200, "GET {url}: {}", answer.line);
    Ok(())
}

fn write(agent: &Agent, gateway: SocketAddr, turn: u64) -> anyhow::Result<()> {
    let url = format!("http://{gateway}/web/films/{}/rating", film(turn));
    let request = Request::post(&url).header("content-type", "application/json");
    let request = request.header("authorization", format!("Bearer {}", token(&format!("viewer-{turn}"))));
    let answer = web::send_by(agent, request.body(&br#"{"stars": 4}"#[..])?)?;
    anyhow::ensure!(answer.status == 201, "POST {url}: {}", answer.line);
    let body: Value = serde_json::from_slice(&answer.body)?;
    let ratings = body.get("your_ratings").and_then(Value::as_u64);
    anyhow::ensure!(ratings == Some(1), "POST {url} was done {ratings:?} times");
    Ok(())
}

fn film(turn: u64) -> u64 {
    turn / 2 % FILMS + 1
}
