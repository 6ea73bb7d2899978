//! Headers of SMB 1 ([MS-CIFS] 2.2.3) and the blocks behind them.

use super::{
    LOCKING_ANDX, LOGOFF_ANDX, NT_CREATE_ANDX, OPEN_ANDX, READ_ANDX, SESSION_SETUP_ANDX, TREE_CONNECT_ANDX,
    WRITE_ANDX,
};
use crate::smb::bytes::Read as _;
use crate::smb::status::Status;
use crate::smb::text::{self, Charset};

/// Bytes of a header ([MS-CIFS] 2.2.3.1). Offsets inside a packet count from its first byte.
const HEADER: usize = 32;
/// Blocks of a chain that are read.
const MAX_CHAIN: usize = 8;
const NO_ANDX: u8 = 0xff;

const REPLY: u8 = 0x80;
const SIGNING_ENABLED: u16 = 0x0004;
const SIGNING_REQUIRED: u16 = 0x0010;
const NT_STATUS: u16 = 0x4000;
const UNICODE: u16 = 0x8000;

/// One request or answer with its whole header; maybe cut short after it.
#[derive(Clone, Copy, Debug)]
pub(in crate::smb) struct Packet<'a> {
    bytes: &'a [u8],
    pub(super) command: u8,
    flags: u8,
    flags2: u16,
    /// The user's number, which the server gave.
    pub(super) session: u16,
    /// The multiplex number.
    pub(super) id: u16,
}

/// One command of a packet: its words are all there, its data as far as they have come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    pub(super) command: u8,
    pub(super) words: &'a [u8],
    pub(super) data: &'a [u8],
    /// Where `data` lies in the packet.
    at: usize,
    pub(super) charset: Charset,
}

impl<'a> Packet<'a> {
    /// None if the header is cut short.
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        bytes.get(..HEADER)?;
        Some(Self {
            bytes,
            command: bytes.byte(4)?,
            flags: bytes.byte(9)?,
            flags2: bytes.le16(10)?,
            session: bytes.le16(28)?,
            id: bytes.le16(30)?,
        })
    }

    /// The server sent it.
    pub(super) fn is_answer(&self) -> bool {
        self.flags & REPLY != 0
    }

    /// The sender can sign messages.
    pub(super) fn may_sign(&self) -> bool {
        self.flags2 & (SIGNING_ENABLED | SIGNING_REQUIRED) != 0
    }

    /// The sender wants messages signed.
    pub(super) fn must_sign(&self) -> bool {
        self.flags2 & SIGNING_REQUIRED != 0
    }

    /// The result of the first block with this command. The header's is that of the last one that was tried.
    pub(super) fn status_of(self, command: u8) -> Option<Status> {
        let goes_on = self.blocks().skip_while(|block| block.command != command).nth(1).is_some();
        if goes_on { Some(Status::SUCCESS) } else { self.status() }
    }

    fn status(self) -> Option<Status> {
        if self.flags2 & NT_STATUS != 0 {
            return self.bytes.le32(5).map(Status);
        }
        let (class, code) = (self.bytes.byte(5)?, self.bytes.le16(7)?);
        Some(Status(u32::from(class) << 16 | u32::from(code)))
    }

    /// The blocks behind the header.
    pub(super) fn blocks(self) -> Blocks<'a> {
        Blocks { packet: self, next: Some((self.command, HEADER)), left: MAX_CHAIN }
    }

    /// The first block with this command.
    pub(super) fn block(self, command: u8) -> Option<Block<'a>> {
        self.blocks().find(|block| block.command == command)
    }
}

/// The blocks of a packet: one, or an AndX chain ([MS-CIFS] 2.2.3.4). Each must begin behind the one before.
pub(super) struct Blocks<'a> {
    packet: Packet<'a>,
    next: Option<(u8, usize)>,
    left: usize,
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        let (command, start) = self.next.take()?;
        self.left = self.left.checked_sub(1)?;
        let bytes = self.packet.bytes;
        let words = bytes.range(start + 1, 2 * usize::from(bytes.byte(start)?))?;
        let at = start + 1 + words.len() + 2;
        let length = bytes.size16(at - 2)?;
        let data = bytes.so_far(at, length);
        // An answer that tells an error has no words.
        if has_andx(command)
            && let (Some(next), Some(offset)) = (words.byte(0), words.size16(2))
        {
            self.next = Some((next, offset)).filter(|_| next != NO_ANDX && offset >= at + length);
        }
        let charset = Charset::unicode_if(self.packet.flags2 & UNICODE != 0);
        Some(Block { command, words, data, at, charset })
    }
}

impl<'a> Block<'a> {
    /// The data from `skip` on, and from an even offset in the packet if they are Unicode.
    pub(super) fn strings(&self, skip: usize) -> &'a [u8] {
        let odd = (self.at + skip) % 2;
        let padding = if self.charset == Charset::Unicode { odd } else { 0 };
        self.data.after(skip + padding)
    }

    /// A string among [`Self::strings`], and what follows it.
    pub(super) fn string<'b>(&self, strings: &'b [u8]) -> Option<(String, &'b [u8])> {
        text::terminated(strings, self.charset)
    }
}

fn has_andx(command: u8) -> bool {
    matches!(
        command,
        SESSION_SETUP_ANDX
            | TREE_CONNECT_ANDX
            | NT_CREATE_ANDX
            | OPEN_ANDX
            | READ_ANDX
            | WRITE_ANDX
            | LOGOFF_ANDX
            | LOCKING_ANDX
    )
}
