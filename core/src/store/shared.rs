//! The optional second tier, shared by all hosts: Redis or Valkey. The redis crate is named here, and in [`claims`], only.
//!
//! One connection over RESP3 carries everything: reads and writes, the server's notes of keys that others have changed (client-side
//! tracking in broadcasting mode), and a channel for invalidations by tag. While it is away every read is a miss and every write is
//! dropped: hosts work on without it. When it comes back nothing that was noted in between is known, so listeners are told to forget.
//!
//! What is true is said by [`super::marks`]. Only invalidations are never dropped ([`super::invalidations`]): until one has come through, entries that it concerns are not read.

pub(super) mod claims;

use super::{
    invalidations::{Invalidation, Job, PendingInvalidations},
    marks::{Found, GET, PUT, Put, Wanted, behind, found_in, millis},
};
use claims::Claims;
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, RedisError, Value, aio::MultiplexedConnection};
use serde_json::json;
use std::{fmt, sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};

/// Notes that may wait; one more, and everything is forgotten.
const NOTES: usize = 10_000;
/// Tags that one command removes.
const CHUNK: usize = 1_000;
/// How long one command of an invalidation may take, and the pause before it is tried again.
const PATIENCE: Duration = Duration::from_secs(1);

/// Something that others did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// An entry was changed or removed.
    Changed(String),
    /// Entries are true no more.
    Invalidated(Invalidation),
    /// The connection was lost, or notes were: anything may have changed.
    Unknown,
}

/// The second tier.
pub struct Shared {
    client: Client,
    timeout: Duration,
    connection: watch::Sender<Option<MultiplexedConnection>>,
    /// Whether a connection was tried.
    tried: watch::Sender<bool>,
    pending: PendingInvalidations,
    claims: Claims,
    url: String,
    /// Where all its keys begin.
    root: String,
    /// The channel on which it is published what is true no more, by hosts and by anybody else: `{"tags": ["film:7"]}`, `{"all": true}`.
    channel: String,
    /// By which it knows its own messages.
    name: String,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("timeout", &self.timeout).field("is_up", &self.is_up()).finish_non_exhaustive()
    }
}

impl Shared {
    /// Connects to nothing yet. `namespace` keeps clusters apart that have one server; `timeout` bounds each read and write.
    pub fn new(url: &str, namespace: &str, timeout: Duration) -> Result<Arc<Self>, String> {
        let separator = if url.contains('?') { '&' } else { '?' };
        let url = if url.contains("protocol=") { url.to_owned() } else { format!("{url}{separator}protocol=resp3") };
        let client = Client::open(&*url).map_err(|error| error.to_string())?;
        let name = format!("{:016x}", rand::random::<u64>());
        let root = if namespace.is_empty() { "weft:".to_owned() } else { format!("weft/{namespace}:") };
        let channel = format!("{root}invalidate");
        let (connection, tried) = (watch::Sender::new(None), watch::Sender::new(false));
        let (pending, claims) = (PendingInvalidations::default(), Claims::default());
        Ok(Arc::new(Self { client, timeout, connection, tried, pending, claims, url, root, channel, name }))
    }

    /// Whether both keep their keys at one place, so that what is said by one is found by the other.
    pub fn is_at_one_place_with(&self, other: &Self) -> bool {
        (&self.url, &self.root) == (&other.url, &other.root)
    }

    fn entry(&self, key: &str) -> String {
        format!("{}e:{key}", self.root)
    }

    fn mark(&self, tag: &str) -> String {
        format!("{}m:{tag}", self.root)
    }

    fn keyed(&self, key: &str) -> String {
        format!("{}i:{key}", self.root)
    }

    /// Each entry has it, and no tag is called so.
    fn mark_of_all(&self) -> String {
        format!("{}all", self.root)
    }

