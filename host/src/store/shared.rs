//! The optional second tier, shared by all hosts: Redis or Valkey. The redis crate is named here only.
//!
//! One connection over RESP3 carries everything: reads and writes, the server's notes of keys that others have changed (client-side
//! tracking in broadcasting mode), and a channel for invalidations by tag. While it is away every read is a miss and every write is
//! dropped: hosts work on without it. When it comes back nothing that was noted in between is known, so listeners are told to forget.

use bytes::Bytes;
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, RedisError, Value, aio::MultiplexedConnection};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::mpsc;

/// Where all keys of Weft begin.
const ENTRIES: &str = "weft:e:";
const TAGS: &str = "weft:t:";
/// The channel on which tags are published, by hosts and by anybody else: `{"tags": ["film:7"]}`.
pub const CHANNEL: &str = "weft:invalidate";
/// Notes that may wait; one more, and everything is forgotten.
const NOTES: usize = 10_000;
/// Longest time that keys of a tag are remembered.
const TAG_LIFETIME: Duration = Duration::from_hours(24 * 7);

/// Something that others did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// An entry was changed or removed.
    Changed(String),
    /// Entries with these tags are true no more.
    Invalidated(Vec<String>),
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
    connection: Mutex<Option<MultiplexedConnection>>,
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
        Ok(Arc::new(Self { client, timeout, connection: Mutex::default() }))
    }

    fn connection(&self) -> Option<MultiplexedConnection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, connection: Option<MultiplexedConnection>) {
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = connection;
    }

    pub fn is_up(&self) -> bool {
        self.connection().is_some()
    }

    /// Keeps the connection until the future is dropped, and tells `listener` what others did.
    pub async fn run(self: Arc<Self>, mut listener: impl FnMut(Note)) {
        let mut pause = Duration::from_millis(50);
        let mut said = false;
        loop {
            let (sender, mut notes) = mpsc::channel(NOTES);
            match self.connect(sender).await {
                Ok(connection) => {
                    self.set(Some(connection));
                    pause = Duration::from_millis(50);
                    said = false;
                    // What happened before the first note is not known.
                    listener(Note::Unknown);
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
                    if let Some(tags) = info.data.last().and_then(published) {
                        listener(Note::Invalidated(tags));
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

    /// Tells all hosts that entries with these tags are true no more. Each of them then calls [`Shared::remove_tagged`].
    pub async fn publish(&self, tags: &[String]) {
        let Some(mut connection) = self.connection() else { return };
        let message = serde_json::json!({ "tags": tags }).to_string();
        let mut command = redis::cmd("PUBLISH");
        command.arg(CHANNEL).arg(message);
        let published = command.query_async::<()>(&mut connection);
        if let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(1), published).await {
            tracing::warn!(%error, ?tags, "an invalidation did not reach the shared cache");
        }
    }

    /// Removes the entries that are stored under the tags.
    pub async fn remove_tagged(&self, tags: &[String]) {
        let Some(mut connection) = self.connection() else { return };
        let work = async {
            for tag in tags {
                let set = format!("{TAGS}{tag}");
                let keys: Vec<String> = redis::cmd("SMEMBERS").arg(&set).query_async(&mut connection).await?;
                let mut command = redis::cmd("UNLINK");
                command.arg(&set);
                for key in &keys {
                    command.arg(format!("{ENTRIES}{key}"));
                }
                command.query_async::<()>(&mut connection).await?;
            }
            Ok::<(), RedisError>(())
        };
        if let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(5), work).await {
            tracing::warn!(%error, ?tags, "entries could not be removed from the shared cache");
        }
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

/// `{"tags": [..]}`. Anything else on the channel is nobody's.
fn published(value: &Value) -> Option<Vec<String>> {
    let Value::BulkString(bytes) = value else { return None };
    let message: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let tags = message.get("tags")?.as_array()?;
    Some(tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect())
}
