//! SMB_COM_TREE_CONNECT and its AndX form ([MS-CIFS] 2.2.4.50 and 2.2.4.55). Passwords are passed over.

use super::{Block, Packet, TREE_CONNECT_ANDX};
use crate::smb::bytes::Read as _;
use crate::smb::dialogue::{Dialogue, Share, ShareKind};
use crate::smb::text::{self, Charset};

/// Takes a request and its answer.
pub(super) fn request(block: Block<'_>, answer: Option<Packet<'_>>, dialogue: &mut Dialogue) {
    let Some(path) = path(block) else { return };
    dialogue.add_share(Share {
        status: answer.and_then(|answer| answer.status_of(block.command)),
        kind: answer.and_then(|answer| answer.block(TREE_CONNECT_ANDX)).and_then(kind),
        ..Share::at(path)
    });
}

fn path(block: Block<'_>) -> Option<String> {
    let strings = match block.command {
        TREE_CONNECT_ANDX => block.strings(block.words.size16(6)?),
        _ => block.strings(1),
    };
    block.string(strings).map(|(path, _)| path)
}

/// By the answer's service; the request may ask for any.
fn kind(answer: Block<'_>) -> Option<ShareKind> {
    let (service, _) = text::terminated(answer.data, Charset::Oem)?;
    match service.as_str() {
        "A:" => Some(ShareKind::Disk),
        "IPC" => Some(ShareKind::Pipe),
        "LPT1:" => Some(ShareKind::Printer),
        _ => None,
    }
}
