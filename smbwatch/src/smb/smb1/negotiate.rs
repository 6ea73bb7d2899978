//! SMB_COM_NEGOTIATE ([MS-CIFS] 2.2.4.52, [MS-SMB] 2.2.4.5).

use super::{Block, NEGOTIATE, Packet};
use crate::smb::bytes::Read as _;
use crate::smb::dialect::Dialect;
use crate::smb::dialogue::{Dialogue, MAX_ITEMS};
use crate::smb::negotiation::{Negotiation, guid};
use crate::smb::spnego;
use crate::smb::text::{self, Charset};

const MODE_SIGNING_ENABLED: u8 = 0x04;
const MODE_SIGNING_REQUIRED: u8 = 0x08;
const CAP_EXTENDED_SECURITY: u32 = 0x8000_0000;

/// Takes a request and its answer.
pub(super) fn request(
    packet: Packet<'_>,
    block: Block<'_>,
    answer: Option<Packet<'_>>,
    dialogue: &mut Dialogue,
) {
    let dialects = dialects(block.data);
    if let Some(answer) = answer.and_then(|answer| answer.block(NEGOTIATE)) {
        dialogue.chosen = choice(answer, &dialects);
    }
    dialogue.offered = Some(Negotiation {
        dialects,
        signing_enabled: packet.may_sign(),
        signing_required: packet.must_sign(),
        ..Negotiation::default()
    });
}

/// Names that end with a NUL, each behind the byte 2.
fn dialects(mut data: &[u8]) -> Vec<Dialect> {
    let mut dialects = Vec::new();
    while let Some((2, rest)) = data.split_first()
        && dialects.len() < MAX_ITEMS
    {
        let Some((name, rest)) = text::terminated(rest, Charset::Oem) else { break };
        dialects.push(Dialect::Named(name));
        data = rest;
    }
    dialects
}

/// None if the server takes no dialect, or one that was not seen.
fn choice(answer: Block<'_>, dialects: &[Dialect]) -> Option<Negotiation> {
    /// Bytes of the words with which NT LM 0.12 answers; older dialects say nothing of interest.
    const NT: usize = 34;
    const GUID: usize = 16;
    let dialect = dialects.get(answer.words.size16(0)?)?;
    let mut choice = Negotiation { dialects: vec![dialect.clone()], ..Negotiation::default() };
    if answer.words.len() == NT {
        let mode = answer.words.byte(2)?;
        choice.signing_enabled = mode & MODE_SIGNING_ENABLED != 0;
        choice.signing_required = mode & MODE_SIGNING_REQUIRED != 0;
        choice.capabilities = answer.words.le32(19)?;
    }
    if choice.capabilities & CAP_EXTENDED_SECURITY != 0 {
        choice.guid = answer.data.array::<GUID>(0).map(guid);
        choice.mechanisms = spnego::read(answer.data.after(GUID)).offered;
    }
    Some(choice)
}