    /// Begins a script that is about an entry and its tags.
    fn script(&self, text: &str, key: &str, tags: &[String]) -> redis::Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(text).arg(tags.len() + 2).arg(self.entry(key)).arg(self.mark_of_all());
        for tag in tags {
            command.arg(self.mark(tag));
        }
        command
    }

    fn connection(&self) -> Option<MultiplexedConnection> {
        self.connection.borrow().clone()
    }

    fn set(&self, connection: Option<MultiplexedConnection>) {
        self.connection.send_replace(connection);
    }

    pub fn is_up(&self) -> bool {
        self.connection.borrow().is_some()
    }

    /// Keeps the connection until the future is dropped, tells `listener` what others did, and others what was done here.
    pub async fn run(self: Arc<Self>, listener: impl FnMut(Note)) {
        tokio::join!(self.keep_connected(listener), self.deliver());
    }

    async fn keep_connected(&self, mut listener: impl FnMut(Note)) {
        let mut pause = Duration::from_millis(50);
        let mut said = false;
        loop {
            let (sender, mut notes) = mpsc::channel(NOTES);
            match self.connect(sender).await {
                Ok(connection) => {
                    // What happened before the first note is not known.
                    listener(Note::Unknown);
                    self.set(Some(connection));
                    self.tried.send_replace(true);
                    pause = Duration::from_millis(50);
                    said = false;
                    tracing::info!("the shared cache is there");
                    self.listen(&mut notes, &mut listener).await;
                    self.set(None);
                    listener(Note::Unknown);
                    tracing::warn!("the shared cache is away; this host works on without it");
                }
                Err(error) if !said => {
                    said = true;
                    tracing::warn!(%error, "the shared cache can't be reached; this host works on without it");
                }
                Err(_) => {}
            }
            self.tried.send_replace(true);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    async fn connect(&self, sender: mpsc::Sender<PushInfo>) -> Result<MultiplexedConnection, RedisError> {
        let push = move |info: PushInfo| sender.try_send(info).map_err(|_| ());
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(1)))
            .set_response_timeout(Some(self.timeout.max(Duration::from_secs(1))))
            .set_push_sender(push);
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        let mut tracking = redis::cmd("CLIENT");
        tracking.arg(&["TRACKING", "ON", "BCAST", "PREFIX", &self.entry(""), "NOLOOP"]);
        tracking.query_async::<()>(&mut connection).await?;
        connection.subscribe(&self.channel).await?;
        connection.set_response_timeout(self.timeout);
        Ok(connection)
    }

    /// Until the connection is lost.
    async fn listen(&self, notes: &mut mpsc::Receiver<PushInfo>, listener: &mut impl FnMut(Note)) {
        while let Some(info) = notes.recv().await {
            match info.kind {
                PushKind::Disconnection => return,
                PushKind::Invalidate => changed(&self.entry(""), &info.data, listener),
                PushKind::Message => {
                    if let Some(what) = info.data.last().and_then(|message| self.published(message)) {
                        listener(Note::Invalidated(what));
                    }
                }
                _ => {}
            }
            if notes.len() + 1 >= NOTES {
                return;
            }
        }
    }

    /// Looks for all of them at once; `None` for each while the tier is away or slow.
    pub async fn get(&self, wanted: &[Wanted]) -> Vec<Option<Found>> {
        let nothing = || vec![None; wanted.len()];
        let Some(mut connection) = self.connection() else { return nothing() };
        let mut pipe = redis::pipe();
        for Wanted { key, tags, lifetime } in wanted {
            let mut script = self.script(GET, key, tags);
            script.arg(format!("{:032x}", rand::random::<u128>())).arg(millis(*lifetime).saturating_mul(2));
            pipe.add_command(script);
        }
        let answer = pipe.query_async::<Vec<(Vec<u8>, Vec<u8>)>>(&mut connection);
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(Ok(found)) if found.len() == wanted.len() => {
                found.into_iter().map(|(value, marks)| Some(found_in(value, marks))).collect()
            }
            _ => nothing(),
        }
    }

    /// Writes an entry, unless one of its tags was invalidated since its marks were looked at. Dropped while the tier is away.
    pub async fn put(&self, put: &Put) {
        let Some(mut connection) = self.connection() else { return };
        let mut script = self.script(PUT, &put.key, &put.tags);
        script.arg(&put.marks[..]).arg(behind(&put.marks, &put.value)).arg(millis(put.lifetime));
        let _ = tokio::time::timeout(self.timeout, script.query_async::<()>(&mut connection)).await;
    }

    /// From now on nobody here reads entries that this concerns, until they were removed. `tell`: and the other hosts are told.
    /// Gives back a number to wait for.
    pub fn invalidate(&self, what: &Invalidation, tell: bool) -> u64 {
        self.pending.add(what, tell)
    }

    /// Whether an entry with these tags may be one that is true no more.
    pub fn is_pending(&self, tags: &[String]) -> bool {
        self.pending.is_pending(tags)
    }

    /// Until the invalidation with this number was carried out; but no longer than any other look into the tier, and not while it is
    /// away.
    pub async fn removed(&self, number: u64) {
        let mut connection = self.connection.subscribe();
        tokio::select! {
            () = self.pending.done(number) => {}
            _ = connection.wait_for(Option::is_none) => {}
            () = tokio::time::sleep(self.timeout) => {}
        }
    }

    /// Carries out what is pending, one after the other, each again until it has come through.
    async fn deliver(&self) {
        let mut connections = self.connection.subscribe();
        loop {
            let job = self.pending.next().await;
            let Ok(Some(mut connection)) = connections.wait_for(Option::is_some).await.map(|found| found.clone())
            else {
                return;
            };
            connection.set_response_timeout(PATIENCE);
            match self.remove(connection, &job).await {
                Ok(()) => self.pending.finish(&job),
                Err(error) => {
                    tracing::warn!(%error, what = ?job.what, "an invalidation has not reached the shared cache yet");
                    tokio::time::sleep(PATIENCE).await;
                }
            }
        }
    }

    /// The other hosts are told first, so that none of them stores what it is loading now after it was removed.
    async fn remove(&self, mut connection: MultiplexedConnection, job: &Job) -> Result<(), RedisError> {
        match &job.tell {
            Some(Invalidation::Tags(tags)) => {
                for tags in tags.chunks(CHUNK) {
                    self.publish(&mut connection, &json!({ "tags": tags, "from": self.name })).await?;
                }
            }
            Some(Invalidation::All) => {
                self.publish(&mut connection, &json!({ "all": true, "from": self.name })).await?
            }
            None => {}
        }
        let marks: Vec<_> = match &job.what {
            Invalidation::Tags(tags) => tags.iter().map(|tag| self.mark(tag)).collect(),
            Invalidation::All => vec![self.mark_of_all()],
        };
        for marks in marks.chunks(CHUNK) {
            redis::cmd("UNLINK").arg(marks).query_async::<()>(&mut connection).await?;
        }
        Ok(())
    }

    async fn publish(
        &self,
        connection: &mut MultiplexedConnection,
        message: &serde_json::Value,
    ) -> Result<(), RedisError> {
        redis::cmd("PUBLISH").arg(&self.channel).arg(message.to_string()).query_async(connection).await
    }

    /// All that is pending still, for whoever goes on with it; and what of it others have to be told.
    pub fn pending(&self) -> Option<(Invalidation, Option<Invalidation>)> {
        self.pending.pending().map(|job| (job.what, job.tell))
    }

    /// Until nothing is pending any more.
    pub async fn settled(&self) {
        self.pending.settled().await;
    }

    /// `{"tags": [..]}` or `{"all": true}`. Anything else on the channel is nobody's, and what we said ourselves is known.
    fn published(&self, message: &Value) -> Option<Invalidation> {
        let Value::BulkString(bytes) = message else { return None };
        let message: serde_json::Value = serde_json::from_slice(bytes).ok()?;
        if message.get("from").is_some_and(|from| *from == self.name) {
            return None;
        }
        if message.get("all").is_some_and(|all| *all == true) {
            return Some(Invalidation::All);
        }
        let tags = message.get("tags")?.as_array()?;
        Some(Invalidation::Tags(tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect()))
    }
}

/// The keys of an `invalidate` push; none means all.
fn changed(root: &str, data: &[Value], listener: &mut impl FnMut(Note)) {
    let Some(Value::Array(keys)) = data.first() else {
        listener(Note::Unknown);
        return;
    };
    for key in keys {
        let text = match key {
            Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
            Value::SimpleString(text) => Some(text.as_str()),
            _ => None,
        };
        if let Some(key) = text.and_then(|text| text.strip_prefix(root)) {
            listener(Note::Changed(key.to_owned()));
        }
    }
}
