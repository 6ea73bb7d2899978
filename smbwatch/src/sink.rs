//! Where alerts go. Each sink has threads, a bounded queue and an account of its own, so that none delays another.

mod tally;
mod filter;
mod spool;
mod serve;
mod encode;
mod secret;
mod tls;
mod service;
mod http;
mod stdout;
mod file;
mod journald;
mod syslog;
mod webhook;
mod elasticsearch;
mod otlp;
mod kafka;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::mpsc;

use crate::alert::Document;
use crate::config::sinks::{SinkConfig, Target};
pub use filter::Filter;
pub use secret::Secret;
use spool::{Place, Room, Spool};
pub use stdout::Format;
pub use tally::{Counts, Lost, Tally};

/// Alerts that wait in memory for a sink before further ones are lost and counted.
pub const QUEUE: usize = 8192;
/// Alerts that are written at once.
const BATCH: usize = 256;
/// Bytes of memory in which a sink without a spool keeps alerts that the other side does not take.
const KEPT: u64 = 4 << 20;

/// One place that alerts are handed to.
trait Sink: Send {
    /// Hands over alerts in order, and says what became of each. After an error none counts as taken.
    fn deliver(&mut self, bodies: &[Vec<u8>]) -> Result<Vec<Fate>, Failure>;

    /// Tries to reach the other side, without telling it anything.
    fn check(&mut self) -> Result<(), Failure>;

    /// Begins anew where that makes sense: a file that was moved away is opened again.
    fn reopen(&mut self) {}
}

/// Makes of an alert the bytes that its sink is given.
type Encode = Box<dyn Fn(&Document) -> io::Result<Vec<u8>> + Send>;

/// What became of one alert.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    Delivered,
    /// It may be taken later, and why not now.
    Again(String),
    /// It will never be taken, and why.
    Refused(String),
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The other side may take it later, perhaps not before some time.
    #[error("{0:#}")]
    Later(anyhow::Error, Option<Duration>),
    /// It will never take this batch.
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    fn later(error: impl Into<anyhow::Error>) -> Self {
        Self::Later(error.into(), None)
    }

    const fn after(&self) -> Option<Duration> {
        match self {
            Self::Later(_, after) => *after,
            Self::Refused(_) => None,
        }
    }
}

enum Message {
    Alert(Arc<Document>),
    Reopen,
}

/// Where alerts leave the stages.
pub enum Outlet {
    /// Each sink has its threads.
    Sinks(Vec<Running>),
    /// Standard output, which is waited for.
    Here(Box<stdout::Stdout>),
}

impl Outlet {
    /// Standard output, which is waited for.
    pub fn here(format: Format) -> Self {
        Self::Here(Box::new(stdout::Stdout::new(format)))
    }

    /// Hands over an alert.
    pub fn send(&mut self, document: Document) {
        match self {
            Self::Sinks(sinks) => {
                let document = Arc::new(document);
                sinks.iter().for_each(|sink| sink.send(&document));
            }
            Self::Here(stdout) => {
                if let Err(error) = stdout.write(&document) {
                    // Who reads no more, as head(1) does, wants no more.
                    if error.kind() != io::ErrorKind::BrokenPipe {
                        tracing::error!("standard output: {error}");
                    }
                    std::process::exit(1);
                }
            }
        }
    }

    /// Each sink's name, and what has become of its alerts.
    pub fn counts(&self) -> Vec<(String, Counts)> {
        match self {
            Self::Sinks(sinks) => sinks.iter().map(|sink| (sink.name.clone(), sink.tally.counts())).collect(),
            Self::Here(_) => Vec::new(),
        }
    }

    /// Lets every sink begin anew.
    pub fn reopen(&self) {
        if let Self::Sinks(sinks) = self {
            sinks.iter().for_each(Running::reopen);
        }
    }
}

/// A running sink.
pub struct Running {
    /// Its name for people.
    pub name: String,
    /// What became of its alerts.
    pub tally: Arc<Tally>,
    filter: Filter,
    queue: mpsc::Sender<Message>,
    threads: Vec<JoinHandle<()>>,
    durable: bool,
}

