//! SMB 2 and 3 ([MS-SMB2] 2.2): commands, and which file reads which.

mod packet;
mod negotiate;
mod session;
mod tree;
mod create;

use super::Options;
use super::answers;
use super::dialogue::Dialogue;
use super::status::Status;

use packet::{Packet, Packets};

const NEGOTIATE: u16 = 0x00;
const SESSION_SETUP: u16 = 0x01;
const TREE_CONNECT: u16 = 0x03;
const CREATE: u16 = 0x05;
const READ: u16 = 0x08;
const WRITE: u16 = 0x09;
const IOCTL: u16 = 0x0b;

/// Answers that their requests are waiting for, by message number.
pub(super) type Answers<'a> = answers::Answers<Packet<'a>>;

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
        dialogue.counts.signed += u32::from(packet.is_signed());
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
