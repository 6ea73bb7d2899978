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
mod running;
mod outlet;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use crate::alert::Document;
use crate::config::sinks::{SinkConfig, Target};
pub use filter::Filter;
pub use outlet::Outlet;
pub use running::{Closing, Running, start};
pub use secret::Secret;
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
