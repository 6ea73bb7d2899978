//! What the thread of a sink on this host does: it writes what comes, and what a file does not take waits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Receiver;

use super::health::Health;
use super::serve::{LONGEST_PAUSE, encode_all, pauses};
use super::tally::Tally;
use super::{BATCH, Message, Writer, encode};

pub(super) struct Writing {
    pub(super) writer: Box<dyn Writer>,
    /// Readable lines, rather than JSON.
    pub(super) text: bool,
    pub(super) tally: Arc<Tally>,
    /// Another goes on with what is not written.
    pub(super) replaced: Arc<AtomicBool>,
}

/// What was not written when another sink took the place of this one.
#[derive(Default)]
pub(super) struct Backlog {
    lines: Vec<Vec<u8>>,
    /// Those of earlier sinks first.
    queues: VecDeque<Receiver<Message>>,
}

impl Writing {
    /// Writes what another has left, and what comes; gives back what is for another.
    pub(super) fn run(
        mut self,
        name: &str,
        left: Option<Backlog>,
        queue: Receiver<Message>,
    ) -> Option<Backlog> {
        let consequence =
            if self.writer.repeats() { "alerts wait in memory" } else { "alerts are counted as lost" };
        let mut health = Health::new(name, consequence);
        let Backlog { mut lines, mut queues } = left.unwrap_or_default();
        queues.push_back(queue);
        let mut messages = Vec::with_capacity(BATCH);
        loop {
            if !lines.is_empty() && !self.put(&lines, &mut health, &queues) {
                return Some(Backlog { lines, queues });
            }
            if messages.drain(..).any(|message| matches!(message, Message::Reopen))
                && let Err(error) = self.writer.reopen()
            {
                tracing::error!("sink {name}: open it again: {error}; the old file stays in use");
            }
            let next = queues.front_mut()?;
            if next.blocking_recv_many(&mut messages, BATCH) == 0 {
                queues.pop_front();
            }
            lines = encode_all(&messages, |document| encode::line(document, self.text), &self.tally);
        }
    }

    /// Writes lines, or counts them as lost. Does neither, if another is to write them.
    fn put(&mut self, lines: &[Vec<u8>], health: &mut Health, queues: &VecDeque<Receiver<Message>>) -> bool {
        let (bytes, mut pauses) = (lines.concat(), pauses());
        let written = loop {
            let Err(failure) = self.writer.write(&bytes) else { break true };
            health.failed(failure);
            if !self.writer.repeats() {
                break false;
            }
            if !rest(queues, pauses.next().unwrap_or(LONGEST_PAUSE)) {
                if self.replaced.load(Ordering::Acquire) {
                    return false;
                }
                break false;
            }
        };
        if written {
            health.works();
        }
        let count = lines.len() as u64;
        self.tally.update(|counts| {
            counts.queued -= count;
            *if written { &mut counts.delivered } else { &mut counts.lost.failed } += count;
        });
        true
    }
}

/// Waits; whether more may come.
fn rest(queues: &VecDeque<Receiver<Message>>, pause: Duration) -> bool {
    const LOOK: Duration = Duration::from_millis(20);
    let until = Instant::now() + pause;
    while Instant::now() < until {
        if queues.back().is_none_or(Receiver::is_closed) {
            return false;
        }
        sleep(LOOK);
    }
    true
}
