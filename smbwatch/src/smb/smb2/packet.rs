//! Headers of SMB 2 ([MS-SMB2] 2.2.1) and compounds of them.

use crate::smb::bytes::Read as _;
use crate::smb::status::Status;

/// Bytes of a header ([MS-SMB2] 2.2.1). Offsets inside a packet count from its first byte.
const HEADER: usize = 64;
const SERVER_TO_CLIENT: u32 = 0x0000_0001;
const SIGNED: u32 = 0x0000_0008;

/// One request or answer with its whole header; maybe cut short after it.
#[derive(Clone, Copy, Debug)]
pub(in crate::smb) struct Packet<'a> {
    bytes: &'a [u8],
    /// Of an answer alone.
    pub(super) status: Status,
    pub(super) command: u16,
    flags: u32,
    next: usize,
    /// The message's number.
    pub(super) id: u64,
    /// The session's number; 0 before there is one.
    pub(super) session: u64,
}

impl<'a> Packet<'a> {
    /// None if the header is cut short.
    fn new(bytes: &'a [u8]) -> Option<Self> {
        bytes.get(..HEADER)?;
        Some(Self {
            bytes,
            status: Status(bytes.le32(8)?),
            command: bytes.le16(12)?,
            flags: bytes.le32(16)?,
            next: bytes.size32(20)?,
            id: bytes.le64(24)?,
            session: bytes.le64(40)?,
        })
    }

    /// What follows the header.
    pub(super) fn body(&self) -> &'a [u8] {
        self.bytes.after(HEADER)
    }

    /// The bytes whose offset and length, of two bytes each, stand at `at` in the body.
    pub(super) fn buffer(&self, at: usize) -> Option<&'a [u8]> {
        self.bytes.range(self.body().size16(at)?, self.body().size16(at + 2)?)
    }

    /// The same, as far as they have come.
    pub(super) fn buffer_so_far(&self, at: usize) -> &'a [u8] {
        let number = |at| self.body().size16(at).unwrap_or(0);
        self.bytes.so_far(number(at), number(at + 2))
    }

    /// All from an offset in the packet on.
    pub(super) fn after(&self, offset: usize) -> &'a [u8] {
        self.bytes.after(offset)
    }

    /// The server sent it.
    pub(super) fn is_answer(&self) -> bool {
        self.flags & SERVER_TO_CLIENT != 0
    }

    /// It is signed.
    pub(super) fn is_signed(&self) -> bool {
        self.flags & SIGNED != 0
    }

    /// No such header is allowed.
    pub(super) fn breaks_rules(&self) -> bool {
        let goes_astray = self.next != 0 && (self.next < HEADER || !self.next.is_multiple_of(8));
        goes_astray || self.bytes.size16(4) != Some(HEADER)
    }
}

/// The packets of a message: one, or a compound ([MS-SMB2] 3.2.4.1.4), up to the first that breaks the rules.
pub(super) struct Packets<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Packets<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        let packet = Packet::new(self.0)?;
        let goes_on = packet.next != 0 && !packet.breaks_rules();
        let next = if goes_on { packet.next } else { self.0.len() };
        let (bytes, rest) = self.0.split_at_checked(next).unwrap_or((self.0, &[]));
        self.0 = rest;
        Some(Packet { bytes, ..packet })
    }
}
