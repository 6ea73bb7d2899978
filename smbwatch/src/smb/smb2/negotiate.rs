//! NEGOTIATE ([MS-SMB2] 2.2.3 and 2.2.4) and the contexts that 3.1.1 adds to it.

use super::Packet;
use crate::smb::bytes::Read as _;
use crate::smb::dialect::Dialect;
use crate::smb::dialogue::{Dialogue, MAX_ITEMS};
use crate::smb::negotiation::{Negotiation, guid};
use crate::smb::spnego;
use crate::smb::text::{self, Charset};

const SIGNING_ENABLED: u16 = 0x0001;
const SIGNING_REQUIRED: u16 = 0x0002;
const CAP_ENCRYPTION: u32 = 0x0000_0040;
const SMB_3_1_1: u16 = 0x0311;

const HASHES: &[(u16, &str)] = &[(1, "SHA-512")];
const CIPHERS: &[(u16, &str)] =
    &[(1, "AES-128-CCM"), (2, "AES-128-GCM"), (3, "AES-256-CCM"), (4, "AES-256-GCM")];
const COMPRESSIONS: &[(u16, &str)] =
    &[(0, "NONE"), (1, "LZNT1"), (2, "LZ77"), (3, "LZ77+Huffman"), (4, "Pattern_V1"), (5, "LZ4")];
const SIGNINGS: &[(u16, &str)] = &[(0, "HMAC-SHA256"), (1, "AES-CMAC"), (2, "AES-GMAC")];

/// Takes an offer.
pub(super) fn request(packet: Packet<'_>, dialogue: &mut Dialogue) {
    const DIALECTS: usize = 36;
    let body = packet.body();
    let count = body.size16(2).unwrap_or(0);
    let numbers = body.after(DIALECTS).chunks_exact(2).take(count).filter_map(|number| number.le16(0));
    let dialects: Vec<Dialect> = numbers.take(MAX_ITEMS).map(Dialect::Numbered).collect();
    let mut offer = Negotiation {
        capabilities: body.le32(8).unwrap_or(0),
        guid: body.array(12).map(guid),
        ..Negotiation::default()
    };
    security_mode(&mut offer, body.le16(4));
    if dialects.contains(&Dialect::Numbered(SMB_3_1_1)) {
        contexts(&mut offer, packet, body.size32(28), body.size16(32));
    }
    // A client may have offered SMB 1 before ([MS-SMB2] 3.2.4.2.2.1).
    offer.dialects = dialogue.offered.take().map(|before| before.dialects).unwrap_or_default();
    offer.dialects.retain(|dialect| matches!(dialect, Dialect::Named(_)));
    offer.dialects.extend(dialects);
    dialogue.offered = Some(offer);
}

/// Takes a choice.
pub(super) fn answer(packet: Packet<'_>, dialogue: &mut Dialogue) {
    const SIZE: u16 = 65;
    let body = packet.body();
    let (Some(SIZE), Some(dialect)) = (body.le16(0), body.le16(4)) else { return };
    let mut choice = Negotiation {
        dialects: vec![Dialect::Numbered(dialect)],
        capabilities: body.le32(24).unwrap_or(0),
        guid: body.array(8).map(guid),
        mechanisms: spnego::read(packet.buffer_so_far(56)).offered,
        ..Negotiation::default()
    };
    security_mode(&mut choice, body.le16(2));
    if dialect == SMB_3_1_1 {
        contexts(&mut choice, packet, body.size32(60), body.size16(6));
    }
    dialogue.chosen = Some(choice);
}

fn security_mode(negotiation: &mut Negotiation, mode: Option<u16>) {
    let mode = mode.unwrap_or(0);
    negotiation.signing_enabled = mode & SIGNING_ENABLED != 0;
    negotiation.signing_required = mode & SIGNING_REQUIRED != 0;
    negotiation.encryption = negotiation.capabilities & CAP_ENCRYPTION != 0;
}

/// Reads `count` contexts from `offset` on ([MS-SMB2] 2.2.3.1), each 8-aligned.
fn contexts(into: &mut Negotiation, packet: Packet<'_>, offset: Option<usize>, count: Option<usize>) {
    const HEADER: usize = 8;
    let mut rest = offset.map_or(&[][..], |offset| packet.after(offset));
    for _ in 0..count.unwrap_or(0).min(MAX_ITEMS) {
        let (Some(kind), Some(length)) = (rest.le16(0), rest.size16(2)) else { return };
        let Some(data) = rest.range(HEADER, length) else { return };
        context(into, kind, data);
        rest = rest.after((HEADER + length).next_multiple_of(8));
    }
}

fn context(into: &mut Negotiation, kind: u16, data: &[u8]) {
    match kind {
        0x0001 => into.hashes = names(data, 4, HASHES),
        0x0002 => {
            into.ciphers = names(data, 2, CIPHERS);
            // A server that takes no cipher answers with 0.
            into.encryption |= data.le16(2).is_some_and(|cipher| cipher != 0);
        }
        0x0003 => into.compressions = names(data, 8, COMPRESSIONS),
        0x0005 => into.server_name = Some(text::whole(data, Charset::Unicode)),
        0x0008 => into.signings = names(data, 2, SIGNINGS),
        _ => {}
    }
}

/// Algorithms by name: their number stands first, their identifiers from `at` on.
fn names(data: &[u8], at: usize, table: &[(u16, &str)]) -> Vec<String> {
    let count = data.size16(0).unwrap_or(0).min(MAX_ITEMS);
    let ids = data.after(at).chunks_exact(2).take(count).filter_map(|id| id.le16(0));
    let name = |id: u16| match table.iter().find(|(number, _)| *number == id) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("{id:#06x}"),
    };
    ids.map(name).collect()
}
