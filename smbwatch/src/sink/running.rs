//! A sink that runs: its queue, its threads, and its end.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use anyhow::Context as _;
use tokio::sync::mpsc;

use super::spool::{Place, Room, Spool};
use super::stdout::Format;
use super::tally::{Counts, Tally};
use super::{KEPT, Message, QUEUE, make, serve};
use crate::alert::Document;
use crate::config::sinks::SinkConfig;

/// A running sink.
pub struct Running {
    /// Its name for people.
    pub name: String,
    /// What became of its alerts.
    pub tally: Arc<Tally>,
    pub(super) config: SinkConfig,
    queue: mpsc::Sender<Message>,
    thread: JoinHandle<()>,
    /// Where the end of the sink is awaited whose place this one takes.
    after: Option<Sender<Closing>>,
}

/// Starts a sink; spools are kept in `folder`.
pub fn start(config: &SinkConfig, folder: &Path, format: Format) -> anyhow::Result<Running> {
    start_after(None, config, folder, format)
}

/// The same in the place of `before`, if there is a sink of that name. Until it is told of the end of that, it keeps
/// what it is given in its queue; the account goes on.
pub(super) fn start_after(
    before: Option<&Running>,
    config: &SinkConfig,
    folder: &Path,
    format: Format,
) -> anyhow::Result<Running> {
    try_start(before, config, folder, format).with_context(|| format!("sink {}", config.name))
}

fn try_start(
    before: Option<&Running>,
    config: &SinkConfig,
    folder: &Path,
    format: Format,
) -> anyhow::Result<Running> {
    let (encode, sink) = make(config, format)?;
    let name = config.name.clone();
    let tally = before.map_or_else(Arc::default, |before| Arc::clone(&before.tally));
    let (queue, receiver) = mpsc::channel(QUEUE);
    let spool = (!config.target.is_local()).then(|| {
        let (place, room) = match config.spool_bytes {
            0 => (Place::Memory, Room::of(KEPT)),
            bytes => (Place::File(folder.join(format!("{name}.redb"))), Room::of(bytes)),
        };
        Spool::new(place, room, &name, Arc::clone(&tally))
    });
    let (after, end) = before.map(|_| channel()).unzip();
    if let (None, Some(spool)) = (before, &spool) {
        spool.open().context("open its spool")?;
    }
    let work = {
        let (name, tally) = (name.clone(), Arc::clone(&tally));
        move || {
            if end.is_some_and(|end: Receiver<Closing>| end.recv().map(Closing::wait).is_err()) {
                return;
            }
            match spool {
                None => serve::write(sink, &encode, receiver, &name, &tally),
                Some(spool) => serve::keep(sink, &encode, receiver, &spool, &tally, &name),
            }
        }
    };
    let thread = Builder::new().name("sink".to_owned()).spawn(work)?;
    Ok(Running { name, tally, config: config.clone(), queue, thread, after })
}

impl Running {
    /// Hands over an alert, or counts that the queue is full.
    pub fn send(&self, document: &Arc<Document>) {
        // All at once, so that nobody sees the alert in two places or in none.
        self.tally.update(|counts| {
            if !self.config.filter.passes(document) {
                counts.filtered += 1;
                return;
            }
            counts.made += 1;
            match self.queue.try_send(Message::Alert(Arc::clone(document))) {
                Ok(()) => counts.queued += 1,
                Err(_) => counts.lost.overrun += 1,
            }
        });
    }

    /// Lets the sink begin anew.
    pub fn reopen(&self) {
        if self.queue.try_send(Message::Reopen).is_err() {
            tracing::error!("sink {}: not opened again, its queue is full", self.name);
        }
    }

    /// Takes no more alerts; the sink stops when its queue is empty.
    pub fn close(self) -> Closing {
        let durable = self.config.spool_bytes != 0;
        Closing { name: self.name, tally: self.tally, thread: self.thread, durable }
    }

    /// Lets the sink begin where another ends, if it was started in the place of that; else gives that back.
    pub(super) fn follow(&mut self, before: Closing) -> Option<Closing> {
        if before.name != self.name {
            return Some(before);
        }
        let Some(after) = self.after.take() else { return Some(before) };
        after.send(before).err().map(|refused| refused.0)
    }
}

/// A sink that empties its queue.
pub struct Closing {
    /// Its name for people.
    pub name: String,
    /// What became of its alerts.
    pub tally: Arc<Tally>,
    thread: JoinHandle<()>,
    durable: bool,
}

impl Closing {
    /// Whether the queue is empty and the sink has stopped.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// What became of the alerts, if the process ends now.
    pub fn counts(&self) -> Counts {
        let mut counts = self.tally.counts();
        counts.lost.closed += std::mem::take(&mut counts.queued);
        if !self.durable {
            counts.lose_spooled();
        }
        counts
    }

    /// Waits for the end.
    fn wait(self) {
        // A panic was told already.
        let _ = self.thread.join();
        if !self.durable {
            self.tally.update(Counts::lose_spooled);
        }
    }
}
