//! SMB_COM_NT_CREATE_ANDX and SMB_COM_OPEN_ANDX ([MS-CIFS] 2.2.4.64 and 2.2.4.41).

use super::{Block, NT_CREATE_ANDX};
use crate::smb::Options;
use crate::smb::bytes::Read as _;
use crate::smb::dialogue::Dialogue;
use crate::smb::text;

/// Takes a request.
pub(super) fn request(block: Block<'_>, dialogue: &mut Dialogue, options: Options) {
    dialogue.counts.creates += 1;
    if let Some(name) = name(block) {
        dialogue.add_file(name, options.files);
    }
}

fn name(block: Block<'_>) -> Option<String> {
    let strings = block.strings(0);
    if block.command == NT_CREATE_ANDX {
        let name = strings.range(0, block.words.size16(5)?)?;
        return Some(text::whole(name, block.charset));
    }
    block.string(strings).map(|(name, _)| name)
}
