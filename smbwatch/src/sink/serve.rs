//! What a sink's threads do: take alerts from the queue, and hand them over until they are taken.

use std::fmt::Display;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use tokio::sync::mpsc;

use super::spool::{Entry, Spool};
use super::stored::Stored;
use super::tally::Tally;
use super::{BATCH, Failure, Fate, Message, Sink, Writer, encode};
use crate::alert::Document;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Writes what comes: for sinks on this host. What a file does not take waits, and more of it in the queue behind.
pub(super) fn write(
    mut writer: Box<dyn Writer>,
    text: bool,
    mut queue: mpsc::Receiver<Message>,
    name: &str,
    tally: &Tally,
) {
    let consequence = if writer.repeats() { "alerts wait in memory" } else { "alerts are counted as lost" };
    let mut health = Health::new(name, consequence);
    let mut messages = Vec::with_capacity(BATCH);
    while queue.blocking_recv_many(&mut messages, BATCH) > 0 {
        let reopen = messages.iter().any(|message| matches!(message, Message::Reopen));
        let lines = encode_all(&mut messages, |document| encode::line(document, text), tally);
        if !lines.is_empty() {
            let (count, lines) = (lines.len() as u64, lines.concat());
            let mut pauses = pauses();
            let written = loop {
                let written = writer.write(&lines);
                health.note(written.as_ref().err());
                let pause = pauses.next().unwrap_or(LONGEST_PAUSE);
                if written.is_ok() || !writer.repeats() || !rest_while_open(&queue, pause) {
                    break written.is_ok();
                }
                // What is open may have been removed; if it cannot be opened, writing says why.
                let _ = writer.reopen();
            };
            tally.update(|counts| {
                counts.queued -= count;
                *if written { &mut counts.delivered } else { &mut counts.lost.failed } += count;
            });
        }
        if reopen && let Err(error) = writer.reopen() {
            tracing::error!("sink {name}: open it again: {error}; the old file stays in use");
        }
    }
}

/// Moves alerts from the queue into the spool, however slow the sink is.
pub(super) fn keep(mut queue: mpsc::Receiver<Message>, spool: &Spool, tally: &Tally, wake: &SyncSender<()>) {
    let mut messages = Vec::with_capacity(BATCH);
    while queue.blocking_recv_many(&mut messages, BATCH) > 0 {
        let documents = encode_all(&mut messages, |document| Ok(serde_json::to_vec(document)?), tally);
        if !documents.is_empty() {
            spool.append(&documents);
            // One that waits already does for all.
            let _ = wake.try_send(());
        }
    }
}

/// Delivers what is in the spool, until it is empty and closed, or another sink goes on with it. What fails then stays.
pub(super) fn deliver(
    mut sink: Box<dyn Sink>,
    spool: &Spool,
    awoken: &Receiver<()>,
    replaced: &AtomicBool,
    name: &str,
) {
    let mut health = Health::new(name, "it is tried again until it works");
    let mut most = BATCH;
    let mut pauses = pauses();
    while !replaced.load(Ordering::Acquire) {
        let pause = match spool.oldest(most) {
            Ok(batch) if batch.is_empty() => match awoken.recv() {
                Ok(()) => continue,
                Err(_) => return,
            },
            Ok(batch) => match hand_over(sink.as_mut(), spool, batch, &mut most, name) {
                Ok(()) => {
                    health.note(None::<&Failure>);
                    pauses = self::pauses();
                    continue;
                }
                Err(failure) => {
                    health.note(Some(&failure));
                    failure.after()
                }
            },
            // The spool says what is wrong.
            Err(_) => None,
        };
        let pause = pauses.next().unwrap_or(LONGEST_PAUSE).max(pause.unwrap_or_default());
        if !rest(awoken, pause.min(LONGEST_PAUSE)) {
            return;
        }
    }
}

