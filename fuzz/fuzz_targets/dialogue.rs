//! Both directions of a dialogue. The input is the client's length in two bytes, the client's bytes, and the
//! server's.

#![no_main]

use libfuzzer_sys::fuzz_target;
use smbwatch::smb::{self, Options};

fuzz_target!(|input: &[u8]| {
    let Some((length, rest)) = input.split_first_chunk() else { return };
    let (client, server) = rest.split_at_checked(u16::from_be_bytes(*length).into()).unwrap_or((rest, &[]));
    smb::read(client, server, Options { files: 16 });
});
