//! Messages in a stream: direct TCP ([MS-SMB2] 2.1) and the NetBIOS session service (RFC 1002 section 4.3).

use super::bytes::Read as _;
use super::text::{self, Charset};

const HEADER: usize = 4;
const SESSION_MESSAGE: u8 = 0x00;
const SESSION_REQUEST: u8 = 0x81;
const POSITIVE_RESPONSE: u8 = 0x82;
const NEGATIVE_RESPONSE: u8 = 0x83;
const RETARGET_RESPONSE: u8 = 0x84;
const KEEP_ALIVE: u8 = 0x85;

/// A message, or as much of it as there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// From the header on.
    Smb1(&'a [u8]),
    /// From the first header on.
    Smb2(&'a [u8]),
    /// One with nothing inside that could be read.
    Note(Note),
}

/// What a message says by its kind alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// A transform header ([MS-SMB2] 2.2.41) and what it hides.
    Encrypted,
    /// A compression header ([MS-SMB2] 2.2.42) and what it hides.
    Compressed,
    /// A session request: the names, where they can be read.
    Call { called: Option<String>, calling: Option<String> },
    /// A session response; a retarget response is a refusal.
    CallAnswer { accepted: bool },
    /// Nothing.
    KeepAlive,
    /// None of these. Where the framing itself is lost, it is the last.
    Unknown,
}

/// Whether a stream that begins like this carries SMB.
pub(super) fn begins(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [SESSION_MESSAGE, _, _, _, 0xfc..=0xff, b'S', b'M', b'B', ..]
            | [SESSION_REQUEST..=RETARGET_RESPONSE, 0, 0, ..]
            | [KEEP_ALIVE, 0, 0, 0, ..]
    )
}

/// The messages of a stream; the last may be cut short.
#[derive(Clone, Copy, Debug)]
pub(super) struct Messages<'a>(&'a [u8]);

impl<'a> Messages<'a> {
    /// Those of the stream that starts with `bytes`.
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let (header, rest) = self.0.split_first_chunk::<HEADER>()?;
        // Direct TCP has 24 bits of length. NetBIOS has 17, and zeros before them.
        let [kind, high, middle, low] = *header;
        let length = u32::from_be_bytes([0, high, middle, low]);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (body, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        self.0 = after;
        match kind {
            SESSION_MESSAGE if length == 0 => Some(Message::Note(Note::KeepAlive)),
            SESSION_MESSAGE => {
                message(body).or((body.len() == length).then_some(Message::Note(Note::Unknown)))
            }
            SESSION_REQUEST => Some(call(body)),
            POSITIVE_RESPONSE => Some(Message::Note(Note::CallAnswer { accepted: true })),
            NEGATIVE_RESPONSE | RETARGET_RESPONSE => {
                Some(Message::Note(Note::CallAnswer { accepted: false }))
            }
            KEEP_ALIVE => Some(Message::Note(Note::KeepAlive)),
            _ => {
                self.0 = &[];
                Some(Message::Note(Note::Unknown))
            }
        }
    }
}

/// None where too little has come to tell.
fn message(body: &[u8]) -> Option<Message<'_>> {
    let (magic, _) = body.split_first_chunk()?;
    Some(match magic {
        b"\xffSMB" => Message::Smb1(body),
        b"\xfeSMB" => Message::Smb2(body),
        b"\xfdSMB" => Message::Note(Note::Encrypted),
        b"\xfcSMB" => Message::Note(Note::Compressed),
        _ => Message::Note(Note::Unknown),
    })
}

fn call(body: &[u8]) -> Message<'_> {
    let (called, rest) = name(body).unzip();
    let (calling, _) = rest.and_then(name).unzip();
    Message::Note(Note::Call { called, calling })
}

/// A name in the first-level encoding, without scope (RFC 1001 section 14.1): two letters from A to P for each
/// of 16 bytes, the last of which is a suffix.
fn name(bytes: &[u8]) -> Option<(String, &[u8])> {
    const ENCODED: usize = 32;
    let encoded = bytes.range(1, ENCODED)?;
    if bytes.byte(0) != Some(0x20) || bytes.byte(1 + ENCODED) != Some(0) {
        return None;
    }
    let nibble = |letter: u8| letter.checked_sub(b'A').filter(|nibble| *nibble < 16);
    let decode = |pair: &[u8]| Some(nibble(pair.byte(0)?)? << 4 | nibble(pair.byte(1)?)?);
    let decoded: Vec<u8> = encoded.chunks_exact(2).map(decode).collect::<Option<_>>()?;
    let name = text::whole(decoded.get(..15)?, Charset::Oem);
    Some((name.trim_end().to_owned(), bytes.after(ENCODED + 2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_by_their_framing() {
        let call = b"\x81\0\0\x44 CKFDENECFDEFFCFGEFFCCACACACACACA\0 EBEMEJEDEFCACACACACACACACACACAAA\0";
        let names = |called: &str, calling: &str| {
            Message::Note(Note::Call { called: Some(called.to_owned()), calling: Some(calling.to_owned()) })
        };
        for (stream, expected) in [
            (&b""[..], &[][..]),
            (b"\0\0\0", &[]),
            (b"\0\0\0\x05\xffSMBr", &[Message::Smb1(b"\xffSMBr")]),
            (
                b"\0\0\0\x04\xffSMB\0\0\0\x05\xfeSMBxx",
                &[Message::Smb1(b"\xffSMB"), Message::Smb2(b"\xfeSMBx")],
            ),
            (b"\0\x01\0\0\xfeSMB", &[Message::Smb2(b"\xfeSMB")]),
            (b"\0\0\x01\0\xfdSMB", &[Message::Note(Note::Encrypted)]),
            (
                b"\0\0\0\x04\xfcSMB\x85\0\0\0",
                &[Message::Note(Note::Compressed), Message::Note(Note::KeepAlive)],
            ),
            (b"\0\0\0\x04\xfeSM", &[]),
            (b"\0\0\0\x01x\x85\0\0\0", &[Message::Note(Note::Unknown), Message::Note(Note::KeepAlive)]),
            (
                b"\0\0\0\x04junk\0\0\0\x04\xfdSMB",
                &[Message::Note(Note::Unknown), Message::Note(Note::Encrypted)],
            ),
            (
                b"\0\0\0\0\x82\0\0\0",
                &[Message::Note(Note::KeepAlive), Message::Note(Note::CallAnswer { accepted: true })],
            ),
            (b"\x83\0\0\x01\x82", &[Message::Note(Note::CallAnswer { accepted: false })]),
            (b"\x42\0\0\0\x85\0\0\0", &[Message::Note(Note::Unknown)]),
            (call, &[names("*SMBSERVER", "ALICE")]),
            (
                &call[..40],
                &[Message::Note(Note::Call { called: Some("*SMBSERVER".to_owned()), calling: None })],
            ),
        ] {
            assert_eq!(Messages::new(stream).collect::<Vec<_>>(), expected, "{stream:02x?}");
        }
    }
}