/// Offers a batch; one that is refused as a whole is cut, to find out what is wrong with it.
fn hand_over(
    sink: &mut dyn Sink,
    spool: &Spool,
    batch: Vec<Entry>,
    most: &mut usize,
    name: &str,
) -> Result<(), Failure> {
    let mut damaged = Vec::new();
    let parse = |(key, json)| match Stored::parse(json) {
        Ok(alert) => Some((key, alert)),
        Err(_) => {
            damaged.push(key);
            None
        }
    };
    let (keys, alerts): (Vec<u64>, Vec<Stored>) = batch.into_iter().filter_map(parse).unzip();
    if !damaged.is_empty() {
        spool.discard(&damaged);
        tracing::error!("sink {name}: {} alerts of the spool are damaged, and lost", damaged.len());
        return Ok(());
    }
    let fates = match sink.deliver(&alerts) {
        Ok(fates) => fates,
        Err(Failure::Refused(_)) if alerts.len() > 1 => {
            *most = alerts.len().div_ceil(2);
            return Ok(());
        }
        Err(Failure::Refused(reason)) => vec![Fate::Refused(reason)],
        Err(failure) => return Err(failure),
    };
    *most = (*most * 2).min(BATCH);
    let (mut delivered, mut refused) = (Vec::new(), Vec::new());
    let (mut why_refused, mut why_again) = (None, None);
    for (key, fate) in keys.into_iter().zip(fates) {
        match fate {
            Fate::Delivered => delivered.push(key),
            Fate::Refused(reason) => {
                refused.push(key);
                why_refused.get_or_insert(reason);
            }
            Fate::Again(reason) => {
                why_again.get_or_insert(reason);
            }
        }
    }
    spool.settle(&delivered, &refused);
    if let Some(reason) = why_refused {
        tracing::error!("sink {name}: {} alerts are refused, and lost: {reason}", refused.len());
    }
    why_again.map_or(Ok(()), |reason| Err(Failure::later(anyhow!(reason))))
}

/// Waits; whether there is a reason to go on.
fn rest(awoken: &Receiver<()>, pause: Duration) -> bool {
    let until = Instant::now() + pause;
    loop {
        match awoken.recv_timeout(until.saturating_duration_since(Instant::now())) {
            // More alerts do not make the other side well.
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

/// Waits; whether more may come of the queue.
fn rest_while_open(queue: &mpsc::Receiver<Message>, pause: Duration) -> bool {
    const LOOK: Duration = Duration::from_millis(20);
    let until = Instant::now() + pause;
    while Instant::now() < until {
        if queue.is_closed() {
            return false;
        }
        std::thread::sleep(LOOK);
    }
    true
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter()
        .build()
}

fn encode_all(
    messages: &mut Vec<Message>,
    encode: impl Fn(&Document) -> io::Result<Vec<u8>>,
    tally: &Tally,
) -> Vec<Vec<u8>> {
    let documents = messages.drain(..).filter_map(|message| match message {
        Message::Alert(document) => Some(document),
        Message::Reopen => None,
    });
    documents
        .filter_map(|document| {
            encode(&document)
                .inspect_err(|error| {
                    tracing::error!("alert {}: {error}", document.event.id);
                    tally.update(|counts| {
                        counts.queued -= 1;
                        counts.lost.failed += 1;
                    });
                })
                .ok()
        })
        .collect()
}

/// Says when a sink begins to fail, and when it works again.
struct Health {
    name: String,
    consequence: &'static str,
    failing: bool,
}

impl Health {
    fn new(name: &str, consequence: &'static str) -> Self {
        Self { name: name.to_owned(), consequence, failing: false }
    }

    fn note(&mut self, failure: Option<&impl Display>) {
        match failure {
            Some(failure) if !self.failing => {
                tracing::error!("sink {}: {failure}; {}", self.name, self.consequence);
            }
            None if self.failing => tracing::warn!("sink {}: writing works again", self.name),
            Some(_) | None => {}
        }
        self.failing = failure.is_some();
    }
}
