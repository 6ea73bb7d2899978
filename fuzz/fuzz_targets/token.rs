//! A security buffer from either side: SPNEGO, NTLMSSP and Kerberos behind headers that are right.

#![no_main]

use libfuzzer_sys::fuzz_target;
use smbwatch::smb::{self, Options};

const REQUEST: (u8, usize, usize) = (0, 24, 12);
const ANSWER: (u8, usize, usize) = (1, 8, 4);

fuzz_target!(|buffer: &[u8]| {
    smb::read(&message(REQUEST, buffer), &message(ANSWER, buffer), Options::default());
});

/// A SESSION_SETUP: its flags, the length of its fixed fields, and where the buffer's offset and length stand.
fn message((flags, fixed, at): (u8, usize, usize), buffer: &[u8]) -> Vec<u8> {
    const HEADER: usize = 64;
    let mut bytes = b"\0\0\xff\xff\xfeSMB\x40".to_vec();
    bytes.resize(4 + HEADER + fixed, 0);
    bytes[4 + 12] = 1;
    bytes[4 + 16] = flags;
    let offset = u16::try_from(HEADER + fixed).unwrap_or(0);
    let length = u16::try_from(buffer.len()).unwrap_or(u16::MAX);
    let place = &mut bytes[4 + HEADER + at..];
    place[..2].copy_from_slice(&offset.to_le_bytes());
    place[2..4].copy_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(buffer);
    bytes
}
