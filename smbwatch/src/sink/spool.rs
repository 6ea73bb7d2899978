//! Alerts of one sink that are still to be delivered, oldest first, on disk or in memory.

mod abandoned;
mod error;
mod place;
mod room;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use redb::{Database, ReadableTable as _, Table, TableDefinition};

use super::tally::{Counts, Tally};
pub(super) use abandoned::tell as tell_abandoned;
pub(super) use error::Error;
pub(super) use place::Place;
pub(super) use room::Room;
use room::cost;

/// Documents of alerts, by the microsecond since the epoch in which they came; no two have the same, and none a smaller one
/// than those before it.
const ALERTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("documents");
/// Bytes of alerts that are taken out at once.
const BATCH_BYTES: usize = 1 << 20;

/// An alert in the spool: its number, and its document.
pub(super) type Entry = (u64, Vec<u8>);

/// A bounded store that survives the process, or not, as its place does.
pub(super) struct Spool {
    place: Place,
    tally: Arc<Tally>,
    name: String,
    state: Mutex<State>,
}

struct State {
    room: Room,
    /// None after it has failed, until it is opened again.
    database: Option<Database>,
    next: u64,
    /// The number of the oldest; 0: there is none.
    oldest: u64,
    bytes: u64,
    /// The last alert of those that are on their way.
    taken: u64,
    /// What is no longer to be delivered, but still in the store.
    settled: BTreeSet<u64>,
    failing: bool,
}

impl Spool {
    /// The spool of the sink `name`. It is opened when it is used first.
    pub(super) fn new(place: Place, room: Room, name: &str, tally: Arc<Tally>) -> Self {
        let state = State {
            room,
            database: None,
            next: 0,
            oldest: 0,
            bytes: 0,
            taken: 0,
            settled: BTreeSet::new(),
            failing: false,
        };
        Self { place, tally, name: name.to_owned(), state: Mutex::new(state) }
    }

    /// Gives it another size, which holds from the next alert on.
    pub(super) fn resize(&self, room: Room) {
        self.lock().room = room;
    }

    /// Opens it now.
    pub(super) fn open(&self) -> Result<(), Error> {
        self.reopen(&mut self.lock())
    }

    /// Makes its file, if it is in one, so that it can be opened later.
    pub(super) fn prepare(&self) -> Result<(), Error> {
        Ok(self.place.prepare()?)
    }

    /// Takes alerts from the queue. They are safe when this returns; the oldest make room for them.
    pub(super) fn append(&self, mut bodies: &[Vec<u8>]) {
        while !bodies.is_empty() {
            let (most, mut costs) = (self.lock().room.chunk, 0);
            let fitting = bodies.iter().take_while(|body| {
                costs += cost(body);
                costs <= most
            });
            let (chunk, rest) = bodies.split_at(fitting.count().max(1));
            self.append_chunk(chunk);
            bodies = rest;
        }
    }

    fn append_chunk(&self, bodies: &[Vec<u8>]) {
        let mut state = self.lock();
        state.next = state.next.max(now());
        let (count, taken, most) = (bodies.len() as u64, state.taken, state.room.content);
        let appended = self.write(&mut state, |table, bytes, next| {
            for (key, body) in (next..).zip(bodies) {
                table.insert(key, body.as_slice())?;
                *bytes += cost(body);
            }
            let mut evicted = 0;
            while *bytes > most {
                let Some(oldest) = table.range(taken + 1..)?.next().transpose()? else { break };
                let (key, size) = (oldest.0.value(), cost(oldest.1.value()));
                drop(oldest);
                table.remove(key)?;
                *bytes -= size;
                evicted += 1;
            }
            Ok(evicted)
        });
        if appended.is_ok() {
            state.next += count;
        }
        let (bytes, oldest) = (state.bytes, state.oldest);
        self.tally.update(|counts| {
            counts.queued -= count;
            (counts.spooled_bytes, counts.oldest) = (bytes, oldest);
            match appended {
                Ok(evicted) => {
                    counts.spooled = counts.spooled + count - evicted;
                    counts.lost.evicted += evicted;
                }
                Err(_) => counts.lost.unspooled += count,
            }
        });
    }

    /// The oldest alerts, at most so many, which are then on their way until they are settled.
    pub(super) fn oldest(&self, most: usize) -> Result<Vec<Entry>, Error> {
        let mut state = self.lock();
        let read = guarded(|| self.read(&mut state, most));
        let entries = self.note(&mut state, read)?;
        state.taken = entries.last().map_or(0, |(key, _)| *key);
        Ok(entries)
    }

