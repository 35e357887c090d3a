//! The history on disk: a database that a crash leaves whole (redb), and beside it the bytes of releases.
//!
//! The database is opened for each change alone. So a host that takes over from another one in its place waits for nobody, and who has
//! been overtaken finds that out and writes no more.

use super::{
    ledger::{Batch, Ledger},
    record::{Event, Record},
};
use crate::model::Digest;
use redb::{Database, DatabaseError, ReadableTable, TableDefinition, WriteTransaction};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant, SystemTime},
};

const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");
const GOALS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("goals");
/// Raised by each host that takes the history over: who has another number writes no more.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const GENERATION: &str = "generation";
/// How long another host may hold the database: it writes for milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);
/// Memory of the database, in bytes.
const CACHE: usize = 1 << 20;

/// Why a history can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {reason}", path.display())]
    Database { path: PathBuf, reason: String },
    #[error("{}: another host has taken it over since: each needs a folder of its own (`history` in [plugins])", .0.display())]
    Overtaken(PathBuf),
    #[error("this host keeps no history (`history = \"\"` in [plugins]), and could not know of it after a restart")]
    None,
    #[error("the history of releases can't be used since the start of this host: {0}")]
    Unusable(String),
}

/// The folder of a history.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    generation: AtomicU64,
}

impl Store {
    /// The folder is made, for this user alone.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let store = Self { folder: folder.to_owned(), generation: AtomicU64::new(0) };
        let path = store.artifacts();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|source| StoreError::Io { path, source })?;
        Ok(store)
    }

    fn database(&self) -> PathBuf {
        self.folder.join("history.redb")
    }

    fn artifacts(&self) -> PathBuf {
        self.folder.join("artifacts")
    }

    /// Where the bytes of a release lie, or would.
    pub fn artifact(&self, digest: &Digest) -> PathBuf {
        self.artifacts().join(format!("{}.wasm", digest.hex()))
    }

    /// Whether the file is one of a release whose bytes are kept.
    pub fn is_within(&self, file: &Path) -> bool {
        file.parent() == Some(&*self.artifacts())
    }

    /// Takes the history over, with everything that was written. One that can't be read is put aside, and the history is lost: said by the text
    /// that comes with it.
    pub fn read(&self) -> Result<(Ledger, Option<String>), StoreError> {
        let is_there = self.database().exists();
        let has_artifacts = || fs::read_dir(self.artifacts()).is_ok_and(|mut entries| entries.next().is_some());
        let lost = (!is_there && has_artifacts()).then(|| format!("{} is gone", self.database().display()));
        // Whatever lies in the file, the host starts.
        let reason = match catch_unwind(AssertUnwindSafe(|| self.take_over())) {
            Ok(Ok(ledger)) => return Ok((ledger, lost)),
            Ok(Err(StoreError::Database { reason, .. })) if is_there => reason,
            Ok(Err(error)) => return Err(error),
            Err(_) => "it can't be read".to_owned(),
        };
        let lost = self.put_aside(&reason)?;
        Ok((self.take_over()?, Some(lost)))
    }

    fn take_over(&self) -> Result<Ledger, StoreError> {
        let (ledger, generation) = self.with(take_over)?;
        self.generation.store(generation, Relaxed);
        Ok(ledger)
    }

    fn put_aside(&self, reason: &str) -> Result<String, StoreError> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let (path, aside) = (self.database(), self.folder.join(format!("history.redb.unreadable-{now}")));
        fs::rename(&path, &aside).map_err(|source| StoreError::Io { path, source })?;
        Ok(format!("{reason}; it was moved to {}", aside.display()))
    }

    /// All of it, or nothing; on the disk when this returns.
    pub fn write(&self, ledger: &Ledger, batch: &Batch) -> Result<(), StoreError> {
        let generation = self.generation.load(Relaxed);
        self.with(|transaction| write_batch(transaction, generation, ledger, batch))
    }

    /// In one transaction, committed if all went well.
    fn with<T>(&self, work: impl FnOnce(&WriteTransaction) -> Result<T, Fault>) -> Result<T, StoreError> {
        let database = self.patiently()?;
        let all = || {
            let transaction = database.begin_write()?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        all().map_err(|fault| self.error(fault))
    }

    fn patiently(&self) -> Result<Database, StoreError> {
        let until = Instant::now() + PATIENCE;
        loop {
            match Database::builder().set_cache_size(CACHE).create(self.database()) {
                Err(DatabaseError::DatabaseAlreadyOpen) if Instant::now() < until => thread::sleep(PAUSE),
                Err(error) => return Err(self.error(error.into())),
                Ok(database) => return Ok(database),
            }
        }
    }

    /// Keeps the bytes: whole on the disk when this returns, or not at all.
    pub fn keep(&self, digest: &Digest, bytes: &[u8]) -> Result<PathBuf, StoreError> {
        let path = self.artifact(digest);
        if path.exists() {
            return Ok(path);
        }
        let part = self.artifacts().join(format!(".{}.{:016x}.part", digest.hex(), rand::random::<u64>()));
        let io = |source| StoreError::Io { path: part.clone(), source };
        let write = || {
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&part, &path)?;
            File::open(self.artifacts())?.sync_all()
        };
        write().map_err(|error| {
            // It is of no use to anybody.
            let _ = fs::remove_file(&part);
            io(error)
        })?;
        Ok(path)
    }

    /// Removes what a host has left that was killed before it knew of it.
    pub fn sweep(&self, ledger: &Ledger) {
        for entry in fs::read_dir(self.artifacts()).into_iter().flatten().flatten() {
            let path = entry.path();
            let digest = path.file_stem().and_then(|name| name.to_str()?.parse().ok());
            let is_kept = digest.and_then(|digest| ledger.record(&digest)).is_some_and(|record| record.kept);
            if !is_kept && let Err(error) = fs::remove_file(&path) {
                tracing::warn!(file = %path.display(), %error, "what a host before has left can't be removed");
            }
        }
    }

    pub fn drop_artifact(&self, digest: &Digest) {
        if let Err(error) = fs::remove_file(self.artifact(digest))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(file = %self.artifact(digest).display(), %error, "an artifact that nobody needs can't be removed");
        }
    }

    /// What the disk says is told from what lies on it.
    fn error(&self, fault: Fault) -> StoreError {
        let path = self.database();
        match fault {
            Fault::Overtaken => StoreError::Overtaken(self.folder.clone()),
            Fault::Database(redb::Error::Io(source)) if source.kind() != io::ErrorKind::InvalidData => {
                StoreError::Io { path, source }
            }
            Fault::Database(redb::Error::DatabaseAlreadyOpen) => {
                StoreError::Io { path, source: io::ErrorKind::WouldBlock.into() }
            }
            Fault::Database(error) => StoreError::Database { path, reason: error.to_string() },
            Fault::Unreadable(reason) => StoreError::Database { path, reason },
        }
    }
}

