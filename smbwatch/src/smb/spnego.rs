//! The negotiation of a mechanism for authentication: SPNEGO (RFC 4178 section 4.2), or a bare token.

use std::fmt::{self, Display, Formatter};

use super::der::{self, Elements};
use super::dialogue::MAX_ITEMS;
use super::ntlm;

/// [APPLICATION 0] of RFC 2743 section 3.1: a mechanism and its token.
pub(super) const GSS: u8 = 0x60;
pub(super) const OID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
const OCTETS: u8 = 0x04;
const INIT: u8 = 0xa0;
const RESPONSE: u8 = 0xa1;

const SPNEGO: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x02];
const NTLM: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a];
const NEGOEX: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x1e];
pub(super) const KERBEROS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02];
/// The same, as Windows 2000 wrote it by mistake ([MS-SPNG] 3.1.5.2).
const KERBEROS_OF_WINDOWS: &[u8] = &[0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02];
const NEGOEX_SIGNATURE: &[u8] = b"NEGOEXTS";

/// A mechanism for authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Passwords, or answers to a challenge, in fields of SMB 1 itself.
    Plain,
    /// NTLMSSP.
    Ntlm,
    /// Kerberos 5.
    Kerberos,
    /// NEGOEX, which negotiates once more.
    NegoEx,
    /// Another.
    Other,
}

impl Mechanism {
    fn of_oid(oid: &[u8]) -> Self {
        match oid {
            NTLM => Self::Ntlm,
            KERBEROS | KERBEROS_OF_WINDOWS => Self::Kerberos,
            NEGOEX => Self::NegoEx,
            _ => Self::Other,
        }
    }

    fn of_token(token: &[u8]) -> Self {
        match token {
            _ if token.starts_with(ntlm::SIGNATURE) => Self::Ntlm,
            _ if token.starts_with(NEGOEX_SIGNATURE) => Self::NegoEx,
            _ => der::at(token, &[GSS, OID]).map_or(Self::Other, |oid| Self::of_oid(oid.content)),
        }
    }
}

impl Display for Mechanism {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Ntlm => "NTLM",
            Self::Kerberos => "Kerberos",
            Self::NegoEx => "NEGOEX",
            Self::Other => "other",
        })
    }
}

/// What a security buffer says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Blob<'a> {
    /// Mechanisms offered, best first.
    pub(super) offered: Vec<Mechanism>,
    /// The mechanism that `token` is for, or that was agreed on.
    pub(super) mechanism: Option<Mechanism>,
    /// The mechanism's own token; maybe cut short.
    pub(super) token: &'a [u8],
}

/// Reads a security buffer, which may be cut short.
pub(super) fn read(buffer: &[u8]) -> Blob<'_> {
    if let Some(init) = init(buffer) {
        return from_init(init);
    }
    if let Some(response) = der::at(buffer, &[RESPONSE, SEQUENCE]) {
        return from_response(response.content);
    }
    Blob { offered: Vec::new(), mechanism: of_some(buffer), token: buffer }
}

fn init(buffer: &[u8]) -> Option<&[u8]> {
    let oid = der::at(buffer, &[GSS, OID])?;
    let init = der::at(buffer, &[GSS, INIT, SEQUENCE])?;
    (oid.content == SPNEGO).then_some(init.content)
}

fn from_init(init: &[u8]) -> Blob<'_> {
    let list = der::at(init, &[0xa0, SEQUENCE]).map_or(&[][..], |list| list.content);
    let mut offered = Vec::new();
    for oid in Elements(list).filter(|element| element.tag == OID && element.whole).take(MAX_ITEMS) {
        let mechanism = Mechanism::of_oid(oid.content);
        // Kerberos has two.
        if !offered.contains(&mechanism) {
            offered.push(mechanism);
        }
    }
    let token = der::at(init, &[0xa2, OCTETS]).map_or(&[][..], |token| token.content);
    Blob { offered, mechanism: of_some(token), token }
}

fn from_response(response: &[u8]) -> Blob<'_> {
    let agreed = der::at(response, &[0xa1, OID]).filter(|oid| oid.whole);
    let token = der::at(response, &[0xa2, OCTETS]).map_or(&[][..], |token| token.content);
    let mechanism = of_some(token).filter(|mechanism| *mechanism != Mechanism::Other);
    Blob {
        offered: Vec::new(),
        mechanism: mechanism.or(agreed.map(|oid| Mechanism::of_oid(oid.content))),
        token,
    }
}

fn of_some(token: &[u8]) -> Option<Mechanism> {
    (!token.is_empty()).then(|| Mechanism::of_token(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smb::der::element;

    #[test]
    fn the_offer_and_its_token() {
        let mechanisms = element(
            0xa0,
            &[&element(
                SEQUENCE,
                &[&element(OID, &[KERBEROS]), &element(OID, &[NTLM]), &element(OID, &[b"?"])],
            )],
        );
        let token = element(0xa2, &[&element(OCTETS, &[b"NTLMSSP\0\x01"])]);
        let init = element(INIT, &[&element(SEQUENCE, &[&mechanisms, &token])]);
        let buffer = element(GSS, &[&element(OID, &[SPNEGO]), &init]);
        let offered = [Mechanism::Kerberos, Mechanism::Ntlm, Mechanism::Other];
        let blob = read(&buffer);
        assert_eq!(blob.offered, offered);
        assert_eq!((blob.mechanism, blob.token), (Some(Mechanism::Ntlm), &b"NTLMSSP\0\x01"[..]));
        let cut = read(&buffer[..buffer.len() - token.len()]);
        assert_eq!(cut, Blob { offered: offered.to_vec(), mechanism: None, token: b"" });
    }

    #[test]
    fn what_was_agreed_on() {
        let agreed = element(0xa1, &[&element(OID, &[NEGOEX])]);
        for (parts, mechanism, token) in [
            (&[&agreed[..]][..], Some(Mechanism::NegoEx), &b""[..]),
            (&[&element(0xa2, &[&element(OCTETS, &[b"NTLMSSP\0"])])], Some(Mechanism::Ntlm), b"NTLMSSP\0"),
            (&[&agreed, &element(0xa2, &[&element(OCTETS, &[b"?"])])], Some(Mechanism::NegoEx), b"?"),
            (&[], None, b""),
        ] {
            let buffer = element(RESPONSE, &[&element(SEQUENCE, parts)]);
            assert_eq!(read(&buffer), Blob { offered: Vec::new(), mechanism, token });
        }
    }

    #[test]
    fn bare_tokens() {
        let kerberos = element(GSS, &[&element(OID, &[KERBEROS]), b"\x01\x00"]);
        for (buffer, mechanism) in [
            (&b""[..], None),
            (b"NTLMSSP\0\x01\0\0\0", Some(Mechanism::Ntlm)),
            (b"NEGOEXTS", Some(Mechanism::NegoEx)),
            (&kerberos, Some(Mechanism::Kerberos)),
            (b"\x60\x80", Some(Mechanism::Other)),
        ] {
            assert_eq!(read(buffer).mechanism, mechanism, "{buffer:02x?}");
        }
    }
}
