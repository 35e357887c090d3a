//! Closed loop: each connection sends its next request when it has its answer. Open loop: requests have times at which they should
//! start, at a constant rate, whatever became of those before; latency counts from those times, so that a server that stalls can't
//! hide it by being asked less.

use super::{
    Plan, Tally,
    client::{Client, request},
};
use crate::tokens::Signer;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, task::JoinSet};

/// When requests start.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    Closed,
    /// Requests a second.
    Open(f64),
}

/// What to do to a server, for how long.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
    pub(crate) plan: Plan,
    /// Whether all connections are opened before the first request.
    pub(crate) connected: bool,
}

/// Connections, open or not yet.
pub(crate) struct Lines(Vec<Client>);

/// What all connections share.
struct Shared {
    load: Load,
    signer: Signer,
    numbers: AtomicU64,
    /// In the open loop: requests whose time has come.
    due: Semaphore,
    started: Instant,
    until: Instant,
    /// Most requests.
    most: u64,
    /// Tells this run's callers from those of others.
    run: u64,
}

/// Runs may follow each other within one process; their callers have to differ.
static RUNS: AtomicU64 = AtomicU64::new(0);

impl Load {
    /// Runs for so long; then waits for what is under way.
    pub(crate) async fn run(&self, time: Duration) -> Tally {
        self.run_within(time, u64::MAX).await
    }

    /// Sends so many requests, but not for longer than this.
    pub(crate) async fn run_within(&self, time: Duration, most: u64) -> Tally {
        let mut lines = self.open().await;
        self.run_over(&mut lines, time, most).await
    }

    /// Sends so many requests, but not for longer than this, over connections that outlive it.
    pub(crate) async fn run_over(&self, lines: &mut Lines, time: Duration, most: u64) -> Tally {
        let started = Instant::now();
        let shared = Arc::new(Shared {
            load: self.clone(),
            signer: Signer::new(),
            numbers: AtomicU64::new(0),
            due: Semaphore::new(0),
            started,
            until: started + time,
            most,
            run: RUNS.fetch_add(1, Relaxed),
        });
        let clock = match self.pace {
            Pace::Open(rate) => Some(clock(shared.clone(), rate)),
            Pace::Closed => None,
        };
        let mut connections = JoinSet::new();
        for client in lines.0.drain(..) {
            connections.spawn(connection(shared.clone(), client));
        }
        let mut tally = Tally::new();
        while let Some(ended) = connections.join_next().await {
            match ended {
                Ok((part, client)) => {
                    tally.add(&part);
                    lines.0.push(client);
                }
                Err(error) => *tally.failed.entry(format!("the driver failed: {error}")).or_default() += 1,
            }
        }
        tally.took = started.elapsed();
        if let Some(clock) = clock {
            // It ended when the time was over.
            let _ = clock.join();
        }
        tally
    }
}

impl Load {
    pub(crate) async fn open(&self) -> Lines {
        let mut clients = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            let mut client = Client::new(self.address);
            if self.connected {
                // What fails here fails again, and is counted, when it is used.
                let _ = client.connect().await;
            }
            clients.push(client);
        }
        Lines(clients)
    }
}

/// Releases requests when their time has come. A thread, because the runtime's timers are good to a millisecond only.
fn clock(shared: Arc<Shared>, rate: f64) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut released = 0_u64;
        loop {
            let now = Instant::now();
            if now >= shared.until || shared.due.is_closed() {
                break;
            }
            let should = ((now - shared.started).as_secs_f64() * rate) as u64 + 1;
            shared.due.add_permits(usize::try_from(should - released).unwrap_or(0));
            released = should;
            let next = shared.started + Duration::from_secs_f64(should as f64 / rate);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        // Whoever still waits has nothing to wait for.
        shared.due.close();
    })
}

async fn connection(shared: Arc<Shared>, mut client: Client) -> (Tally, Client) {
    let mut tally = Tally::new();
    while let Some((number, intended)) = shared.next().await {
        let ask = (shared.load.plan)(number);
        let subject = format!("u{}-{number}", shared.run);
        let outcome = match request(&ask, &subject, &shared.signer) {
            Ok(request) => {
                let start = intended.unwrap_or_else(Instant::now);
                let outcome = client.send(request, &subject, &ask).await;
                tally.note(outcome, start.elapsed());
                continue;
            }
            Err(reason) => Err(reason),
        };
        tally.note(outcome, Duration::ZERO);
    }
    (tally, client)
}

impl Shared {
    /// The next request's number and, in the open loop, its time; `None` when the time is over.
    async fn next(&self) -> Option<(u64, Option<Instant>)> {
        match self.load.pace {
            Pace::Closed if Instant::now() >= self.until => None,
            Pace::Closed => {
                let number = self.numbers.fetch_add(1, Relaxed);
                (number < self.most).then_some((number, None))
            }
            Pace::Open(rate) => {
                self.due.acquire().await.ok()?.forget();
                let number = self.numbers.fetch_add(1, Relaxed);
                let intended = self.started + Duration::from_secs_f64(number as f64 / rate);
                if number >= self.most {
                    // All were sent: nobody has to wait for the clock any more.
                    self.due.close();
                    return None;
                }
                Some((number, Some(intended)))
            }
        }
    }
}
