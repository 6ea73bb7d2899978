//! Where alerts go. Each sink has threads, a bounded queue and an account of its own, so that none delays another.

mod tally;
mod filter;
mod spool;
mod stored;
mod health;
mod serve;
mod write;
mod encode;
mod secret;
mod tls;
mod addresses;
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
mod worker;
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
pub use running::{Closing, Running, start, start_all};
pub use secret::Secret;
pub use stdout::Format;
use stored::Stored;
pub use tally::{Counts, Lost, Tally};

/// Alerts that wait in memory for a sink before further ones are lost and counted.
pub const QUEUE: usize = 8192;
/// Alerts that are written at once.
const BATCH: usize = 256;
/// Bytes of memory in which a sink without a spool keeps alerts that the other side does not take.
const KEPT: u64 = 4 << 20;

/// A place on this host, which needs no spool.
trait Writer: Send {
    /// Writes whole lines.
    fn write(&mut self, lines: &[u8]) -> io::Result<()>;

    /// Whether a write that failed leaves nothing behind, and may be repeated.
    fn repeats(&self) -> bool {
        false
    }

    /// Begins anew where that makes sense: a file that was moved away is opened again.
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Another side, which is offered alerts until it takes them.
trait Sink: Send {
    /// Hands over alerts in order, all or the first of them, and says what became of each. After an error none counts
    /// as taken.
    fn deliver(&mut self, alerts: &[Stored]) -> Result<Vec<Fate>, Failure>;

    /// Tries to reach the other side, without telling it anything.
    fn check(&mut self) -> Result<(), Failure>;
}

/// What a configured sink is.
enum Kind {
    /// As readable lines, or as JSON.
    Writer(Box<dyn Writer>, bool),
    Sink(Box<dyn Sink>),
}

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
    let made = make(config, Format::Json);
    let reached = made.and_then(|kind| match kind {
        Kind::Writer(..) => Ok(()),
        Kind::Sink(mut sink) => sink.check().map_err(Into::into),
    });
    reached.with_context(|| format!("sink {}", config.name))
}

fn make(config: &SinkConfig, format: Format) -> anyhow::Result<Kind> {
    match &config.target {
        Target::Stdout(_) => Ok(Kind::Writer(Box::new(stdout::Stdout::new(format)), format.is_text())),
        Target::File(target) => Ok(Kind::Writer(Box::new(file::File::open(target)?), false)),
        Target::Syslog(_)
        | Target::Journald(_)
        | Target::Webhook(_)
        | Target::Elasticsearch(_)
        | Target::Otlp(_)
        | Target::Kafka(_) => make_sink(config).map(Kind::Sink),
    }
}

/// Reads keys and certificates; nothing is connected to yet.
fn make_sink(config: &SinkConfig) -> anyhow::Result<Box<dyn Sink>> {
    Ok(match &config.target {
        Target::Syslog(target) => Box::new(syslog::Syslog::new(target.clone())),
        Target::Journald(target) => Box::new(journald::Journald::new(target.socket.clone())),
        Target::Webhook(target) => Box::new(webhook::Webhook::new(target)?),
        Target::Elasticsearch(target) => Box::new(elasticsearch::Elasticsearch::new(target)?),
        Target::Kafka(target) => Box::new(kafka::Kafka::new(target)?),
        Target::Otlp(target) => Box::new(otlp::Otlp::new(target)?),
        Target::Stdout(_) | Target::File(_) => anyhow::bail!("it is on this host"),
    })
}
