//! SMB 1 ([MS-CIFS], [MS-SMB]): commands, and which file reads which.

mod packet;
mod negotiate;
mod session;
mod tree;
mod open;

use super::Options;
use super::answers;
use super::dialogue::Dialogue;

use packet::{Block, Packet};

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

/// Answers that their requests are waiting for, by multiplex number.
pub(super) type Answers<'a> = answers::Answers<Packet<'a>>;

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
