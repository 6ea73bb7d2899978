//! SMB 1 ([MS-CIFS] 2.2.3, [MS-SMB]): headers, AndX chains, and which file reads which command.

mod negotiate;
mod session;
mod tree;
mod open;

use super::Options;
use super::answers;
use super::bytes::Read as _;
use super::dialogue::Dialogue;
use super::status::Status;
use super::text::{self, Charset};

/// Bytes of a header ([MS-CIFS] 2.2.3.1). Offsets inside a packet count from its first byte.
const HEADER: usize = 32;
/// Commands of a chain that are read.
const MAX_CHAIN: usize = 8;

const READ: u8 = 0x0a;
const WRITE: u8 = 0x0b;
const IOCTL: u8 = 0x27;
const OPEN_ANDX: u8 = 0x2d;
const READ_ANDX: u8 = 0x2e;
const WRITE_ANDX: u8 = 0x2f;
const TREE_CONNECT: u8 = 0x70;
const NEGOTIATE: u8 = 0x72;
const SESSION_SETUP_ANDX: u8 = 0x73;
const LOGOFF_ANDX: u8 = 0x74;
const TREE_CONNECT_ANDX: u8 = 0x75;
const LOCKING_ANDX: u8 = 0x24;
const NT_TRANSACT: u8 = 0xa0;
const NT_CREATE_ANDX: u8 = 0xa2;
const NT_CANCEL: u8 = 0xa4;
const NO_ANDX: u8 = 0xff;

const REPLY: u8 = 0x80;
const SIGNING_ENABLED: u16 = 0x0004;
const SIGNING_REQUIRED: u16 = 0x0010;
const NT_STATUS: u16 = 0x4000;
const UNICODE: u16 = 0x8000;

/// Answers that their requests are waiting for, by multiplex number.
pub(super) type Answers<'a> = answers::Answers<Packet<'a>>;

/// One request or answer with its whole header; maybe cut short after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    bytes: &'a [u8],
    command: u8,
    flags: u8,
    flags2: u16,
    session: u16,
    id: u16,
}

/// One command of a packet: its words are all there, its data as far as they have come.
#[derive(Clone, Copy, Debug)]
struct Block<'a> {
    command: u8,
    words: &'a [u8],
    data: &'a [u8],
    /// Where `data` lies in the packet.
    at: usize,
    charset: Charset,
}

impl<'a> Packet<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
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

    fn is_answer(&self) -> bool {
        self.flags & REPLY != 0
    }

    /// The result of the first block with this command. The header's is that of the last one that was tried.
    fn status_of(self, command: u8) -> Option<Status> {
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

    fn blocks(self) -> Blocks<'a> {
        Blocks { packet: self, next: Some((self.command, HEADER)), left: MAX_CHAIN }
    }

    /// The first block with this command.
    fn block(self, command: u8) -> Option<Block<'a>> {
        self.blocks().find(|block| block.command == command)
    }
}

/// The blocks of a packet: one, or an AndX chain ([MS-CIFS] 2.2.3.4). Each must begin behind the one before.
struct Blocks<'a> {
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
        let rest = bytes.after(at);
        let data = rest.get(..length).unwrap_or(rest);
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
    fn strings(&self, skip: usize) -> &'a [u8] {
        let odd = (self.at + skip) % 2;
        let padding = if self.charset == Charset::Unicode { odd } else { 0 };
        self.data.after(skip + padding)
    }

    /// A string among [`Self::strings`], and what follows it.
    fn string<'b>(&self, strings: &'b [u8]) -> Option<(String, &'b [u8])> {
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

/// Takes a message of the server.
pub(super) fn answer<'a>(message: &'a [u8], answers: &mut Answers<'a>, dialogue: &mut Dialogue) {
    match Packet::new(message) {
        Some(packet) if packet.is_answer() => answers.add(packet.id.into(), packet),
        Some(_) => dialogue.counts.malformed += 1,
        None => {}
    }
}

/// Takes a message of the client.
pub(super) fn request(message: &[u8], answers: &mut Answers<'_>, dialogue: &mut Dialogue, options: Options) {
    let Some(packet) = Packet::new(message) else { return };
    if packet.is_answer() {
        dialogue.counts.malformed += 1;
        return;
    }
    // It names the request that it cancels.
    if packet.command == NT_CANCEL {
        return;
    }
    let answer = answers.take(packet.id.into());
    for block in packet.blocks() {
        match block.command {
            NEGOTIATE => negotiate::request(packet, block, answer, dialogue),
            SESSION_SETUP_ANDX => session::request(packet, block, answer, dialogue),
            TREE_CONNECT | TREE_CONNECT_ANDX => tree::request(block, answer, dialogue),
            OPEN_ANDX | NT_CREATE_ANDX => open::request(block, dialogue, options),
            READ | READ_ANDX => dialogue.counts.reads += 1,
            WRITE | WRITE_ANDX => dialogue.counts.writes += 1,
            IOCTL | NT_TRANSACT => dialogue.counts.ioctls += 1,
            _ => {}
        }
    }
}
