//! Where the memory is kept: a redb database, written in batches by a thread of its own.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use redb::{Database, DatabaseError, ReadableTable as _, StorageError, TableDefinition};
use siphasher::sip128::{Hasher128 as _, SipHasher13};

const FILE: &str = "first-seen.redb";
/// A workload and its destination, and when it was first and last seen there, in microseconds since 1970, and
/// how often.
const TABLE: TableDefinition<'_, Key, (i64, i64, u64)> = TableDefinition::new("first-seen-1");
/// Bytes that redb keeps in memory. All is read once, and written rarely.
const CACHE: usize = 1 << 18;
/// How long changes are gathered: so much is lost in a crash.
const BATCH: Duration = Duration::from_secs(1);
/// Changes that may wait; a disk that is too slow for more loses them.
const MAX_WAITING: usize = 1 << 12;

pub(super) type Key = u128;

/// What is kept of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) first_seen: i64,
    pub(super) last_seen: i64,
    pub(super) seen: u64,
}

pub(super) enum Change {
    Seen(Key, Stored),
    Forgotten(Key),
}

/// Takes changes, and ends with the last of them on the disk.
pub(super) struct Store {
    changes: Option<SyncSender<Change>>,
    thread: Option<JoinHandle<()>>,
}

/// The same in every version: it is on the disk.
pub(super) fn key(workload: &str, destination: IpAddr) -> Key {
    let mut hasher = SipHasher13::new();
    std::hash::Hasher::write(&mut hasher, format!("{workload}\0{destination}").as_bytes());
    hasher.finish128().as_u128()
}

impl Store {
    /// Opens the store in a folder, with what it holds. One that is damaged is put aside, and a new one begun.
    pub(super) fn open(folder: &Path) -> anyhow::Result<(Self, Vec<(Key, Stored)>)> {
        let path = folder.join(FILE);
        let (database, stored) = match read(&path) {
            Err(Damage::Beyond(error)) => {
                let aside = path.with_extension("redb.damaged");
                fs::rename(&path, &aside).with_context(|| path.display().to_string())?;
                let (path, aside) = (path.display(), aside.display());
                tracing::warn!("{path}: {error}; it is now {aside}, and what is new is learned anew");
                read(&folder.join(FILE))
            }
            opened => opened,
        }
        .map_err(Damage::into_inner)
        .with_context(|| path.display().to_string())?;
        let (changes, received) = sync_channel(MAX_WAITING);
        let work = move || write_all(&database, &received, &path);
        let thread = thread::Builder::new().name("first-seen".to_owned()).spawn(work)?;
        Ok((Self { changes: Some(changes), thread: Some(thread) }, stored))
    }

    /// Writes a change, soon.
    pub(super) fn write(&self, change: Change) {
        if let Some(changes) = &self.changes {
            // A later sight writes it again.
            let _ = changes.try_send(change);
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.changes = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Why a database was not read.
enum Damage {
    /// The file is no use any more.
    Beyond(anyhow::Error),
    /// It cannot be had.
    None(anyhow::Error),
}

impl Damage {
    fn into_inner(self) -> anyhow::Error {
        match self {
            Self::Beyond(error) | Self::None(error) => error,
        }
    }
}

impl From<DatabaseError> for Damage {
    fn from(error: DatabaseError) -> Self {
        use io::ErrorKind::{InvalidData, UnexpectedEof};
        let is_of_the_system = |error: &io::Error| !matches!(error.kind(), InvalidData | UnexpectedEof);
        let is_in_use = matches!(error, DatabaseError::DatabaseAlreadyOpen);
        let is_out_of_reach =
            matches!(&error, DatabaseError::Storage(StorageError::Io(error)) if is_of_the_system(error));
        if is_in_use || is_out_of_reach { Self::None(error.into()) } else { Self::Beyond(error.into()) }
    }
}

type Opened = (Database, Vec<(Key, Stored)>);

/// Opens, checks and reads all, in a thread: redb panics over some damage.
fn read(path: &Path) -> Result<Opened, Damage> {
    let path: PathBuf = path.to_owned();
    let work = move || -> Result<Opened, Damage> {
        let mut database = Database::builder().set_cache_size(CACHE).create(&path)?;
        database.check_integrity()?;
        let stored = load(&database).map_err(Damage::Beyond)?;
        Ok((database, stored))
    };
    let reading = thread::Builder::new().name("first-seen".to_owned()).spawn(work);
    let reading = reading.map_err(|error| Damage::None(error.into()))?;
    reading.join().unwrap_or_else(|_| Err(Damage::Beyond(anyhow::anyhow!("damaged"))))
}

fn load(database: &Database) -> anyhow::Result<Vec<(Key, Stored)>> {
    // A table that does not exist yet is made by being opened.
    let writing = database.begin_write()?;
    writing.open_table(TABLE)?;
    writing.commit()?;
    let table = database.begin_read()?.open_table(TABLE)?;
    let mut all = Vec::new();
    for row in table.iter()? {
        let (key, value) = row?;
        let (first_seen, last_seen, seen) = value.value();
        all.push((key.value(), Stored { first_seen, last_seen, seen }));
    }
    Ok(all)
}

fn write_all(database: &Database, changes: &Receiver<Change>, path: &Path) {
    let mut fails = false;
    while let Ok(change) = changes.recv() {
        let batch = gather(change, changes);
        let failed = write(database, &batch);
        if let Err(error) = &failed
            && !fails
        {
            tracing::warn!(
                "{}: {error}; what is new now will be new again after the next start",
                path.display()
            );
        }
        fails = failed.is_err();
    }
}

/// The last of the changes to each, within the time of a batch.
fn gather(first: Change, changes: &Receiver<Change>) -> HashMap<Key, Option<Stored>> {
    let until = Instant::now() + BATCH;
    let mut batch = HashMap::new();
    let mut next = Ok(first);
    loop {
        match next {
            Ok(Change::Seen(key, stored)) => batch.insert(key, Some(stored)),
            Ok(Change::Forgotten(key)) => batch.insert(key, None),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return batch,
        };
        next = changes.recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

fn write(database: &Database, batch: &HashMap<Key, Option<Stored>>) -> anyhow::Result<()> {
    let writing = database.begin_write()?;
    {
        let mut table = writing.open_table(TABLE)?;
        for (key, stored) in batch {
            match stored {
                Some(Stored { first_seen, last_seen, seen }) => {
                    table.insert(key, (*first_seen, *last_seen, *seen))?
                }
                None => table.remove(key)?,
            };
        }
    }
    Ok(writing.commit()?)
}
