//! The first eight bytes of SMB messages, and of what is none.

use smbwatch_ebpf::parse::smb::begins_message;

fn check(name: &str, first: [u8; 8], expected: bool) {
    assert_eq!(begins_message(u64::from_be_bytes(first)), expected, "{name}");
}

#[test]
fn magics() {
    for (name, first, expected) in [
        ("SMB1", *b"\0\0\0\x55\xffSMB", true),
        ("SMB2", *b"\0\0\x01\0\xfeSMB", true),
        ("encrypted", *b"\0\x01\0\0\xfdSMB", true),
        ("compressed", *b"\0\xff\xff\xff\xfcSMB", true),
        ("no length", *b"\0\0\0\0\xfeSMB", true),
        ("another identifier", *b"\0\0\0\x55\xfbSMB", false),
        ("no high bits", *b"\0\0\0\x55\x7eSMB", false),
        ("small letters", *b"\0\0\0\x55\xfesmb", false),
        ("a wrong last letter", *b"\0\0\0\x55\xfeSMC", false),
        ("a wrong first letter", *b"\0\0\0\x55\xfeRMB", false),
        ("a wrong middle letter", *b"\0\0\0\x55\xfeSNB", false),
        ("a session request", *b"\x81\0\0\x44\xfeSMB", false),
        ("a keep-alive", *b"\x85\0\0\0\xfeSMB", false),
        ("a byte late", *b"\0\0\0\0\x55\xfeSM", false),
        ("a byte early", *b"\0\0\x55\xfeSMB\x40", false),
        ("without a transport header", *b"\xfeSMB\x40\0\0\0", false),
        ("zeros", [0; 8], false),
        ("ones", [0xff; 8], false),
    ] {
        check(name, first, expected);
    }
}

#[test]
fn every_value_of_every_byte() {
    for place in 0..8 {
        for value in 0..=u8::MAX {
            let mut first = *b"\0\x01\x02\x03\xfeSMB";
            first[place] = value;
            let expected = match place {
                0 => value == 0,
                1..=3 => true,
                4 => value >= 0xfc,
                _ => value == b"SMB"[place - 5],
            };
            check(&format!("{value:#04x} at {place}"), first, expected);
        }
    }
}
