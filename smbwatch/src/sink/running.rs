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
use super::write::Writing;
use super::{KEPT, Kind, Message, QUEUE, make, make_sink, serve, spool};
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
    /// Another goes on with its spool, or with what a file did not take.
    replaced: Arc<AtomicBool>,
}

/// What takes alerts from the queue; and what delivers those of the spool, if there is one.
struct Workers {
    intake: Worker,
    delivery: Option<Worker>,
}

/// What a sink goes on with that takes the place of another.
#[derive(Clone, Copy)]
pub(super) struct Legacy<'a> {
    config: &'a SinkConfig,
    tally: &'a Arc<Tally>,
    spool: Option<&'a Arc<Spool>>,
}

/// Starts a sink; spools are kept in `folder`.
pub fn start(config: &SinkConfig, folder: &Path, format: Format) -> anyhow::Result<Running> {
    try_start(None, Spool::open, config, folder, format).with_context(|| format!("sink {}", config.name))
}

/// Starts every sink of a configuration.
pub fn start_all(sinks: &[SinkConfig], folder: &Path, format: Format) -> anyhow::Result<Vec<Running>> {
    let running = sinks.iter().map(|sink| start(sink, folder, format)).collect::<Result<_, _>>()?;
    spool::tell_abandoned(folder, sinks);
    Ok(running)
}

/// Starts one in the place of another, if there is one of that name, whose spool and account it goes on with; until it
/// is let `follow`, it keeps what it is given in its queue. A spool is opened when it is used first: that takes as long as
/// it is large.
pub(super) fn start_after(
    before: Option<Legacy<'_>>,
    config: &SinkConfig,
    folder: &Path,
    format: Format,
) -> anyhow::Result<Running> {
    try_start(before, Spool::prepare, config, folder, format).with_context(|| format!("sink {}", config.name))
}

fn try_start(
    before: Option<Legacy<'_>>,
    prepare: fn(&Spool) -> Result<(), spool::Error>,
    config: &SinkConfig,
    folder: &Path,
    format: Format,
) -> anyhow::Result<Running> {
    let kind = make(config, format)?;
    let name = config.name.clone();
    let tally = before.map_or_else(Arc::default, |before| Arc::clone(before.tally));
    let (queue, receiver) = mpsc::channel(QUEUE);
    let room = Room::of(if config.spool_bytes == 0 { KEPT } else { config.spool_bytes });
    let spool = match before {
        Some(before) => {
            anyhow::ensure!(
                config.keeps_like(before.config),
                "its alerts would be kept elsewhere than until now; give it another `name`, or restart the agent"
            );
            before.spool.cloned()
        }
        None if config.target.is_local() => None,
        None => {
            let file = folder.join(format!("{name}.redb"));
            let place = if config.spool_bytes == 0 { Place::Memory } else { Place::File(file) };
            let spool = Spool::new(place, room, &name, Arc::clone(&tally));
            prepare(&spool).context("open its spool")?;
            Some(Arc::new(spool))
        }
    };
    let (waits, replaced) = (before.is_some(), Arc::new(AtomicBool::new(false)));
    let workers = match (kind, &spool) {
        (Kind::Writer(writer, text), _) => {
            let (tally, replaced) = (Arc::clone(&tally), Arc::clone(&replaced));
            let (writing, name) = (Writing { writer, text, tally, replaced }, name.clone());
            let write = move |left| writing.run(&name, left, receiver);
            Workers { intake: Worker::start(waits, write)?, delivery: None }
        }
        (Kind::Sink(sink), Some(spool)) => {
            let (wake, awoken) = sync_channel(1);
            let (kept, tally) = (Arc::clone(spool), Arc::clone(&tally));
            let keep = move |_| {
                kept.resize(room);
                serve::keep(receiver, &kept, &tally, &wake);
                None
            };
            let (spool, name, replaced) = (Arc::clone(spool), name.clone(), Arc::clone(&replaced));
            let again = config.clone();
            let deliver = move |_| {
                serve::deliver(sink, || make_sink(&again), &spool, &awoken, &replaced, &name);
                None
            };
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
        let Self { name, tally, config, spool, workers, replaced, .. } = self;
        Closing { name, tally, config, spool, workers, replaced }
    }

    /// Lets `next` begin where this one ends, in whose place it was started.
    pub(super) fn give_way(self, next: &mut Self) {
        // Said first: it is asked when nothing more comes.
        self.replaced.store(true, Ordering::Release);
        self.close().give_way(next);
    }

    pub(super) const fn legacy(&self) -> Legacy<'_> {
        Legacy { config: &self.config, tally: &self.tally, spool: self.spool.as_ref() }
    }
}

/// A sink that empties its queue.
pub struct Closing {
    /// Its name for people.
    pub name: String,
    /// What became of its alerts.
    pub tally: Arc<Tally>,
    config: SinkConfig,
    spool: Option<Arc<Spool>>,
    workers: Workers,
    replaced: Arc<AtomicBool>,
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
        if self.config.spool_bytes == 0 {
            counts.lose_spooled();
        }
        counts
    }

    /// Lets `next` begin where this one ends, in whose place it was started.
    pub(super) fn give_way(self, next: &mut Running) {
        self.replaced.store(true, Ordering::Release);
        let Workers { intake, delivery } = self.workers;
        next.workers.intake.follow(intake);
        if let (Some(next), Some(delivery)) = (&mut next.workers.delivery, delivery) {
            next.follow(delivery);
        }
    }

    pub(super) const fn legacy(&self) -> Legacy<'_> {
        Legacy { config: &self.config, tally: &self.tally, spool: self.spool.as_ref() }
    }
}
