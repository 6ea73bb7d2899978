//! A sink that runs: its queue, its threads, and its end.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;

use anyhow::Context as _;
use tokio::sync::mpsc;

use super::spool::{Place, Room, Spool};
use super::stdout::Format;
use super::tally::{Counts, Tally};
use super::worker::Worker;
use super::{KEPT, Kind, Message, QUEUE, make, serve, spool};
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
    spool: Option<Arc<Spool>>,
    workers: Workers,
    /// Another goes on with its spool.
    replaced: Arc<AtomicBool>,
}

/// What takes alerts from the queue; and what delivers those of the spool, if there is one.
struct Workers {
    intake: Worker,
    delivery: Option<Worker>,
}

/// Starts a sink; spools are kept in `folder`.
pub fn start(config: &SinkConfig, folder: &Path, format: Format) -> anyhow::Result<Running> {
    start_after(None, config, folder, format)
}

/// Starts every sink of a configuration.
pub fn start_all(sinks: &[SinkConfig], folder: &Path, format: Format) -> anyhow::Result<Vec<Running>> {
    let running = sinks.iter().map(|sink| start(sink, folder, format)).collect::<Result<_, _>>()?;
    spool::tell_abandoned(folder, sinks);
    Ok(running)
}

/// Starts one in the place of `before`, if there is a sink of that name, whose spool and account it goes on with. Until
/// it is let `follow`, it keeps what it is given in its queue.
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
    let kind = make(config, format)?;
    let name = config.name.clone();
    let tally = before.map_or_else(Arc::default, |before| Arc::clone(&before.tally));
    let (queue, receiver) = mpsc::channel(QUEUE);
    let room = Room::of(if config.spool_bytes == 0 { KEPT } else { config.spool_bytes });
    let spool = match before {
        Some(before) => {
            anyhow::ensure!(
                config.keeps_like(&before.config),
                "its alerts would be kept elsewhere than until now; give it another `name`, or restart the agent"
            );
            before.spool.clone()
        }
        None if config.target.is_local() => None,
        None => {
            let file = folder.join(format!("{name}.redb"));
            let place = if config.spool_bytes == 0 { Place::Memory } else { Place::File(file) };
            let spool = Spool::new(place, room, &name, Arc::clone(&tally));
            spool.open().context("open its spool")?;
            Some(Arc::new(spool))
        }
    };
    let (waits, replaced) = (before.is_some(), Arc::new(AtomicBool::new(false)));
    let workers = match (kind, &spool) {
        (Kind::Writer(writer, text), _) => {
            let (name, tally) = (name.clone(), Arc::clone(&tally));
            let write = move || serve::write(writer, text, receiver, &name, &tally);
            Workers { intake: Worker::start(waits, write)?, delivery: None }
        }
        (Kind::Sink(sink), Some(spool)) => {
            let (wake, awoken) = sync_channel(1);
            let (kept, tally) = (Arc::clone(spool), Arc::clone(&tally));
            let keep = move || {
                kept.resize(room);
                serve::keep(receiver, &kept, &tally, &wake);
            };
            let (spool, name, replaced) = (Arc::clone(spool), name.clone(), Arc::clone(&replaced));
            let deliver = move || serve::deliver(sink, &spool, &awoken, &replaced, &name);
            let delivery = Some(Worker::start(waits, deliver)?);
            Workers { intake: Worker::start(waits, keep)?, delivery }
        }
        (Kind::Sink(_), None) => anyhow::bail!("it has no spool"),
    };
    Ok(Running { name, tally, config: config.clone(), queue, spool, workers, replaced })
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
        Closing {
            name: self.name,
            tally: self.tally,
            workers: self.workers,
            replaced: self.replaced,
            durable,
        }
    }

    /// Lets the sink begin where another ends, if it was started in the place of that; else gives that back.
    pub(super) fn follow(&mut self, before: Closing) -> Option<Closing> {
        if before.name != self.name {
            return Some(before);
        }
        before.replaced.store(true, Ordering::Release);
        let Workers { intake, delivery } = before.workers;
        self.workers.intake.follow(intake);
        if let (Some(next), Some(delivery)) = (&mut self.workers.delivery, delivery) {
            next.follow(delivery);
        }
        None
    }
}

/// A sink that empties its queue.
pub struct Closing {
    /// Its name for people.
    pub name: String,
    /// What became of its alerts.
    pub tally: Arc<Tally>,
    workers: Workers,
    replaced: Arc<AtomicBool>,
    durable: bool,
}

impl Closing {
    /// Whether the queue is empty and the sink has stopped.
    pub fn is_finished(&self) -> bool {
        let Workers { intake, delivery } = &self.workers;
        intake.is_finished() && delivery.as_ref().is_none_or(Worker::is_finished)
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
}
