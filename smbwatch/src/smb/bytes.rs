//! Checked reads of little-endian fields, by the offsets that specifications give.

/// Reads that are none where the bytes end first.
pub(super) trait Read {
    /// `N` bytes.
    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]>;
    /// `length` bytes.
    fn range(&self, at: usize, length: usize) -> Option<&[u8]>;
    /// All bytes from `at` on; none past the end.
    fn after(&self, at: usize) -> &[u8];
    /// `length` bytes, or as many as there are.
    fn so_far(&self, at: usize, length: usize) -> &[u8];

    /// One byte.
    fn byte(&self, at: usize) -> Option<u8> {
        self.array(at).map(u8::from_le_bytes)
    }

    /// Two bytes.
    fn le16(&self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    /// Two bytes that are an offset or a length.
    fn size16(&self, at: usize) -> Option<usize> {
        self.le16(at).map(usize::from)
    }

    /// Four bytes.
    fn le32(&self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    /// Four bytes that are an offset or a length.
    fn size32(&self, at: usize) -> Option<usize> {
        self.le32(at).and_then(|size| usize::try_from(size).ok())
    }

    /// Eight bytes.
    fn le64(&self, at: usize) -> Option<u64> {
        self.array(at).map(u64::from_le_bytes)
    }
}

impl Read for [u8] {
    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.get(at..)?.first_chunk().copied()
    }

    fn range(&self, at: usize, length: usize) -> Option<&[u8]> {
        self.get(at..at.checked_add(length)?)
    }

    fn after(&self, at: usize) -> &[u8] {
        self.get(at..).unwrap_or_default()
    }

    fn so_far(&self, at: usize, length: usize) -> &[u8] {
        let rest = self.after(at);
        rest.get(..length).unwrap_or(rest)
    }
}
