//! The optional second tier, shared by all hosts: Redis or Valkey. The redis crate is named here only.
//!
//! One connection over RESP3 carries everything: reads and writes, the server's notes of keys that others have changed (client-side
//! tracking in broadcasting mode), and a channel for invalidations by tag. While it is away every read is a miss and every write is
//! dropped: hosts work on without it. When it comes back nothing that was noted in between is known, so listeners are told to forget.
//!
//! Only invalidations are never dropped ([`super::doubts`]): until one has come through, entries that it concerns are not read.

use super::doubts::{Doubts, Job, Untrue};
use bytes::Bytes;
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, RedisError, Value, aio::MultiplexedConnection};
use serde_json::json;
use std::{fmt, sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};

/// Where all keys of Weft begin.
const ENTRIES: &str = "weft:e:";
const TAGS: &str = "weft:t:";
/// The channel on which it is published what is true no more, by hosts and by anybody else: `{"tags": ["film:7"]}`, `{"all": true}`.
pub const CHANNEL: &str = "weft:invalidate";
/// Notes that may wait; one more, and everything is forgotten.
const NOTES: usize = 10_000;
/// Longest time that keys of a tag are remembered.
const TAG_LIFETIME: Duration = Duration::from_hours(24 * 7);
/// How long one command of an invalidation may take, and the pause before it is tried again.
const PATIENCE: Duration = Duration::from_secs(1);

/// Something that others did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// An entry was changed or removed.
    Changed(String),
    /// Entries are true no more.
    Invalidated(Untrue),
    /// The connection was lost, or notes were: anything may have changed.
    Unknown,
}

/// One entry to be written.
#[derive(Debug, Clone)]
pub struct Put {
    pub key: String,
    pub value: Bytes,
    pub lifetime: Duration,
    pub tags: Arc<[String]>,
}

/// The second tier.
pub struct Shared {
    client: Client,
    timeout: Duration,
    connection: watch::Sender<Option<MultiplexedConnection>>,
    doubts: Doubts,
    /// By which it knows its own messages.
    name: String,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("timeout", &self.timeout).field("is_up", &self.is_up()).finish_non_exhaustive()
    }
}

impl Shared {
    /// Connects to nothing yet. `timeout` bounds each read and write.
    pub fn new(url: &str, timeout: Duration) -> Result<Arc<Self>, String> {
        let separator = if url.contains('?') { '&' } else { '?' };
        let url = if url.contains("protocol=") { url.to_owned() } else { format!("{url}{separator}protocol=resp3") };
        let client = Client::open(url).map_err(|error| error.to_string())?;
        let name = format!("{:016x}", rand::random::<u64>());
        Ok(Arc::new(Self { client, timeout, connection: watch::Sender::new(None), doubts: Doubts::default(), name }))
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
        tracking.arg(&["TRACKING", "ON", "BCAST", "PREFIX", ENTRIES, "NOLOOP"]);
        tracking.query_async::<()>(&mut connection).await?;
        connection.subscribe(CHANNEL).await?;
        connection.set_response_timeout(self.timeout);
        Ok(connection)
    }

