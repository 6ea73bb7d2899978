//! TREE_CONNECT ([MS-SMB2] 2.2.9 and 2.2.10).

use super::Packet;
use crate::smb::bytes::Read as _;
use crate::smb::dialogue::{Dialogue, Share, ShareKind};
use crate::smb::status::Status;
use crate::smb::text::{self, Charset};

const ENCRYPT_DATA: u32 = 0x0000_8000;

/// Takes a request and its answer.
pub(super) fn request(packet: Packet<'_>, answer: Option<Packet<'_>>, dialogue: &mut Dialogue) {
    let Some(path) = packet.buffer(4) else { return };
    let mut share = Share::at(text::whole(path, Charset::Unicode));
    share.status = answer.map(|answer| answer.status);
    if let Some(granted) = answer.filter(|answer| answer.status == Status::SUCCESS) {
        share.kind = granted.body().byte(2).and_then(kind);
        share.encrypted = granted.body().le32(4).unwrap_or(0) & ENCRYPT_DATA != 0;
    }
    dialogue.add_share(share);
}

fn kind(number: u8) -> Option<ShareKind> {
    match number {
        1 => Some(ShareKind::Disk),
        2 => Some(ShareKind::Pipe),
        3 => Some(ShareKind::Printer),
        _ => None,
    }
}