/// What may go wrong inside of a transaction.
enum Fault {
    Database(redb::Error),
    Unreadable(String),
    Overtaken,
}

impl<E: Into<redb::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Database(error.into())
    }
}

/// With the generation that this host is.
fn take_over(transaction: &WriteTransaction) -> Result<(Ledger, u64), Fault> {
    let ledger = read_ledger(transaction)?;
    let mut meta = transaction.open_table(META)?;
    let generation = meta.get(GENERATION)?.map_or(0, |generation| generation.value()) + 1;
    meta.insert(GENERATION, generation)?;
    Ok((ledger, generation))
}

fn read_ledger(transaction: &WriteTransaction) -> Result<Ledger, Fault> {
    let mut events = Vec::new();
    for row in transaction.open_table(EVENTS)?.iter()? {
        events.push(parse::<Event>(row?.1.value())?);
    }
    let mut records = Vec::new();
    for row in transaction.open_table(RECORDS)?.iter()? {
        records.push(parse::<Record>(row?.1.value())?);
    }
    let mut goals = BTreeMap::new();
    for row in transaction.open_table(GOALS)?.iter()? {
        let (plugin, goal) = row?;
        goals.insert(plugin.value().to_owned(), parse(goal.value())?);
    }
    Ok(Ledger::of(records, goals, events))
}

fn write_batch(transaction: &WriteTransaction, generation: u64, ledger: &Ledger, batch: &Batch) -> Result<(), Fault> {
    if transaction.open_table(META)?.get(GENERATION)?.is_none_or(|newest| newest.value() != generation) {
        return Err(Fault::Overtaken);
    }
    let mut events = transaction.open_table(EVENTS)?;
    for event in &batch.events {
        events.insert(event.number, json(event).as_slice())?;
    }
    events.retain_in::<u64, _>(..batch.first, |_, _| false)?;
    let mut records = transaction.open_table(RECORDS)?;
    for record in batch.records.iter().filter_map(|digest| ledger.record(digest)) {
        records.insert(record.digest.hex().as_str(), json(record).as_slice())?;
    }
    for digest in &batch.forgotten {
        records.remove(digest.hex().as_str())?;
    }
    let mut goals = transaction.open_table(GOALS)?;
    for plugin in &batch.goals {
        match ledger.goal(plugin) {
            Some(goal) => drop(goals.insert(plugin.as_str(), json(&goal).as_slice())?),
            None => drop(goals.remove(plugin.as_str())?),
        }
    }
    Ok(())
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|error| Fault::Unreadable(error.to_string()))
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
