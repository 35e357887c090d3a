//! Keys of repeated writes in the second tier: one host at a time has one, and tells the others how it ended.
//!
//! A claim is a record that is set if none is there, with a lease that its host renews while the request runs. The record outlives the
//! lease by far: when its host is gone without a word, what is left tells everybody that the write may have been done. Only the owner's
//! token replaces or removes a record, each by one script, whose clock is the server's.
//!
//! What is said here is small, waits for a bounded time, and is bounded in number and in bytes, because the connection is everybody's.

mod look;
mod scripts;

use super::{
    super::record::{HEAD, Record, State, Why},
    Shared, millis,
};
use bytes::Bytes;
use redis::{Cmd, FromRedisValue};
use scripts::{CLAIM, END, RELEASE};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, oneshot, watch},
    task::AbortHandle,
    time::{Instant, sleep, timeout, timeout_at},
};

/// After so long without a word of its host a request is one of which nobody knows how it ended.
const LEASE: Duration = Duration::from_secs(10);
const RENEWAL: Duration = Duration::from_secs(3);
/// The least time that a command gets. More than a look into a cache is worth, because a write may be done twice for its want.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long the first key waits for a connection that is being made.
const FIRST: Duration = Duration::from_secs(1);
/// Pause before an end is told again, and for how long that is tried.
const PAUSE: Duration = Duration::from_millis(500);
const TELLING: Duration = LEASE;
/// Commands under way.
const COMMANDS: usize = 16;
/// Ends that have not reached the server, in KiB.
const ROOM: usize = 16 << 10;
/// Longer records than this travel one at a time, so that caches don't wait behind answers.
const LONG: usize = 64 << 10;

/// What bounds them all together.
#[derive(Debug)]
pub(super) struct Claims {
    commands: Semaphore,
    /// While the server hangs, one command at a time finds out whether it still does, and all others need not wait.
    probe: Semaphore,
    hangs: AtomicBool,
    long: Semaphore,
    room: Arc<Semaphore>,
    /// Claims whose end is not told.
    open: watch::Sender<usize>,
}

impl Default for Claims {
    fn default() -> Self {
        Self {
            commands: Semaphore::new(COMMANDS),
            probe: Semaphore::new(1),
            hangs: AtomicBool::new(false),
            long: Semaphore::new(1),
            room: Arc::new(Semaphore::new(ROOM)),
            open: watch::Sender::new(0),
        }
    }
}

/// A request with a key, as the tier is asked for it.
#[derive(Debug, Clone, Copy)]
pub struct Keyed<'a> {
    pub key: &'a str,
    pub fingerprint: [u8; 32],
    /// For how long its end is remembered.
    pub ttl: Duration,
}

/// Whose a key is.
#[derive(Debug)]
pub enum Claimed {
    Ours(Claim),
    Known(Known),
    /// Whether another one has it can't be said now, and why. The claim may be there or not: it is let go, or gone on with.
    Away(Claim, String),
}

/// What another one has left.
#[derive(Debug)]
pub enum Known {
    /// Its host is at it.
    Running(Record),
    Ended(Record),
    /// Of a request that may have been done, but what became of it is not known.
    Silent(Record),
    /// There is something that no host of this version has written.
    Unreadable,
}

/// A key that this host has. Dropped, it lets it go as if it had never had it.
pub struct Claim(Option<Held>);

struct Held {
    open: Open,
    key: String,
    owner: [u8; 16],
    fingerprint: [u8; 32],
    ttl: Duration,
    renewing: Option<AbortHandle>,
    /// Whether a record may be there by now.
    may_be_there: bool,
}

/// Why there is no answer to a command.
struct Unsaid {
    was_sent: bool,
    why: String,
}

impl Unsaid {
    fn not_sent(why: &str) -> Self {
        Self { was_sent: false, why: why.to_owned() }
    }
}

/// Counts a claim as long as there is something to be told of it.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: Arc<Shared>) -> Self {
        shared.claims.open.send_modify(|open| *open += 1);
        Self(shared)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.claims.open.send_modify(|open| *open = open.saturating_sub(1));
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").field("key", &self.0.as_ref().map(|held| &held.key)).finish_non_exhaustive()
    }
}

