//! What became of a sink's alerts. Every alert is in exactly one place, whenever one looks.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// A sink's account, which others may read at any time.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Counts>);

/// Made + inherited = queued + spooled + delivered + lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Alerts that passed the sink's filter.
    pub made: u64,
    /// Alerts that were found in the spool: an earlier run left them, or a write that failed has come to be.
    pub inherited: u64,
    /// Alerts that the filter held back; they are in no other count.
    pub filtered: u64,
    /// Alerts that wait in memory.
    pub queued: u64,
    /// Alerts that wait in the spool.
    pub spooled: u64,
    /// Bytes that they take there.
    pub spooled_bytes: u64,
    /// Since when the oldest of them waits, in microseconds since the epoch; 0: there is none.
    pub oldest: u64,
    /// Alerts that the other side has taken.
    pub delivered: u64,
    /// Alerts that are lost.
    pub lost: Lost,
}

/// Why alerts were lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// The queue was full.
    pub overrun: u64,
    /// Writing failed, and the sink does not write again.
    pub failed: u64,
    /// The other side will never take them.
    pub refused: u64,
    /// The spool was full; the oldest went.
    pub evicted: u64,
    /// The spool could not be written, or not be read.
    pub unspooled: u64,
    /// They were only in memory when the agent ended.
    pub closed: u64,
}

impl Lost {
    /// Each reason with its name.
    pub const fn reasons(&self) -> [(&'static str, u64); 6] {
        [
            ("queue_full", self.overrun),
            ("not_written", self.failed),
            ("refused", self.refused),
            ("spool_full", self.evicted),
            ("spool_failed", self.unspooled),
            ("at_end", self.closed),
        ]
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.reasons().iter().map(|(_, count)| count).sum()
    }
}

impl Counts {
    /// Whether every alert is somewhere.
    pub fn agrees(&self) -> bool {
        self.made + self.inherited == self.queued + self.spooled + self.delivered + self.lost.total()
    }

    /// How long the oldest alert of the spool has waited.
    pub fn age(&self, now: Timestamp) -> Duration {
        let waited = now.as_microsecond().saturating_sub_unsigned(self.oldest);
        let waited = u64::try_from(waited).unwrap_or(0);
        Duration::from_micros(if self.oldest == 0 { 0 } else { waited })
    }

    /// Counts as lost what is in a spool that ends with its sink.
    pub(super) fn lose_spooled(&mut self) {
        self.lost.closed += std::mem::take(&mut self.spooled);
        (self.spooled_bytes, self.oldest) = (0, 0);
    }
}

impl Tally {
    /// What became of the alerts up to now.
    pub fn counts(&self) -> Counts {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves alerts from one count to another, at once for whoever looks.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} delivered", self.delivered)?;
        if self.filtered != 0 {
            write!(formatter, ", {} filtered out", self.filtered)?;
        }
        if self.spooled != 0 {
            write!(formatter, ", {} kept in the spool", self.spooled)?;
        }
        if self.lost.total() + self.queued != 0 {
            write!(formatter, ", {} NOT delivered", self.lost.total() + self.queued)?;
            let waiting = [("waiting", self.queued)];
            let reasons = self.lost.reasons().into_iter().chain(waiting).filter(|(_, count)| *count != 0);
            for (index, (reason, count)) in reasons.enumerate() {
                let before = if index == 0 { " (" } else { ", " };
                write!(formatter, "{before}{count} {}", reason.replace('_', " "))?;
            }
            formatter.write_str(")")?;
        }
        Ok(())
    }
}
