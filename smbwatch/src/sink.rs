//! Where alerts go. Each sink has a thread and a bounded queue of its own, so that none delays another.

mod file;
mod stdout;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use crate::alert::Document;
use crate::config::SinkConfig;
pub use stdout::Format;

/// Alerts that wait for a sink before further ones are dropped and counted.
pub const QUEUE: usize = 8192;
/// Alerts that are written at once.
const BATCH: usize = 256;

/// One place that alerts are written to.
trait Sink: Send {
    /// Writes the documents in order; all of them, or none that a reader would take for whole.
    fn write(&mut self, documents: &[Arc<Document>]) -> io::Result<()>;

    /// Begins anew where that makes sense: a file that was moved away is opened again.
    fn reopen(&mut self) {}
}

/// What one sink did with its alerts. Handed = delivered + failed + dropped, once it is closed.
#[derive(Debug, Default)]
pub struct Tally {
    /// Written.
    pub delivered: AtomicU64,
    /// Not written, because writing failed.
    pub failed: AtomicU64,
    /// Not written, because the queue was full.
    pub dropped: AtomicU64,
    /// The sink is to begin anew once it has written what it holds.
    reopen: AtomicBool,
}

enum Message {
    Alert(Arc<Document>),
    Wake,
}

/// Where alerts leave the stages.
pub enum Outlet {
    /// Each sink has its thread.
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
        let document = Arc::new(document);
        match self {
            Self::Sinks(sinks) => sinks.iter().for_each(|sink| sink.send(&document)),
            Self::Here(stdout) => {
                if let Err(error) = stdout.write(&[document]) {
                    // Who reads no more, as head(1) does, wants no more.
                    if error.kind() != io::ErrorKind::BrokenPipe {
                        tracing::error!("standard output: {error}");
                    }
                    std::process::exit(1);
                }
            }
        }
    }

    /// Starts those of a configuration's sinks that do not run yet.
    pub fn start_missing(&self, sinks: &[SinkConfig], format: Format) -> Result<Vec<Running>, Error> {
        let runs = |config: &&SinkConfig| match self {
            Self::Sinks(sinks) => sinks.iter().any(|sink| sink.config == **config),
            Self::Here(_) => true,
        };
        sinks.iter().filter(|sink| !runs(sink)).map(|sink| start(sink, format)).collect()
    }

    /// Sends to these sinks from now on: of those before, to the ones that a configuration names. Gives back the
    /// others, which empty their queues.
    pub fn adapt(&mut self, sinks: &[SinkConfig], started: Vec<Running>) -> Vec<Closing> {
        let Self::Sinks(running) = self else { return Vec::new() };
        let is_named = |sink: &Running| sinks.contains(&sink.config);
        let (keep, close): (Vec<_>, Vec<_>) = std::mem::take(running).into_iter().partition(is_named);
        running.extend(keep.into_iter().chain(started));
        close.into_iter().map(Running::close).collect()
    }

    /// What each sink has done so far.
    pub fn states(&self) -> Vec<State> {
        match self {
            Self::Sinks(sinks) => sinks.iter().map(Running::state).collect(),
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

/// What one sink has done so far.
#[derive(Clone, Debug)]
pub struct State {
    /// Its name for people.
    pub name: String,
    /// Alerts that were written.
    pub delivered: u64,
    /// Alerts whose writing failed.
    pub failed: u64,
    /// Alerts that found the queue full.
    pub dropped: u64,
    /// Alerts that wait.
    pub waiting: usize,
}

/// A running sink.
pub struct Running {
    /// Its name for people.
    pub name: String,
    /// What became of its alerts.
    pub tally: Arc<Tally>,
    config: SinkConfig,
    queue: mpsc::Sender<Message>,
    thread: JoinHandle<()>,
}

/// A sink could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("sink {name}: {error}")]
pub struct Error {
    name: String,
    error: io::Error,
}

/// Starts a sink.
pub fn start(config: &SinkConfig, format: Format) -> Result<Running, Error> {
    let (name, sink): (String, Box<dyn Sink>) = match config {
        SinkConfig::Stdout => ("stdout".to_owned(), Box::new(stdout::Stdout::new(format))),
        SinkConfig::File(path) => {
            let name = format!("file {}", path.display());
            let file = file::File::open(path).map_err(|error| Error { name: name.clone(), error })?;
            (name, Box::new(file))
        }
    };
    let tally = Arc::new(Tally::default());
    let (queue, receiver) = mpsc::channel(QUEUE);
    let thread = {
        let (name, tally) = (name.clone(), Arc::clone(&tally));
        std::thread::Builder::new()
            .name("sink".to_owned())
            .spawn(move || serve(sink, receiver, &name, &tally))
    };
    let thread = thread.map_err(|error| Error { name: name.clone(), error })?;
    Ok(Running { name, tally, config: config.clone(), queue, thread })
}

impl Running {
    /// Hands over an alert, or counts that the queue is full.
    pub fn send(&self, document: &Arc<Document>) {
        if self.queue.try_send(Message::Alert(Arc::clone(document))).is_err() {
            self.tally.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn state(&self) -> State {
        State {
            name: self.name.clone(),
            delivered: self.tally.delivered.load(Ordering::Relaxed),
            failed: self.tally.failed.load(Ordering::Relaxed),
            dropped: self.tally.dropped.load(Ordering::Relaxed),
            waiting: self.queue.max_capacity() - self.queue.capacity(),
        }
    }

    /// Lets the sink begin anew.
    pub fn reopen(&self) {
        self.tally.reopen.store(true, Ordering::Release);
        // A full queue means that the sink is awake.
        let _ = self.queue.try_send(Message::Wake);
    }

    /// Takes no more alerts; the sink stops when its queue is empty.
    pub fn close(self) -> Closing {
        Closing { name: self.name, tally: self.tally, thread: self.thread }
    }
}

/// A sink that empties its queue.
pub struct Closing {
    /// Its name for people.
    pub name: String,
    /// What became of its alerts.
    pub tally: Arc<Tally>,
    thread: JoinHandle<()>,
}

impl Closing {
    /// Whether the queue is empty and the sink has stopped.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

fn serve(mut sink: Box<dyn Sink>, mut queue: mpsc::Receiver<Message>, name: &str, tally: &Tally) {
    let mut failing = false;
    let mut messages = Vec::with_capacity(BATCH);
    let mut documents = Vec::with_capacity(BATCH);
    while queue.blocking_recv_many(&mut messages, BATCH) > 0 {
        documents.extend(messages.drain(..).filter_map(|message| match message {
            Message::Alert(document) => Some(document),
            Message::Wake => None,
        }));
        let count = documents.len() as u64;
        match sink.write(&documents) {
            Ok(()) => {
                tally.delivered.fetch_add(count, Ordering::Relaxed);
                if failing && count > 0 {
                    failing = false;
                    tracing::warn!("sink {name}: writing works again");
                }
            }
            Err(error) => {
                tally.failed.fetch_add(count, Ordering::Relaxed);
                if !failing {
                    failing = true;
                    tracing::error!("sink {name}: {error}; alerts are counted until writing works again");
                }
            }
        }
        documents.clear();
        if tally.reopen.swap(false, Ordering::Acquire) {
            sink.reopen();
        }
    }
}
