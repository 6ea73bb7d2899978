//! What the first bytes of both directions of a connection tell about an SMB dialogue.
//!
//! Everything here works on bytes that someone else chose. A message that ends early tells what came of it;
//! passwords, responses to challenges, session keys and file contents are passed over, and never copied.

mod bytes;
mod text;
mod der;
mod dialect;
mod dialogue;
mod negotiation;
mod logon;
mod status;
mod transport;
mod answers;
mod smb1;
mod smb2;
mod spnego;
mod kerberos;
mod ntlm;
mod protocol;

pub use dialect::Dialect;
pub use dialogue::{Counts, Dialogue, NetBios, Share, ShareKind};
pub use kerberos::Ticket;
pub use logon::Logon;
pub use negotiation::Negotiation;
pub use ntlm::{Identity, Response, ServerNames};
pub use protocol::Protocol;
pub use spnego::Mechanism;
pub use status::Status;

use bytes::Read as _;
use transport::{Message, Messages};

/// Bytes of each direction that are read; what follows is left out.
pub const MAX_BYTES: usize = 16 * 1024;

/// What is kept beyond what every alert needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// How many file names; those past it are counted as omitted.
    pub files: usize,
}

/// Reads a dialogue anew from all that is known: the contiguous bytes with which the client began, and those with
/// which the server began. Takes time linear in their length. A stream whose beginning was missed is
/// [`Protocol::Other`].
pub fn read(client: &[u8], server: &[u8], options: Options) -> Dialogue {
    let (client, server) = (client.so_far(0, MAX_BYTES), server.so_far(0, MAX_BYTES));
    let mut dialogue = Dialogue { protocol: protocol::guess(client, server), ..Dialogue::default() };
    if dialogue.protocol != Some(Protocol::Smb) {
        return dialogue;
    }
    let mut old = smb1::Answers::default();
    let mut new = smb2::Answers::default();
    for message in Messages::new(server) {
        match message {
            Message::Smb1(bytes) => smb1::answer(bytes, &mut old, &mut dialogue),
            Message::Smb2(bytes) => smb2::answer(bytes, &mut new, &mut dialogue),
            Message::Note(note) => dialogue.note(note),
        }
    }
    for message in Messages::new(client) {
        match message {
            Message::Smb1(bytes) => smb1::request(bytes, &mut old, &mut dialogue, options),
            Message::Smb2(bytes) => smb2::request(bytes, &mut new, &mut dialogue, options),
            Message::Note(note) => dialogue.note(note),
        }
    }
    dialogue
}
