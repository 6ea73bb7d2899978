//! The first bytes of one direction of a TCP connection, put in order.

use std::ops::Range;

/// Runs of bytes that a stream holds at most, the one at its start included; of more, the last is dropped.
pub const MAX_RUNS: usize = 16;

/// One direction of a connection, from its first byte up to a limit. Where segments overlap, the bytes that
/// came first stay.
#[derive(Clone, Debug)]
pub struct Stream {
    first: u32,
    limit: usize,
    /// Reaches to the furthest byte that came; only what `runs` covers means anything.
    bytes: Vec<u8>,
    /// Where bytes have come: in order, apart from each other, and none of them empty.
    runs: Vec<Range<usize>>,
}

/// What a stream waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The next segment.
    Open,
    /// Bytes before some that came already.
    Gap,
    /// Nothing: its bytes are contiguous up to the limit.
    Full,
}

impl Stream {
    /// A stream whose first byte has the sequence number `first`, which is one more than the initial sequence
    /// number (RFC 9293 section 3.4), and that holds at most `limit` bytes.
    pub const fn new(first: u32, limit: usize) -> Self {
        Self { first, limit, bytes: Vec::new(), runs: Vec::new() }
    }

    /// Takes a segment's payload, whose first byte has the number `sequence`. What lies before the first byte
    /// or past the limit is left out.
    pub fn add(&mut self, sequence: u32, payload: &[u8]) {
        // Modulo 2^32, and less than 2^31 ahead or behind (RFC 9293 section 3.4).
        let ahead = sequence.wrapping_sub(self.first).cast_signed();
        let early = if ahead < 0 { ahead.unsigned_abs() as usize } else { 0 };
        let start = usize::try_from(ahead).unwrap_or(0);
        let room = self.limit.saturating_sub(start);
        let Some(payload) = payload.get(early..) else { return };
        let Some(payload) = payload.get(..payload.len().min(room)) else { return };
        if !payload.is_empty() {
            self.put(start..start + payload.len(), payload);
        }
    }

    fn put(&mut self, new: Range<usize>, payload: &[u8]) {
        let before = self.runs.partition_point(|run| run.end < new.start);
        let reached = self.runs.partition_point(|run| run.start <= new.end);
        if self.bytes.len() < new.end {
            self.bytes.resize(new.end, 0);
        }
        let mut next = new.start;
        let mut merged = new.clone();
        for run in self.runs.drain(before..reached) {
            copy(&mut self.bytes, payload, new.start, next..run.start);
            next = next.max(run.end);
            merged = merged.start.min(run.start)..merged.end.max(run.end);
        }
        copy(&mut self.bytes, payload, new.start, next..new.end);
        self.runs.insert(before, merged);
        self.runs.truncate(MAX_RUNS);
    }

    /// The bytes from the first on, up to the first that is missing.
    pub fn contiguous(&self) -> &[u8] {
        let end = self.runs.first().filter(|run| run.start == 0).map_or(0, |run| run.end);
        self.bytes.get(..end).unwrap_or_default()
    }

    /// Bytes that it takes.
    pub fn kept(&self) -> usize {
        self.bytes.len()
    }

    /// What ends [`Self::contiguous`].
    pub fn state(&self) -> State {
        match (self.contiguous().len(), self.runs.as_slice()) {
            (length, _) if length >= self.limit => State::Full,
            (_, []) => State::Open,
            (0, _) | (_, [_, _, ..]) => State::Gap,
            (_, [_]) => State::Open,
        }
    }
}

/// Copies the part `range` of the stream out of a payload that starts at `start` in it.
fn copy(bytes: &mut [u8], payload: &[u8], start: usize, range: Range<usize>) {
    let from = range.start.saturating_sub(start)..range.end.saturating_sub(start);
    if let (Some(to), Some(from)) = (bytes.get_mut(range), payload.get(from)) {
        to.copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests;