/// Starts a sink; spools are kept in `folder`.
pub fn start(config: &SinkConfig, folder: &Path, format: Format) -> anyhow::Result<Running> {
    try_start(config, folder, format).with_context(|| format!("sink {}", config.name))
}

fn try_start(config: &SinkConfig, folder: &Path, format: Format) -> anyhow::Result<Running> {
    let (encode, sink) = make(config, format)?;
    let (name, tally) = (config.name.clone(), Arc::new(Tally::default()));
    let (queue, receiver) = mpsc::channel(QUEUE);
    let mut running = Running {
        name: name.clone(),
        tally: Arc::clone(&tally),
        filter: config.filter.clone(),
        queue,
        threads: Vec::new(),
        durable: false,
    };
    if config.target.is_local() {
        running.spawn(move || serve::write(sink, &encode, receiver, &name, &tally))?;
        return Ok(running);
    }
    let (place, room) = match config.spool_bytes {
        0 => (Place::Memory, Room::of(KEPT)),
        bytes => (Place::File(folder.join(format!("{name}.redb"))), Room::of(bytes)),
    };
    let spool = Spool::open(place, room, &name, Arc::clone(&tally)).context("open its spool")?;
    running.durable = spool.is_durable();
    let spool = Arc::new(spool);
    let (wake, awoken) = sync_channel(1);
    {
        let spool = Arc::clone(&spool);
        running.spawn(move || serve::spool(&encode, receiver, &spool, &tally, &wake))?;
    }
    running.spawn(move || serve::deliver(sink, &spool, &awoken, &name))?;
    Ok(running)
}

/// Tries to reach the other side of a sink, as `smbwatch check --connect` does.
pub fn check(config: &SinkConfig) -> anyhow::Result<()> {
    make(config, Format::Json)
        .and_then(|(_, mut sink)| sink.check().map_err(Into::into))
        .with_context(|| format!("sink {}", config.name))
}

fn make(config: &SinkConfig, format: Format) -> anyhow::Result<(Encode, Box<dyn Sink>)> {
    Ok(match &config.target {
        Target::Stdout(_) => {
            (encode::lines(format.is_text()), Box::new(stdout::Stdout::new(format)) as Box<dyn Sink>)
        }
        Target::File(target) => (encode::lines(false), Box::new(file::File::open(target)?)),
        Target::Syslog(target) => {
            (encode::syslog(target.facility, target.format), Box::new(syslog::Syslog::new(target.clone())))
        }
        Target::Journald(target) => {
            (encode::journal(), Box::new(journald::Journald::new(target.socket.clone())))
        }
        Target::Webhook(target) => (encode::lines(false), Box::new(webhook::Webhook::new(target)?)),
        Target::Elasticsearch(target) => {
            (encode::bulk(), Box::new(elasticsearch::Elasticsearch::new(target)?))
        }
        Target::Kafka(target) => (encode::keyed(), Box::new(kafka::Kafka::new(target.clone()))),
        Target::Otlp(target) => (encode::otlp(), Box::new(otlp::Otlp::new(target)?)),
    })
}

impl Running {
    /// Hands over an alert, or counts that the queue is full.
    pub fn send(&self, document: &Arc<Document>) {
        // All at once, so that nobody sees the alert in two places or in none.
        self.tally.update(|counts| {
            if !self.filter.passes(document) {
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
        Closing { name: self.name, tally: self.tally, threads: self.threads, durable: self.durable }
    }

    fn spawn(&mut self, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.threads.push(Builder::new().name("sink".to_owned()).spawn(work)?);
        Ok(())
    }
}

/// A sink that empties its queue.
pub struct Closing {
    /// Its name for people.
    pub name: String,
    /// What became of its alerts.
    pub tally: Arc<Tally>,
    threads: Vec<JoinHandle<()>>,
    durable: bool,
}

impl Closing {
    /// Whether the queue is empty and the sink has stopped.
    pub fn is_finished(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// What became of the alerts, if the process ends now.
    pub fn counts(&self) -> Counts {
        let mut counts = self.tally.counts();
        counts.lost.closed = std::mem::take(&mut counts.queued);
        if !self.durable {
            counts.lost.closed += std::mem::take(&mut counts.spooled);
        }
        counts
    }
}
