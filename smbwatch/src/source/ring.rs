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

/// How far apart the two clocks may be read, and how often that is tried: another process may run between.
const TOGETHER: SignedDuration = SignedDuration::from_micros(5);
const TRIES: u32 = 4;

/// Reads both clocks, so that monotonic times of about now can be told as wall-clock times.
pub fn clock() -> Clock {
    let mut before = monotonic();
    let mut wall = Timestamp::now();
    for _ in 1..TRIES {
        let after = monotonic();
        if after - before < TOGETHER {
            break;
        }
        (before, wall) = (after, Timestamp::now());
    }
    Clock { boot: wall.checked_sub(before).unwrap_or(Timestamp::UNIX_EPOCH) }
}

/// The time since the boot, without that of a suspended machine.
fn monotonic() -> SignedDuration {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    time.map_or(SignedDuration::ZERO, |time| {
        SignedDuration::new(time.tv_sec(), i32::try_from(time.tv_nsec()).unwrap_or(0))
    })
}
