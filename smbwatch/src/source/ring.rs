//! The ring buffer, and the clocks to read its times by.

use std::os::fd::{AsRawFd, RawFd};

use aya::maps::{MapData, RingBuf};
use jiff::{SignedDuration, Timestamp};

use crate::decode::Clock;

/// The consumer's end of the ring.
pub struct Ring {
    ring: RingBuf<MapData>,
}

impl Ring {
    /// Reads from `ring`.
    pub const fn new(ring: RingBuf<MapData>) -> Self {
        Self { ring }
    }

    /// Hands up to `limit` records to `take`, oldest first; tells how many there were.
    pub fn drain(&mut self, limit: usize, mut take: impl FnMut(&[u8])) -> usize {
        for count in 0..limit {
            match self.ring.next() {
                Some(record) => take(&record),
                None => return count,
            }
        }
        limit
    }
}

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}

/// Reads both clocks, so that monotonic times of about now can be told as wall-clock times.
pub fn clock() -> Clock {
    let monotonic = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    let since_boot = monotonic.map_or(SignedDuration::ZERO, |time| {
        SignedDuration::new(time.tv_sec(), i32::try_from(time.tv_nsec()).unwrap_or(0))
    });
    Clock { boot: Timestamp::now().checked_sub(since_boot).unwrap_or(Timestamp::UNIX_EPOCH) }
}
