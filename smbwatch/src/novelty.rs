//! What was seen first: each workload's destinations, remembered across restarts.

mod workload;
mod store;

use std::net::IpAddr;
use std::num::NonZeroUsize;

use jiff::Timestamp;
use lru::LruCache;
use serde::Serialize;

use crate::config::enrichment::State;
use crate::enrich::who::Who;
use store::{Change, Key, Store, Stored};
pub use workload::workload;

/// Remembers, of so many destinations of workloads, those that were seen last.
pub struct Memory {
    known: LruCache<Key, Record>,
    store: Store,
}

/// Whether a workload's destination is new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Novelty {
    /// The workload.
    pub workload: String,
    /// When it was first seen to connect there.
    pub first_seen: Timestamp,
    /// This is the first time.
    pub new: bool,
    /// Its connections there that were told, this one included.
    pub seen: u64,
}

#[derive(Clone, Copy)]
struct Record {
    stored: Stored,
    /// The incident with which it was new, if that was in this run.
    first: Option<u64>,
    /// The latest incident that was counted.
    latest: Option<u64>,
}

impl Memory {
    /// Reads what earlier runs have seen. Without a place to keep it there is no memory; a warning says so.
    pub fn open(state: &State) -> Option<Self> {
        let capacity = NonZeroUsize::new(state.destinations)?;
        let opened = Store::open(&state.dir);
        let (store, mut stored) =
            opened.inspect_err(|error| tracing::warn!("{error:#}; alerts will not say what is new")).ok()?;
        stored.sort_unstable_by_key(|(_, stored)| stored.last_seen);
        let mut known = LruCache::new(capacity);
        for (key, stored) in stored {
            let record = Record { stored, first: None, latest: None };
            forget(&store, known.push(key, record));
        }
        Some(Self { known, store })
    }

    /// Notes that a workload was seen to connect to `destination`, in the incident of that number. Alerts of one
    /// incident are one connection.
    pub fn saw(
        &mut self,
        who: &Who,
        source: IpAddr,
        destination: IpAddr,
        incident: u64,
        now: Timestamp,
    ) -> Novelty {
        let workload = workload(who, source);
        let key = store::key(&workload, destination);
        let known = self.known.get(&key).copied();
        let record =
            known.map_or_else(|| Record::new(incident, now), |known| known.seen_again(incident, now));
        // What gives way is another one, or this one's own past.
        let evicted = self.known.push(key, record).filter(|(other, _)| *other != key);
        forget(&self.store, evicted);
        if known.is_none_or(|known| known.stored != record.stored) {
            self.store.write(Change::Seen(key, record.stored));
        }
        let Stored { first_seen, seen, .. } = record.stored;
        let first_seen = Timestamp::from_microsecond(first_seen).unwrap_or(now);
        Novelty { workload, first_seen, new: record.first == Some(incident), seen }
    }
}

fn forget(store: &Store, evicted: Option<(Key, Record)>) {
    if let Some((key, _)) = evicted {
        store.write(Change::Forgotten(key));
    }
}

impl Record {
    fn new(incident: u64, now: Timestamp) -> Self {
        let now = now.as_microsecond();
        let stored = Stored { first_seen: now, last_seen: now, seen: 1 };
        Self { stored, first: Some(incident), latest: Some(incident) }
    }

    /// Incidents are numbered as they begin.
    fn seen_again(&self, incident: u64, now: Timestamp) -> Self {
        if self.latest.is_some_and(|latest| incident <= latest) {
            return *self;
        }
        let Stored { first_seen, last_seen, seen } = self.stored;
        let last_seen = last_seen.max(now.as_microsecond());
        let stored = Stored { first_seen, last_seen, seen: seen.saturating_add(1) };
        Self { stored, first: self.first, latest: Some(incident) }
    }
}

#[cfg(test)]
mod tests;
