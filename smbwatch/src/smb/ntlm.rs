//! NTLMSSP ([MS-NLMP] 2.2.1). Of responses, the session key and the MIC, only lengths are read.

use std::ops::Range;

use super::bytes::Read as _;
use super::text::{self, Charset};

/// How every message begins.
pub(super) const SIGNATURE: &[u8] = b"NTLMSSP\0";

const NEGOTIATE: u32 = 1;
const CHALLENGE: u32 = 2;
const AUTHENTICATE: u32 = 3;

const UNICODE: u32 = 0x0000_0001;
const ANONYMOUS: u32 = 0x0000_0800;
const DOMAIN_SUPPLIED: u32 = 0x0000_1000;
const WORKSTATION_SUPPLIED: u32 = 0x0000_2000;

/// Who a client says it is. Empty names are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The account, or a name with its domain after `@`.
    pub user: Option<String>,
    /// The account's domain.
    pub domain: Option<String>,
    /// The client's own name.
    pub workstation: Option<String>,
}

/// What a server says that it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerNames {
    /// Its domain, or its own name where it is in none.
    pub target: Option<String>,
    /// Its NetBIOS name.
    pub netbios_computer: Option<String>,
    /// Its domain's NetBIOS name.
    pub netbios_domain: Option<String>,
    /// Its DNS name.
    pub dns_computer: Option<String>,
    /// Its domain's DNS name.
    pub dns_domain: Option<String>,
}

/// The kind of response to a challenge, by its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// The password itself, in SMB 1 without encryption.
    Password,
    /// LM alone.
    Lm,
    /// NTLM, of 24 bytes ([MS-NLMP] 2.2.2.6).
    V1,
    /// NTLMv2, of more ([MS-NLMP] 2.2.2.8).
    V2,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// The client begins; its names where it tells them.
    Negotiate(Identity),
    /// The server's names.
    Challenge(ServerNames),
    /// The client's identity; no response if it is anonymous. Nothing is known of what is cut off.
    Authenticate { identity: Identity, response: Option<Response>, anonymous: bool },
}

/// Reads a message, which may be cut short.
pub(super) fn read(token: &[u8]) -> Option<Message> {
    if !token.starts_with(SIGNATURE) {
        return None;
    }
    match token.le32(8)? {
        NEGOTIATE => Some(Message::Negotiate(negotiate(token))),
        CHALLENGE => Some(Message::Challenge(challenge(token))),
        AUTHENTICATE => authenticate(token),
        _ => None,
    }
}

fn negotiate(token: &[u8]) -> Identity {
    let flags = token.le32(12).unwrap_or(0);
    let name = |flag, at| (flags & flag != 0).then(|| name(token, at, Charset::Oem, &[])).flatten();
    Identity { user: None, domain: name(DOMAIN_SUPPLIED, 16), workstation: name(WORKSTATION_SUPPLIED, 24) }
}

fn challenge(token: &[u8]) -> ServerNames {
    let charset = charset(token.le32(20).unwrap_or(0));
    let mut names = ServerNames { target: name(token, 12, charset, &[]), ..ServerNames::default() };
    let mut pairs = field(token, 40).and_then(|range| token.get(range)).unwrap_or_default();
    // AV_PAIR, [MS-NLMP] 2.2.2.1; always Unicode.
    while let (Some(id), Some(length)) = (pairs.le16(0), pairs.size16(2)) {
        let Some(value) = pairs.range(4, length) else { break };
        let place = match id {
            0 => break,
            1 => &mut names.netbios_computer,
            2 => &mut names.netbios_domain,
            3 => &mut names.dns_computer,
            4 => &mut names.dns_domain,
            _ => &mut None,
        };
        *place = some(text::whole(value, Charset::Unicode));
        pairs = pairs.after(4 + length);
    }
    names
}

fn authenticate(token: &[u8]) -> Option<Message> {
    let flags = token.le32(60)?;
    let (lm, nt) = (field(token, 12)?, field(token, 20)?);
    let secrets = [lm.clone(), nt.clone(), field(token, 52)?];
    let name = |at| name(token, at, charset(flags), &secrets);
    let identity = Identity { domain: name(28), user: name(36), workstation: name(44) };
    let response = match (lm.len(), nt.len()) {
        (0 | 1, 0) => None,
        (_, 0) => Some(Response::Lm),
        (_, 24) => Some(Response::V1),
        _ => Some(Response::V2),
    };
    Some(Message::Authenticate {
        identity,
        response,
        anonymous: flags & ANONYMOUS != 0 || response.is_none(),
    })
}

fn charset(flags: u32) -> Charset {
    Charset::unicode_if(flags & UNICODE != 0)
}

/// Where the field lies whose length, room and offset stand at `at`.
fn field(token: &[u8], at: usize) -> Option<Range<usize>> {
    let start = token.size32(at + 4)?;
    Some(start..start.checked_add(token.size16(at)?)?)
}

/// The name whose field stands at `at`. One that reaches into a secret, or into the fixed fields before all
/// payload, is none.
fn name(token: &[u8], at: usize, charset: Charset, secrets: &[Range<usize>]) -> Option<String> {
    const FIXED: usize = 32;
    let range = field(token, at)?;
    let meets = |secret: &Range<usize>| secret.start < range.end && range.start < secret.end;
    if range.start < FIXED || secrets.iter().any(meets) {
        return None;
    }
    some(text::whole(token.get(range)?, charset))
}

fn some(name: String) -> Option<String> {
    Some(name).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests;
