//! SMB 2 and 3 ([MS-SMB2] 2.2): headers, compounds, and which file reads which command.

mod negotiate;
mod session;
mod tree;
mod create;

use super::Options;
use super::answers;
use super::bytes::Read as _;
use super::dialogue::Dialogue;
use super::status::Status;

/// Bytes of a header ([MS-SMB2] 2.2.1). Offsets inside a packet count from its first byte.
const HEADER: usize = 64;

const NEGOTIATE: u16 = 0x00;
const SESSION_SETUP: u16 = 0x01;
const TREE_CONNECT: u16 = 0x03;
const CREATE: u16 = 0x05;
const READ: u16 = 0x08;
const WRITE: u16 = 0x09;
const IOCTL: u16 = 0x0b;

const SERVER_TO_CLIENT: u32 = 0x0000_0001;
const SIGNED: u32 = 0x0000_0008;

/// Answers that their requests are waiting for, by message number.
pub(super) type Answers<'a> = answers::Answers<Packet<'a>>;

/// One request or answer with its whole header; maybe cut short after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    bytes: &'a [u8],
    status: Status,
    command: u16,
    flags: u32,
    next: usize,
    id: u64,
    session: u64,
}

impl<'a> Packet<'a> {
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
    fn body(&self) -> &'a [u8] {
        self.bytes.after(HEADER)
    }

    /// The bytes whose offset and length, of two bytes each, stand at `at` in the body.
    fn buffer(&self, at: usize) -> Option<&'a [u8]> {
        self.bytes.range(self.body().size16(at)?, self.body().size16(at + 2)?)
    }

    /// The same, as far as they have come.
    fn buffer_so_far(&self, at: usize) -> &'a [u8] {
        let (Some(start), Some(length)) = (self.body().size16(at), self.body().size16(at + 2)) else {
            return &[];
        };
        let rest = self.bytes.after(start);
        rest.get(..length).unwrap_or(rest)
    }

    fn is_answer(&self) -> bool {
        self.flags & SERVER_TO_CLIENT != 0
    }

    fn breaks_rules(&self) -> bool {
        let goes_astray = self.next != 0 && (self.next < HEADER || !self.next.is_multiple_of(8));
        goes_astray || self.bytes.size16(4) != Some(HEADER)
    }
}

/// The packets of a message: one, or a compound ([MS-SMB2] 3.2.4.1.4), up to the first that breaks the rules.
struct Packets<'a>(&'a [u8]);

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

/// Takes a message of the server.
pub(super) fn answer<'a>(message: &'a [u8], answers: &mut Answers<'a>, dialogue: &mut Dialogue) {
    for packet in Packets(message) {
        if packet.breaks_rules() || !packet.is_answer() {
            dialogue.counts.malformed += 1;
            continue;
        }
        match packet.command {
            NEGOTIATE => negotiate::answer(packet, dialogue),
            // An interim answer will be followed by another ([MS-SMB2] 3.3.4.2).
            SESSION_SETUP | TREE_CONNECT if packet.status != Status::PENDING => {
                answers.add(packet.id, packet)
            }
            _ => {}
        }
    }
}

/// Takes a message of the client.
pub(super) fn request(message: &[u8], answers: &mut Answers<'_>, dialogue: &mut Dialogue, options: Options) {
    for packet in Packets(message) {
        if packet.breaks_rules() || packet.is_answer() {
            dialogue.counts.malformed += 1;
            continue;
        }
        dialogue.counts.signed += u32::from(packet.flags & SIGNED != 0);
        match packet.command {
            NEGOTIATE => negotiate::request(packet, dialogue),
            SESSION_SETUP => session::request(packet, answers.take(packet.id), dialogue),
            TREE_CONNECT => tree::request(packet, answers.take(packet.id), dialogue),
            CREATE => create::request(packet, dialogue, options),
            READ => dialogue.counts.reads += 1,
            WRITE => dialogue.counts.writes += 1,
            IOCTL => dialogue.counts.ioctls += 1,
            _ => {}
        }
    }
}
