//! How much room a spool has in a file of a given size, and what an alert takes of it.

/// What redb keeps alerts in.
const PAGE: usize = 4096;
/// What redb needs for one alert besides its bytes.
const OVERHEAD: usize = 24;

/// Room for alerts, by their `cost`.
#[derive(Clone, Copy)]
pub(in crate::sink) struct Room {
    /// What all of them may cost.
    pub(super) content: u64,
    /// What those may cost that are written at once.
    pub(super) chunk: u64,
}

impl Room {
    /// The room in a file that redb lets grow to `file` bytes by doubling it, and up to a MiB more for its own needs.
    /// Pages are written anew before old ones are free, and a part holds no alerts but leads to them.
    pub(in crate::sink) const fn of(file: u64) -> Self {
        let usable = 1 << file.ilog2();
        let chunk = usable / 16;
        Self { content: usable - usable / 32 - 4 * chunk, chunk }
    }
}

/// At most so many bytes of the file: a large alert has pages for itself, as many as the next power of two, and a small
/// one shares a page that may be filled by a third.
pub(super) fn cost(body: &[u8]) -> u64 {
    let size = body.len() + OVERHEAD;
    (3 * size).min(size.next_power_of_two().max(PAGE)) as u64
}