impl Shared {
    /// Claims a key, unless another one has it.
    pub async fn claim(self: &Arc<Self>, keyed: Keyed<'_>) -> Claimed {
        let mut tried = self.tried.subscribe();
        let _ = timeout(FIRST, tried.wait_for(|tried| *tried)).await;
        let Keyed { key, fingerprint, ttl } = keyed;
        let (open, owner, key) = (Open::new(self.clone()), rand::random(), self.keyed(key));
        // Whoever goes away from here on lets go of what may be there by then.
        let held = Held { open, key, owner, fingerprint, ttl, renewing: None, may_be_there: true };
        let mut claim = Claim(Some(held));
        let told = match &claim.0 {
            Some(held) => held.claim().await,
            None => Err(Unsaid::not_sent("")),
        };
        match told {
            Ok(Some(known)) => {
                claim.0 = None;
                Claimed::Known(known)
            }
            Ok(None) => {
                claim.go_on();
                Claimed::Ours(claim)
            }
            Err(Unsaid { was_sent, why }) => {
                claim.0.iter_mut().for_each(|held| held.may_be_there = was_sent);
                Claimed::Away(claim, why)
            }
        }
    }

    /// What a command gets, and whoever waits for it.
    fn patience(&self) -> Duration {
        self.timeout.max(PATIENCE)
    }

    /// One command, unless the tier is away or slow.
    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Unsaid> {
        let (patience, claims) = (self.patience(), &self.claims);
        let end = Instant::now() + patience;
        let hangs = || Unsaid::not_sent("it does not answer");
        let is_probe = claims.hangs.load(Relaxed);
        let _probe = if is_probe { Some(claims.probe.try_acquire().map_err(|_| hangs())?) } else { None };
        let mut connection = self.connection().ok_or_else(|| Unsaid::not_sent("there is no connection"))?;
        let place = timeout_at(end, claims.commands.acquire()).await;
        let _place = place.map_err(|_| Unsaid::not_sent("it is too slow"))?;
        if !is_probe && claims.hangs.load(Relaxed) {
            return Err(hangs());
        }
        connection.set_response_timeout(patience);
        let (is_slow, why) = match timeout_at(end, command.query_async(&mut connection)).await {
            Ok(Ok(answer)) => {
                claims.hangs.store(false, Relaxed);
                return Ok(answer);
            }
            Ok(Err(error)) => (error.is_timeout(), error.to_string()),
            Err(_) => (true, "it did not answer in time".to_owned()),
        };
        claims.hangs.store(is_slow, Relaxed);
        Err(Unsaid { was_sent: true, why })
    }

    /// Until nothing is left to be told of any claim.
    pub async fn claims_ended(&self) {
        let _ = self.claims.open.subscribe().wait_for(|open| *open == 0).await;
    }
}

/// Whose a key is, its time, and its record; see [`CLAIM`].
type Told = (u8, u64, Vec<u8>);

fn known(record: Option<Record>, now: u64) -> Known {
    match record {
        None => Known::Unreadable,
        Some(record) => match record.state {
            // However far the time is that stands there: no lease was ever longer.
            State::Running { until } if until > now && until - now <= millis(LEASE) => Known::Running(record),
            State::Running { .. } => Known::Silent(record),
            State::Answered(_) | State::Unknown(_) => Known::Ended(record),
        },
    }
}

/// Until it is aborted, or another one has the key.
async fn renew(shared: Arc<Shared>, command: Cmd) {
    loop {
        sleep(RENEWAL).await;
        if shared.ask::<Told>(&command).await.is_ok_and(|(whose, ..)| whose != 1) {
            tracing::warn!(
                "a repeated write was begun on two hosts, because one of them could not reach the shared cache: it may be done twice"
            );
            return;
        }
    }
}

impl Held {
    fn script(&self, text: &str) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(text).arg(1).arg(&self.key);
        command
    }

    /// Claims the key, or claims it anew; of another's record so many bytes at most are told.
    fn claiming(&self, most: usize) -> Cmd {
        let mut command = self.script(CLAIM);
        command.arg(Record::claim(self.owner, self.fingerprint)).arg(millis(LEASE));
        command.arg(millis(self.ttl.saturating_add(LEASE))).arg(most).arg(HEAD);
        command
    }

    /// `None`: it is ours.
    async fn claim(&self) -> Result<Option<Known>, Unsaid> {
        Ok(match self.open.0.told(|most| self.claiming(most)).await? {
            (1, ..) => None,
            (0, now, record) => Some(known(Record::read(&Bytes::from(record)), now)),
            _ => Some(Known::Unreadable),
        })
    }

    fn ended(&self, state: State) -> (Cmd, usize) {
        let record = |state| Record { owner: self.owner, fingerprint: self.fingerprint, state }.write();
        let record = record(state).or_else(|| record(State::Unknown(Why::TooLarge))).unwrap_or_default();
        let mut command = self.script(END);
        command.arg(&self.owner).arg(&record).arg(millis(self.ttl));
        (command, record.len())
    }

    fn released(&self) -> (Cmd, usize) {
        let mut command = self.script(RELEASE);
        command.arg(&Record::running(self.owner));
        (command, 0)
    }
}

