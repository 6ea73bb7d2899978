//! Messages of NTLMSSP, whole, cut and hostile.

use super::*;

const AUTHENTICATE_FIELDS: usize = 64;

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// A message of this kind: fixed fields of `length` bytes with `flags` at `flags_at`, and payload whose fields
/// stand at the given places.
fn message(kind: u8, length: usize, (flags_at, flags): (usize, u32), payload: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = [SIGNATURE, &[kind, 0, 0, 0]].concat();
    bytes.resize(length, 0);
    bytes[flags_at..flags_at + 4].copy_from_slice(&flags.to_le_bytes());
    for (at, value) in payload {
        let offset = length_of(&bytes);
        set_field(&mut bytes, *at, length_of(value), offset);
        bytes.extend_from_slice(value);
    }
    bytes
}

fn length_of(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).expect("a short message")
}

fn set_field(bytes: &mut [u8], at: usize, length: u16, offset: u16) {
    bytes[at..at + 2].copy_from_slice(&length.to_le_bytes());
    bytes[at + 4..at + 6].copy_from_slice(&offset.to_le_bytes());
}

fn identity(user: &str, domain: &str, workstation: &str) -> Identity {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Identity { user: some(user), domain: some(domain), workstation: some(workstation) }
}

#[test]
fn the_kind_of_response_goes_by_lengths_alone() {
    for (lm, nt, flags, response, anonymous) in [
        (0, 0, 0, None, true),
        (1, 0, 0, None, true),
        (1, 0, ANONYMOUS, None, true),
        (24, 0, 0, Some(Response::Lm), false),
        (24, 24, 0, Some(Response::V1), false),
        (0, 24, 0, Some(Response::V1), false),
        (24, 300, 0, Some(Response::V2), false),
    ] {
        let (lm, nt) = (vec![1; lm], vec![1; nt]);
        let bytes = message(3, AUTHENTICATE_FIELDS, (60, flags), &[(12, &lm), (20, &nt), (36, b"alice")]);
        let identity = identity("alice", "", "");
        assert_eq!(read(&bytes), Some(Message::Authenticate { identity, response, anonymous }));
    }
}

#[test]
fn names_are_read_in_their_charset_and_even_when_what_follows_is_cut() {
    let (user, domain, workstation) = ("Zoë", "BÜRO", "東京");
    let unicode = [utf16(user), utf16(domain), utf16(workstation)];
    let oem = [b"ZOE".to_vec(), b"BUERO".to_vec(), b"TOKYO".to_vec()];
    let names = [identity(user, domain, workstation), identity("ZOE", "BUERO", "TOKYO")];
    for (texts, flags, expected) in [(&unicode, UNICODE, &names[0]), (&oem, 0, &names[1])] {
        let payload: &[(usize, &[u8])] = &[(36, &texts[0]), (28, &texts[1]), (44, &texts[2]), (20, &[7; 64])];
        let whole = message(3, AUTHENTICATE_FIELDS, (60, flags), payload);
        let cut = &whole[..whole.len() - 60];
        for bytes in [&whole[..], cut] {
            let Some(Message::Authenticate { identity, response, .. }) = read(bytes) else {
                panic!("nothing")
            };
            assert_eq!((&identity, response), (expected, Some(Response::V2)));
        }
    }
}

#[test]
fn no_name_reaches_into_a_secret() {
    let secrets: &[(usize, &[u8])] =
        &[(12, b"LLLLLLLL"), (20, b"NNNNNNNN"), (52, b"KKKKKKKK"), (36, b"user")];
    let bytes = message(3, AUTHENTICATE_FIELDS, (60, 0), secrets);
    for offset in 0..=length_of(&bytes) {
        for length in 1..=8 {
            let mut bytes = bytes.clone();
            set_field(&mut bytes, 28, length, offset);
            let Some(Message::Authenticate { identity, .. }) = read(&bytes) else { panic!("nothing") };
            let domain = identity.domain.unwrap_or_default();
            assert!(!domain.contains(['L', 'N', 'K']), "{domain:?} of {length} bytes from {offset}");
        }
    }
}

#[test]
fn a_challenge_tells_the_servers_names() {
    let pair = |id: u8, value: &str| {
        [&[id, 0, length_of(&utf16(value)).to_le_bytes()[0], 0], utf16(value).as_slice()].concat()
    };
    let pairs = [
        pair(2, "CORP"),
        pair(1, "FILES"),
        pair(4, "corp.example"),
        pair(3, "files.corp.example"),
        pair(9, "cifs/x"),
        vec![0; 4],
        pair(1, "LATE"),
    ];
    let fields = &[(12, &utf16("CORP")[..]), (40, &pairs.concat())];
    let expected = ServerNames {
        target: Some("CORP".to_owned()),
        netbios_computer: Some("FILES".to_owned()),
        netbios_domain: Some("CORP".to_owned()),
        dns_computer: Some("files.corp.example".to_owned()),
        dns_domain: Some("corp.example".to_owned()),
    };
    assert_eq!(read(&message(2, 48, (20, UNICODE), fields)), Some(Message::Challenge(expected)));
    let broken = message(2, 48, (20, UNICODE), &[(40, &[1, 0, 255, 255, 65, 0])]);
    assert_eq!(read(&broken), Some(Message::Challenge(ServerNames::default())));
}

#[test]
fn a_negotiation_may_tell_names() {
    let fields: &[(usize, &[u8])] = &[(16, b"CORP"), (24, b"DESK7")];
    for (flags, expected) in [
        (DOMAIN_SUPPLIED | WORKSTATION_SUPPLIED | UNICODE, identity("", "CORP", "DESK7")),
        (WORKSTATION_SUPPLIED, identity("", "", "DESK7")),
        (0, identity("", "", "")),
    ] {
        assert_eq!(read(&message(1, 32, (12, flags), fields)), Some(Message::Negotiate(expected)));
    }
}

#[test]
fn other_bytes_are_no_message() {
    for bytes in
        [&b""[..], b"NTLMSSP\0", b"NTLMSSP\0\x04\0\0\0", b"NTLMSSP\0\x03\0\0\0", b"NTLMSSX\0\x01\0\0\0"]
    {
        assert_eq!(read(bytes), None, "{bytes:02x?}");
    }
}
