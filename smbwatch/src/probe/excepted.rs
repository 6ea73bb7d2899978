//! How many packets each exception of the kernel has let pass.

use std::collections::HashMap;

use aya::maps::{Array, MapData};
use ipnet::IpNet;

use crate::config::Config;
use crate::ranges::Kind;

/// Counters that there are at least: a map cannot grow, and exceptions may be added while the programs run.
const ROOM: usize = 1 << 10;

/// The counter of each range that is an exception. A range keeps its own for good.
#[derive(Default)]
pub(super) struct Slots {
    known: HashMap<IpNet, u32>,
}

impl Slots {
    /// The slot of a range, which is a new one if it has none yet.
    pub(super) fn of(&mut self, range: IpNet) -> u32 {
        let next = u32::try_from(self.known.len()).unwrap_or(u32::MAX >> 1);
        *self.known.entry(range).or_insert(next)
    }
}

/// The counters, by slot.
pub(super) struct Excepted {
    counters: Array<MapData, u64>,
    pub(super) slots: Slots,
}

impl Excepted {
    pub(super) const fn new(counters: Array<MapData, u64>, slots: Slots) -> Self {
        Self { counters, slots }
    }

    /// Packets to the exception of a range; none where it is no exception, or found no room.
    pub(super) fn packets(&self, range: IpNet) -> Option<u64> {
        self.counters.get(self.slots.known.get(&range)?, 0).ok()
    }

    /// Packets by range.
    pub(super) fn all(&self) -> impl Iterator<Item = (IpNet, u64)> {
        self.slots.known.iter().filter_map(|(range, slot)| Some((*range, self.counters.get(slot, 0).ok()?)))
    }
}

/// Counters for the exceptions of a configuration, and for some more.
pub(super) fn room_for(config: &Config) -> u32 {
    let exceptions = config.destinations.iter().filter(|range| range.kind == Kind::Exception).count();
    u32::try_from(exceptions.max(ROOM)).unwrap_or(u32::MAX)
}
