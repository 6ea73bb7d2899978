//! CREATE ([MS-SMB2] 2.2.13).

use super::Packet;
use crate::smb::Options;
use crate::smb::dialogue::Dialogue;
use crate::smb::text::{self, Charset};

/// Takes a request.
pub(super) fn request(packet: Packet<'_>, dialogue: &mut Dialogue, options: Options) {
    dialogue.counts.creates += 1;
    if let Some(name) = packet.buffer(44) {
        dialogue.add_file(text::whole(name, Charset::Unicode), options.files);
    }
}