    /// Until the connection is lost.
    async fn listen(&self, notes: &mut mpsc::Receiver<PushInfo>, listener: &mut impl FnMut(Note)) {
        while let Some(info) = notes.recv().await {
            match info.kind {
                PushKind::Disconnection => return,
                PushKind::Invalidate => changed(&info.data, listener),
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

    /// The values of the keys; all misses while the tier is away or slow.
    pub async fn get(&self, keys: &[String]) -> Vec<Option<Bytes>> {
        let misses = || vec![None; keys.len()];
        let Some(mut connection) = self.connection() else { return misses() };
        let mut command = redis::cmd("MGET");
        for key in keys {
            command.arg(format!("{ENTRIES}{key}"));
        }
        match tokio::time::timeout(self.timeout, command.query_async::<Vec<Option<Vec<u8>>>>(&mut connection)).await {
            Ok(Ok(values)) if values.len() == keys.len() => {
                values.into_iter().map(|value| value.map(Bytes::from)).collect()
            }
            _ => misses(),
        }
    }

    /// Writes an entry and remembers it under its tags. Dropped while the tier is away.
    pub async fn put(&self, put: &Put) {
        let Some(mut connection) = self.connection() else { return };
        let lifetime = u64::try_from(put.lifetime.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut pipe = redis::pipe();
        pipe.cmd("SET").arg(format!("{ENTRIES}{}", put.key)).arg(&put.value[..]).arg("PX").arg(lifetime).ignore();
        for tag in put.tags.iter() {
            let set = format!("{TAGS}{tag}");
            pipe.cmd("SADD").arg(&set).arg(&put.key).ignore();
            pipe.cmd("EXPIRE").arg(&set).arg(TAG_LIFETIME.as_secs()).ignore();
        }
        let _ = tokio::time::timeout(self.timeout, pipe.query_async::<()>(&mut connection)).await;
    }

    /// From now on nobody here reads entries that this concerns, until they were removed. `tell`: and the other hosts are told.
    /// Gives back a number to wait for.
    pub fn doubt(&self, what: &Untrue, tell: bool) -> u64 {
        self.doubts.add(what, tell)
    }

    /// Whether an entry with these tags may be one that is true no more.
    pub fn is_doubtful(&self, tags: &[String]) -> bool {
        self.doubts.is_doubtful(tags)
    }

    /// Until what is in doubt under this number was removed; but no longer than any other look into the tier, and not while it is
    /// away.
    pub async fn removed(&self, number: u64) {
        let mut connection = self.connection.subscribe();
        tokio::select! {
            () = self.doubts.done(number) => {}
            _ = connection.wait_for(Option::is_none) => {}
            () = tokio::time::sleep(self.timeout) => {}
        }
    }

    /// Removes what is in doubt, one after the other, each again until it has come through.
    async fn deliver(&self) {
        let mut connections = self.connection.subscribe();
        loop {
            let job = self.doubts.next().await;
            let Ok(Some(mut connection)) = connections.wait_for(Option::is_some).await.map(|found| found.clone())
            else {
                return;
            };
            connection.set_response_timeout(PATIENCE);
            match self.remove(connection, &job).await {
                Ok(()) => self.doubts.finish(&job),
                Err(error) => {
                    tracing::warn!(%error, what = ?job.what, "an invalidation has not reached the shared cache yet");
                    tokio::time::sleep(PATIENCE).await;
                }
            }
        }
    }

    /// The other hosts are told first, so that none of them stores what it is loading now after it was removed.
    async fn remove(&self, mut connection: MultiplexedConnection, job: &Job) -> Result<(), RedisError> {
        if job.tell {
            let message = match &job.what {
                Untrue::Tags(tags) => json!({ "tags": tags, "from": self.name }),
                Untrue::All => json!({ "all": true, "from": self.name }),
            };
            redis::cmd("PUBLISH").arg(CHANNEL).arg(message.to_string()).query_async::<()>(&mut connection).await?;
        }
        match &job.what {
            Untrue::Tags(tags) => {
                for tag in tags {
                    remove_tagged(&mut connection, tag).await?;
                }
                Ok(())
            }
            Untrue::All => remove_all(&mut connection).await,
        }
    }

    /// `{"tags": [..]}` or `{"all": true}`. Anything else on the channel is nobody's, and what we said ourselves is known.
    fn published(&self, message: &Value) -> Option<Untrue> {
        let Value::BulkString(bytes) = message else { return None };
        let message: serde_json::Value = serde_json::from_slice(bytes).ok()?;
        if message.get("from").is_some_and(|from| *from == self.name) {
            return None;
        }
        if message.get("all").is_some_and(|all| *all == true) {
            return Some(Untrue::All);
        }
        let tags = message.get("tags")?.as_array()?;
        Some(Untrue::Tags(tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect()))
    }
}

async fn remove_tagged(connection: &mut MultiplexedConnection, tag: &str) -> Result<(), RedisError> {
    let set = format!("{TAGS}{tag}");
    let keys: Vec<String> = redis::cmd("SMEMBERS").arg(&set).query_async(connection).await?;
    if keys.is_empty() {
        return Ok(());
    }
    // Those that were found and no others: one that is stored meanwhile has to be found next time.
    let entries: Vec<String> = keys.iter().map(|key| format!("{ENTRIES}{key}")).collect();
    let mut pipe = redis::pipe();
    pipe.cmd("UNLINK").arg(&entries).ignore().cmd("SREM").arg(&set).arg(&keys).ignore();
    pipe.query_async::<()>(connection).await
}

async fn remove_all(connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    let mut cursor = 0_u64;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{ENTRIES}*")).arg("COUNT").arg(1_000);
        let (next, keys): (u64, Vec<String>) = scan.query_async(connection).await?;
        if !keys.is_empty() {
            redis::cmd("UNLINK").arg(&keys).query_async::<()>(connection).await?;
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}

/// The keys of an `invalidate` push; none means all.
fn changed(data: &[Value], listener: &mut impl FnMut(Note)) {
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
        if let Some(key) = text.and_then(|text| text.strip_prefix(ENTRIES)) {
            listener(Note::Changed(key.to_owned()));
        }
    }
}
