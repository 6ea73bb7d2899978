//! A packet of which only the first bytes are linear, as a network buffer may hold it.

use crate::packet::{PacketBytes, Slice};

/// Reads fail past the linear bytes, except those that are asked for however dear they are.
#[derive(Clone, Copy, Debug)]
pub struct Partly<'a> {
    whole: Slice<'a>,
    linear: Slice<'a>,
}

impl<'a> Partly<'a> {
    /// The packet `bytes`, of which the first `linear` can be read directly.
    pub fn new(bytes: &'a [u8], linear: usize) -> Self {
        let linear = bytes.get(..linear).unwrap_or(bytes);
        Self { whole: Slice::new(bytes), linear: Slice::new(linear) }
    }
}

impl PacketBytes for Partly<'_> {
    fn u8(self, offset: usize) -> Option<u8> {
        self.linear.u8(offset)
    }

    fn u16(self, offset: usize) -> Option<u16> {
        self.linear.u16(offset)
    }

    fn u32(self, offset: usize) -> Option<u32> {
        self.linear.u32(offset)
    }

    fn deep_u64(self) -> Option<u64> {
        self.whole.deep_u64()
    }

    fn advance(self, count: usize) -> Self {
        Self { whole: self.whole.advance(count), linear: self.linear.advance(count) }
    }

    fn remaining(self) -> i64 {
        self.whole.remaining()
    }
}
