//! SESSION_SETUP ([MS-SMB2] 2.2.5 and 2.2.6).

use super::Packet;
use crate::smb::bytes::Read as _;
use crate::smb::dialogue::Dialogue;

const GUEST: u16 = 0x0001;
const NULL: u16 = 0x0002;
const ENCRYPT_DATA: u16 = 0x0004;

/// Takes a request and its answer.
pub(super) fn request(packet: Packet<'_>, answer: Option<Packet<'_>>, dialogue: &mut Dialogue) {
    let Some(logon) = dialogue.logon(packet.session) else { return };
    logon.client(packet.buffer_so_far(12));
    let Some(answer) = answer else { return };
    let flags = answer.body().le16(2).unwrap_or(0);
    logon.status = Some(answer.status);
    logon.session = answer.session;
    logon.guest = flags & GUEST != 0;
    logon.anonymous |= flags & NULL != 0;
    logon.encrypted = flags & ENCRYPT_DATA != 0;
    logon.server(answer.buffer_so_far(4));
}