    /// Ends the way of the alerts that were taken out; those that are in neither list stay.
    pub(super) fn settle(&self, delivered: &[u64], refused: &[u64]) {
        self.end(&[delivered, refused].concat(), |counts| {
            counts.delivered += delivered.len() as u64;
            counts.lost.refused += refused.len() as u64;
        });
    }

    /// Ends the way of alerts that were taken out, and are not what was put in.
    pub(super) fn discard(&self, damaged: &[u64]) {
        self.end(damaged, |counts| counts.lost.unspooled += damaged.len() as u64);
    }

    fn end(&self, keys: &[u64], count: impl FnOnce(&mut Counts)) {
        let mut state = self.lock();
        state.taken = 0;
        state.settled.extend(keys);
        self.tally.update(|counts| {
            counts.spooled -= keys.len() as u64;
            count(counts);
        });
        // What cannot be removed now is passed over, and removed with the next that can.
        let _ = self.write(&mut state, |_, _, _| Ok(()));
        self.tally.update(|counts| (counts.spooled_bytes, counts.oldest) = (state.bytes, state.oldest));
    }

    fn read(&self, state: &mut State, most: usize) -> Result<Vec<Entry>, Error> {
        let database = self.database(state)?;
        let table = database.begin_read()?.open_table(ALERTS)?;
        let (mut entries, mut bytes) = (Vec::new(), 0);
        for entry in table.iter()? {
            let (key, body) = entry?;
            if entries.len() == most || (bytes > 0 && bytes + body.value().len() > BATCH_BYTES) {
                break;
            }
            if !state.settled.contains(&key.value()) {
                bytes += body.value().len();
                entries.push((key.value(), body.value().to_vec()));
            }
        }
        Ok(entries)
    }

    /// Changes the store durably, or not at all. The change is given the bytes in it, to correct, and the next number.
    fn write<T>(
        &self,
        state: &mut State,
        change: impl FnOnce(&mut Table<'_, u64, &[u8]>, &mut u64, u64) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let written = guarded(|| self.try_write(state, change));
        self.note(state, written)
    }

    fn try_write<T>(
        &self,
        state: &mut State,
        change: impl FnOnce(&mut Table<'_, u64, &[u8]>, &mut u64, u64) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let transaction = self.database(state)?.begin_write()?;
        // Known since the store was opened, perhaps just now.
        let (mut bytes, next) = (state.bytes, state.next);
        let mut table = transaction.open_table(ALERTS)?;
        for key in &state.settled {
            if let Some(body) = table.remove(key)? {
                bytes -= cost(body.value());
            }
        }
        let changed = change(&mut table, &mut bytes, next)?;
        let oldest = table.first()?.map_or(0, |(key, _)| key.value());
        drop(table);
        transaction.commit()?;
        (state.bytes, state.oldest) = (bytes, oldest);
        state.settled.clear();
        Ok(changed)
    }

    /// Says the first of several failures; the store is opened anew after each.
    fn note<T>(&self, state: &mut State, result: Result<T, Error>) -> Result<T, Error> {
        match &result {
            Ok(_) if state.failing => tracing::warn!("sink {}: the spool works again", self.name),
            Err(error) if !state.failing => tracing::error!(
                "sink {}: spool {}: {error}; alerts are counted as lost until it works again",
                self.name,
                self.place
            ),
            Ok(_) | Err(_) => {}
        }
        state.failing = result.is_err();
        if state.failing {
            state.database = None;
        }
        result
    }

    fn database<'a>(&self, state: &'a mut State) -> Result<&'a Database, Error> {
        if state.database.is_none() {
            self.reopen(state)?;
        }
        state.database.as_ref().ok_or_else(|| redb::Error::DatabaseAlreadyOpen.into())
    }

    /// Opens the store, and counts what is in it.
    fn reopen(&self, state: &mut State) -> Result<(), Error> {
        let (database, content) = self.place.open(&state.settled)?;
        state.next = state.next.max(content.last + 1);
        (state.bytes, state.oldest) = (content.bytes, content.first);
        state.database = Some(database);
        self.tally.update(|counts| {
            counts.lost.unspooled += counts.spooled.saturating_sub(content.waiting);
            // Of an earlier run; or a write that was said to have failed has come to be all the same.
            counts.inherited += content.waiting.saturating_sub(counts.spooled);
            counts.spooled = content.waiting;
            (counts.spooled_bytes, counts.oldest) = (content.bytes, content.first);
        });
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// redb has assertions about what it reads.
fn guarded<T>(action: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let panicked = |_| Err(redb::Error::Corrupted("redb does not take what it finds".to_owned()).into());
    catch_unwind(AssertUnwindSafe(action)).unwrap_or_else(panicked)
}

/// Microseconds since the epoch.
fn now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    elapsed.as_micros().try_into().unwrap_or(0)
}
