//! SMB_COM_SESSION_SETUP_ANDX in its three forms ([MS-CIFS] 2.2.4.53, [MS-SMB] 2.2.4.6).

use super::{Block, Packet, SESSION_SETUP_ANDX};
use crate::smb::bytes::Read as _;
use crate::smb::dialogue::Dialogue;
use crate::smb::logon::Logon;
use crate::smb::ntlm::{Identity, Response};
use crate::smb::spnego::Mechanism;

const GUEST: u16 = 0x0001;

/// Bytes of words that tell the forms of requests apart.
const LANMAN: usize = 20;
const EXTENDED: usize = 24;
const NT: usize = 26;
/// The same of the answer with extended security.
const EXTENDED_ANSWER: usize = 8;

/// Takes a request and its answer.
pub(super) fn request(
    packet: Packet<'_>,
    block: Block<'_>,
    answer: Option<Packet<'_>>,
    dialogue: &mut Dialogue,
) {
    let Some(logon) = dialogue.logon(packet.session.into()) else { return };
    let length = |at| block.words.size16(at).unwrap_or(0);
    match block.words.len() {
        EXTENDED => logon.client(block.data.so_far(0, length(14))),
        NT => plain(logon, block, length(14), length(16)),
        LANMAN => plain(logon, block, length(14), 0),
        _ => {}
    }
    let Some(answer) = answer else { return };
    logon.status = answer.status_of(SESSION_SETUP_ANDX);
    logon.session = answer.session.into();
    let Some(block) = answer.block(SESSION_SETUP_ANDX) else { return };
    logon.guest = block.words.le16(4).unwrap_or(0) & GUEST != 0;
    if block.words.len() == EXTENDED_ANSWER {
        logon.server(block.data.so_far(0, block.words.size16(6).unwrap_or(0)));
    }
}

/// Account and domain behind two passwords or responses, of which only the lengths are read.
fn plain(logon: &mut Logon, block: Block<'_>, oem: usize, unicode: usize) {
    let (user, rest) = block.string(block.strings(oem + unicode)).unzip();
    let (domain, _) = rest.and_then(|rest| block.string(rest)).unzip();
    let some = |name: Option<String>| name.filter(|name| !name.is_empty());
    logon.mechanism = Some(Mechanism::Plain);
    logon.response = response(oem, unicode);
    logon.anonymous = user.as_ref().is_some_and(String::is_empty) && logon.response.is_none();
    logon.identity = Identity { user: some(user), domain: some(domain), workstation: None };
}

fn response(oem: usize, unicode: usize) -> Option<Response> {
    match (oem, unicode) {
        (0 | 1, 0) => None,
        (24, 0) => Some(Response::Lm),
        (_, 24) => Some(Response::V1),
        (_, 25..) => Some(Response::V2),
        _ => Some(Response::Password),
    }
}
