//! Checked reads of packet bytes, wherever the packet lies: in an skb, or in a slice on the host.

/// A packet seen from some offset on. Every read is checked; offsets are in bytes from here.
pub trait PacketBytes: Copy {
    /// One byte.
    fn u8(self, offset: usize) -> Option<u8>;
    /// Two bytes, network order.
    fn u16(self, offset: usize) -> Option<u16>;
    /// Four bytes, network order.
    fn u32(self, offset: usize) -> Option<u32>;
    /// The first eight bytes, network order, even where reading them is dear because they lie outside
    /// the linear part of an skb; none where the packet has fewer.
    fn deep_u64(self) -> Option<u64>;
    /// The same packet from `count` bytes further on, which may be past its end.
    fn advance(self, count: usize) -> Self;
    /// How many bytes the packet has from here on; negative past its end.
    fn remaining(self) -> i64;
    /// The same place, less than 2^15 bytes from the packet's first, by however many ways it was reached:
    /// the verifier then follows one of them instead of each.
    fn settle(self) -> Self {
        self
    }
}

/// A packet that lies in one slice.
#[derive(Clone, Copy, Debug)]
pub struct Slice<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Slice<'a> {
    /// The packet `bytes`, from its first byte on.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    fn array<const N: usize>(self, offset: usize) -> Option<[u8; N]> {
        let start = self.offset.checked_add(offset)?;
        self.bytes.get(start..)?.first_chunk().copied()
    }
}

impl PacketBytes for Slice<'_> {
    fn u8(self, offset: usize) -> Option<u8> {
        self.array(offset).map(u8::from_be_bytes)
    }

    fn u16(self, offset: usize) -> Option<u16> {
        self.array(offset).map(u16::from_be_bytes)
    }

    fn u32(self, offset: usize) -> Option<u32> {
        self.array(offset).map(u32::from_be_bytes)
    }

    fn deep_u64(self) -> Option<u64> {
        self.array(0).map(u64::from_be_bytes)
    }

    fn advance(self, count: usize) -> Self {
        Self { bytes: self.bytes, offset: self.offset.saturating_add(count) }
    }

    fn remaining(self) -> i64 {
        let length = i64::try_from(self.bytes.len()).unwrap_or(i64::MAX);
        length.saturating_sub(i64::try_from(self.offset).unwrap_or(i64::MAX))
    }
}