impl Claim {
    /// Renews it from now on, for as long as it is there.
    pub fn go_on(&mut self) {
        let Some(held) = self.0.as_mut().filter(|held| held.renewing.is_none()) else { return };
        held.may_be_there = true;
        held.renewing = Some(tokio::spawn(renew(held.open.0.clone(), held.claiming(LONG))).abort_handle());
    }

    /// Tells everybody how the request ended. The future is over when that was tried once; what has not come through is tried for a
    /// while longer, whether anybody waits or not. What never comes through is told by the record that is there when its lease is over.
    pub fn end(mut self, state: State) -> impl Future<Output = ()> + Send + use<> {
        let patience = self.0.as_ref().map_or(PATIENCE, |held| held.open.0.patience());
        let told = self.0.take().and_then(|held| {
            let command = held.ended(state);
            held.tell(command)
        });
        first_try(told, patience)
    }

    /// Lets the key go, because the request never ran; as for [`Claim::end`].
    pub fn release(mut self) -> impl Future<Output = ()> + Send + use<> {
        let patience = self.0.as_ref().map_or(PATIENCE, |held| held.open.0.patience());
        first_try(self.let_go(), patience)
    }

    fn let_go(&mut self) -> Option<oneshot::Receiver<()>> {
        let held = self.0.take().filter(|held| held.may_be_there)?;
        let command = held.released();
        held.tell(command)
    }
}

async fn first_try(told: Option<oneshot::Receiver<()>>, patience: Duration) {
    if let Some(told) = told {
        // The sender says nothing, it only goes.
        let _ = timeout(patience, told).await;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        drop(self.let_go());
    }
}

impl Held {
    /// Beside the request, because nothing of it is left when its caller goes away.
    fn tell(self, (command, size): (Cmd, usize)) -> Option<oneshot::Receiver<()>> {
        self.renewing.as_ref().inspect(|renewing| renewing.abort());
        let kib = u32::try_from(size.div_ceil(1024).max(1)).unwrap_or(u32::MAX);
        let room = self.open.0.claims.room.clone().try_acquire_many_owned(kib).ok();
        let (Some(room), Ok(runtime)) = (room, Handle::try_current()) else { return None };
        let (sender, receiver) = oneshot::channel();
        runtime.spawn(async move {
            let _room = room;
            let (end, mut first) = (Instant::now() + TELLING, Some(sender));
            let shared = &self.open.0;
            let _alone = if size > LONG { timeout_at(end, shared.claims.long.acquire()).await.ok() } else { None };
            while shared.ask::<u8>(&command).await.is_err() && Instant::now() < end {
                drop(first.take());
                sleep(PAUSE).await;
            }
        });
        Some(receiver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_over_in_time_whatever_stands_there() {
        let runs = |until| {
            let record = Record { owner: [0; 16], fingerprint: [0; 32], state: State::Running { until } };
            matches!(known(Some(record), 1_000_000), Known::Running(_))
        };
        let longest = 1_000_000 + millis(LEASE);
        assert!(runs(1_000_001) && runs(longest));
        assert!(!runs(0) && !runs(1_000_000) && !runs(longest + 1) && !runs(u64::MAX));
        assert!(matches!(known(None, 0), Known::Unreadable));
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_told_is_given_up_in_time() {
        let shared = Shared::new("redis://127.0.0.1:1", "", Duration::from_millis(20)).unwrap();
        let keyed = Keyed { key: "k", fingerprint: [0; 32], ttl: Duration::from_secs(60) };
        let Claimed::Away(mut claim, _) = shared.claim(keyed).await else { panic!("nobody is there") };
        claim.go_on();
        let began = Instant::now();
        claim.end(State::Unknown(Why::NoAnswer)).await;
        assert!(began.elapsed() < TELLING, "whoever is answered does not wait for it");
        assert_eq!(*shared.claims.open.borrow(), 1);
        shared.claims_ended().await;
        assert!(began.elapsed() < 2 * TELLING);
        let Claimed::Away(claim, _) = shared.claim(keyed).await else { panic!("nobody is there") };
        drop(claim);
        assert_eq!(*shared.claims.open.borrow(), 0, "what was never sent need not be let go");
        assert_eq!(shared.claims.room.available_permits(), ROOM);
    }
}
