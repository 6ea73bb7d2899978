//! Kerberos 5: for whom a ticket is, which it says in clear (RFC 4120 sections 5.3 and 5.5.1).

use super::bytes::Read as _;
use super::der::{self, Elements};
use super::spnego::{GSS, OID, SEQUENCE};
use super::text::{self, Charset};

const AP_REQ: u8 = 0x6e;
const TICKET: u8 = 0x61;
const GENERAL_STRING: u8 = 0x1b;
/// Parts of a service's name that are kept; two or three are usual.
const MAX_PARTS: usize = 4;

/// Whom a ticket is for. Who holds it is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The realm of the service.
    pub realm: String,
    /// The service's name, such as `cifs/server.example.org`.
    pub service: String,
}

/// The ticket of an AP-REQ in its GSS framing (RFC 4121 section 4.1), which may be cut short after the names.
pub(super) fn ticket(token: &[u8]) -> Option<Ticket> {
    const TOKEN_ID: usize = 2;
    let mut framing = Elements(der::at(token, &[GSS])?.content);
    framing.next().filter(|first| first.tag == OID)?;
    let ticket = der::at(framing.0.after(TOKEN_ID), &[AP_REQ, SEQUENCE, 0xa3, TICKET, SEQUENCE])?.content;
    let realm = der::at(ticket, &[0xa1, GENERAL_STRING]).filter(|realm| realm.whole)?;
    let names = der::at(ticket, &[0xa2, SEQUENCE, 0xa1, SEQUENCE]).filter(|names| names.whole)?;
    let parts = Elements(names.content).filter(|part| part.tag == GENERAL_STRING).take(MAX_PARTS);
    let parts: Vec<String> = parts.map(|part| text::whole(part.content, Charset::Oem)).collect();
    Some(Ticket { realm: text::whole(realm.content, Charset::Oem), service: parts.join("/") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smb::der::element;
    use crate::smb::spnego::KERBEROS;

    #[test]
    fn the_names_of_a_ticket_even_when_it_is_cut() {
        let string = |text: &str| element(GENERAL_STRING, &[text.as_bytes()]);
        let names = element(SEQUENCE, &[&string("cifs"), &string("srv.example.org")]);
        let name = element(SEQUENCE, &[&element(0xa0, &[&[2, 1, 2]]), &element(0xa1, &[&names])]);
        let parts = [
            element(0xa0, &[&[2, 1, 5]]),
            element(0xa1, &[&string("EXAMPLE.ORG")]),
            element(0xa2, &[&name]),
            element(0xa3, &[&[0x30, 0x10], &[0; 16]]),
        ];
        let ticket_parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let ticket_bytes = element(TICKET, &[&element(SEQUENCE, &ticket_parts)]);
        let request = element(SEQUENCE, &[&element(0xa0, &[&[2, 1, 5]]), &element(0xa3, &[&ticket_bytes])]);
        let token = element(GSS, &[&element(OID, &[KERBEROS]), &[1, 0], &element(AP_REQ, &[&request])]);
        let expected = Ticket { realm: "EXAMPLE.ORG".to_owned(), service: "cifs/srv.example.org".to_owned() };
        let encrypted = parts[3].len();
        for length in 0..=token.len() {
            let expected = (length >= token.len() - encrypted).then_some(&expected);
            assert_eq!(ticket(&token[..length]).as_ref(), expected, "cut to {length}");
        }
    }
}
