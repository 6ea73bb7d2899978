//! A window on a stream: long enough for the longest block, however long the stream.

use std::io::{self, ErrorKind, Read};

use super::MAX_PACKET;

/// The longest block that is read as a whole: a packet, and as much again for its options.
pub(super) const MAX_BLOCK: usize = 2 * MAX_PACKET;

pub(super) struct Input<R> {
    read: R,
    window: Box<[u8]>,
    start: usize,
    end: usize,
    offset: u64,
    ended: bool,
}

impl<R: Read> Input<R> {
    pub(super) fn new(read: R) -> Self {
        let window = vec![0; MAX_BLOCK].into_boxed_slice();
        Self { read, window, start: 0, end: 0, offset: 0, ended: false }
    }

    /// Where in the stream the next byte is.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// The next `length` bytes, which stay; fewer where the stream ends.
    pub(super) fn peek(&mut self, length: usize) -> io::Result<&[u8]> {
        self.fill(length)?;
        let end = self.end.min(self.start.saturating_add(length));
        Ok(self.window.get(self.start..end).unwrap_or_default())
    }

    /// Takes the next `length` bytes, at most [`MAX_BLOCK`]; fewer where the stream ends.
    pub(super) fn take(&mut self, length: usize) -> io::Result<&[u8]> {
        self.fill(length)?;
        let start = self.start;
        self.advance(length);
        Ok(self.window.get(start..self.start).unwrap_or_default())
    }

    /// Passes `length` bytes, however many; false where the stream ends before.
    pub(super) fn skip(&mut self, mut length: usize) -> io::Result<bool> {
        loop {
            length -= self.advance(length);
            if length == 0 {
                return Ok(true);
            }
            self.fill(1)?;
            if self.start == self.end {
                return Ok(false);
            }
        }
    }

    /// Passes up to `length` bytes of the window; tells how many.
    fn advance(&mut self, length: usize) -> usize {
        let passed = length.min(self.end - self.start);
        self.start += passed;
        self.offset += passed as u64;
        passed
    }

    /// Reads until `length` bytes are there or the stream ends.
    fn fill(&mut self, length: usize) -> io::Result<()> {
        if self.end - self.start >= length {
            return Ok(());
        }
        self.window.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < length && !self.ended {
            match self.read.read(self.window.get_mut(self.end..).unwrap_or_default()) {
                Ok(read) => {
                    self.ended = read == 0;
                    self.end = self.window.len().min(self.end + read);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
