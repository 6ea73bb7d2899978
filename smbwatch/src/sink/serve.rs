//! What the threads of a sink with a spool do: one moves alerts from the queue into the spool, the other hands them over
//! until they are taken.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use tokio::sync::mpsc;

use super::health::Health;
use super::spool::{Entry, Spool};
use super::stored::Stored;
use super::tally::Tally;
use super::{BATCH, Failure, Fate, Message, Sink};
use crate::alert::Document;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Moves alerts from the queue into the spool, however slow the sink is.
pub(super) fn keep(mut queue: mpsc::Receiver<Message>, spool: &Spool, tally: &Tally, wake: &SyncSender<()>) {
    let mut messages = Vec::with_capacity(BATCH);
    while queue.blocking_recv_many(&mut messages, BATCH) > 0 {
        let documents = encode_all(&messages, |document| Ok(serde_json::to_vec(document)?), tally);
        messages.clear();
        if !documents.is_empty() {
            spool.append(&documents);
            // One that waits already does for all.
            let _ = wake.try_send(());
        }
    }
}

/// Delivers what is in the spool, until it is empty and closed, or another sink goes on with it. What fails then stays.
/// After a failure the sink is made anew.
pub(super) fn deliver(
    mut sink: Box<dyn Sink>,
    make: impl Fn() -> anyhow::Result<Box<dyn Sink>>,
    spool: &Spool,
    awoken: &Receiver<()>,
    replaced: &AtomicBool,
    name: &str,
) {
    let mut health = Health::new(name, "it is tried again until it works");
    let mut most = BATCH;
    let mut pauses = pauses();
    while !replaced.load(Ordering::Acquire) {
        let mut after = None;
        // The spool says itself what is wrong with it.
        if let Ok(batch) = spool.oldest(most) {
            if batch.is_empty() {
                match awoken.recv() {
                    Ok(()) => continue,
                    Err(_) => return,
                }
            }
            let Handed { settled, failure } = hand_over(sink.as_mut(), spool, batch, &mut most, name);
            if settled > 0 {
                pauses = self::pauses();
            }
            let Some(failure) = failure else {
                health.works();
                continue;
            };
            after = failure.after();
            let mut said = failure.to_string();
            if settled == 0 {
                // Keys and certificates may have been put right meanwhile.
                match make() {
                    Ok(new) => sink = new,
                    Err(error) => said = format!("{error:#}"),
                }
            }
            health.failed(said);
        }
        let pause = pauses.next().unwrap_or(LONGEST_PAUSE).max(after.unwrap_or_default());
        if !rest(awoken, pause.min(LONGEST_PAUSE)) {
            return;
        }
    }
}

/// What came of a batch that was offered.
struct Handed {
    /// Alerts whose way has ended.
    settled: usize,
    /// Why others have to be offered again, later.
    failure: Option<Failure>,
}

/// Offers a batch; one that is refused as a whole is cut, to find out what is wrong with it.
fn hand_over(sink: &mut dyn Sink, spool: &Spool, batch: Vec<Entry>, most: &mut usize, name: &str) -> Handed {
    let mut damaged = Vec::new();
    let parse = |(key, json)| match Stored::check(json) {
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
        return Handed { settled: damaged.len(), failure: None };
    }
    let fates = match sink.deliver(&alerts) {
        Ok(fates) => fates,
        Err(Failure::Refused(_)) if alerts.len() > 1 => {
            *most = alerts.len().div_ceil(2);
            return Handed { settled: 0, failure: None };
        }
        Err(Failure::Refused(reason)) => vec![Fate::Refused(reason)],
        Err(failure) => return Handed { settled: 0, failure: Some(failure) },
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
    let failure = why_again.map(|reason| Failure::later(anyhow!(reason)));
    Handed { settled: delivered.len() + refused.len(), failure }
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

pub(super) fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter()
        .build()
}

pub(super) fn encode_all(
    messages: &[Message],
    encode: impl Fn(&Document) -> io::Result<Vec<u8>>,
    tally: &Tally,
) -> Vec<Vec<u8>> {
    let documents = messages.iter().filter_map(|message| match message {
        Message::Alert(document) => Some(document),
        Message::Reopen => None,
    });
    documents
        .filter_map(|document| {
            encode(document)
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
