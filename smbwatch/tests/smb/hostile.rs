//! Bytes that nobody would send: prefixes, mutations, and what takes longest.

use std::time::{Duration, Instant};

use fastrand::Rng;
use smbwatch::smb::{self, Dialogue, MAX_BYTES, Options};

use crate::build::{
    REQUEST, Smb1, Smb2, andx, authenticate, framed, session_answer, session_setup, tree_connect,
};
use crate::capture::{self, Capture};

const OPTIONS: Options = Options { files: 16 };

#[test]
fn every_prefix_can_be_read_and_later_bytes_take_nothing_back() {
    for Capture { path, client, server, .. } in capture::all() {
        let mut known = 0;
        for end in 0..=client.len() {
            let dialogue = smb::read(&client[..end], &server, OPTIONS);
            let knows = dialogue.logons.len() + dialogue.shares.len() + dialogue.files.len();
            assert!(knows >= known, "{} cut to {end}", path.display());
            known = knows;
        }
        for end in 0..=server.len() {
            smb::read(&client, &server[..end], OPTIONS);
        }
    }
}

/// As many rounds as `SMBWATCH_MUTATIONS` says; each reads a mutated dialogue of the captures.
#[test]
fn mutated_captures_are_read_within_bounds() {
    let rounds = std::env::var("SMBWATCH_MUTATIONS").ok().and_then(|rounds| rounds.parse().ok());
    let mut random = Rng::with_seed(0x534d_4202);
    let captures = capture::all();
    for _ in 0..rounds.unwrap_or(5_000) {
        let [mut client, mut server] = {
            let capture = &captures[random.usize(..captures.len())];
            [capture.client.clone(), capture.server.clone()]
        };
        let other = &captures[random.usize(..captures.len())];
        for _ in 0..random.usize(1..8) {
            let side = if random.bool() { &mut client } else { &mut server };
            mutate(side, if random.bool() { &other.client } else { &other.server }, &mut random);
        }
        check(&smb::read(&client, &server, OPTIONS));
    }
}

/// Does to `bytes` what an enemy or a bad link would.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Rng) {
    const TELLING: [u8; 10] = [0, 1, 0x30, 0x60, 0x7f, 0x80, 0x82, 0xa2, 0xfe, 0xff];
    let at = random.usize(..=bytes.len());
    let part = random.usize(..=other.len());
    let length = random.usize(..64).min(other.len() - part);
    match random.u8(..7) {
        0 => bytes.truncate(at),
        1 => drop(bytes.splice(at..at, other[part..part + length].iter().copied())),
        2 => drop(bytes.drain(at..bytes.len().min(at + length))),
        3 => bytes.extend_from_slice(&other[part..]),
        kind => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = match kind {
                    4 => *byte ^ 1 << random.u8(..8),
                    5 => TELLING[random.usize(..TELLING.len())],
                    _ => random.u8(..),
                };
            }
        }
    }
}

/// What holds of every dialogue.
fn check(dialogue: &Dialogue) {
    for (list, length) in [
        ("logons", dialogue.logons.len()),
        ("shares", dialogue.shares.len()),
        ("files", dialogue.files.len()),
    ] {
        assert!(length <= 16, "{length} {list}");
    }
    let debug = format!("{dialogue:?}");
    assert!(debug.len() < 256 * 1024, "{} bytes", debug.len());
    for text in texts(dialogue) {
        assert!(!text.contains(char::is_control), "{text:?}");
    }
}

/// The text that someone else chose.
fn texts(dialogue: &Dialogue) -> Vec<&String> {
    let mut texts: Vec<&String> = dialogue.files.iter().collect();
    texts.extend(dialogue.shares.iter().map(|share| &share.path));
    texts.extend(dialogue.netbios.iter().flat_map(|netbios| [&netbios.called, &netbios.calling]).flatten());
    for logon in &dialogue.logons {
        let (identity, server) = (&logon.identity, &logon.server);
        texts.extend([&identity.user, &identity.domain, &identity.workstation].into_iter().flatten());
        texts.extend([&server.target, &server.netbios_computer, &server.dns_computer].into_iter().flatten());
        texts.extend(logon.ticket.iter().flat_map(|ticket| [&ticket.realm, &ticket.service]));
    }
    texts
}

/// Repeats `message` as often as it fits.
fn full(message: &[u8]) -> Vec<u8> {
    message.iter().copied().cycle().take(MAX_BYTES).collect()
}

#[test]
fn the_worst_streams_take_linear_time() {
    let chain = [(0x75, andx(0x75, 43, 8), Vec::new())];
    let andx_chain = Smb1 { answer: REQUEST, unicode: true, session: 1, id: 1, blocks: &chain }.bytes();
    let nothing = Smb1 { answer: REQUEST, unicode: false, session: 0, id: 0, blocks: &[] }.bytes();
    let packet = Smb2 { next: 64, ..Smb2::new(5, REQUEST, 0, Vec::new()) }.bytes();
    let big = |buffer: &[u8]| framed(&session_setup(1, 1, &full(buffer)[..MAX_BYTES - 128]).bytes());
    let challenge = [b"NTLMSSP\0\x02\0\0\0".as_slice(), &[0; 28], &[0, 0x3f, 0, 0, 48, 0, 0, 0]].concat();
    let pairs = [challenge, full(&[1, 0, 1, 0, b'A'])].concat();
    let call = [&[0x81, 0, 0, 68, 0x20][..], &[b'A'; 32], &[0, 0x20], &[b'A'; 32], &[0]].concat();
    let answers = full(&framed(&session_answer(1, 1, 0xc000_0016, &authenticate("x")).bytes()));
    for (name, client) in [
        ("compounds", framed(&full(&packet))),
        ("headers of SMB 1", full(&framed(&nothing))),
        ("chains", full(&framed(&andx_chain))),
        ("log-ons", full(&framed(&session_setup(1, 1, &authenticate("x")).bytes()))),
        ("shares", full(&framed(&tree_connect(1, r"\\a\b").bytes()))),
        ("long share", framed(&tree_connect(1, &"\\".repeat(8000)).bytes())),
        ("nested sequences", big(&[0x30, 0x84, 0, 0, 0x7f, 0xff])),
        ("nested tokens", big(&[0x60, 0x82, 0x3f, 0xff, 0xa0, 0x82, 0x3f, 0xff])),
        ("empty elements", big(&[0x04, 0x00])),
        ("pairs", big(&pairs)),
        ("empty messages", full(&[0, 0, 0, 0])),
        ("keep-alives", full(&[0x85, 0, 0, 0])),
        ("calls", full(&call)),
    ] {
        let client = [framed(b"\xfeSMB").as_slice(), &client].concat();
        let took = (0..5).map(|_| {
            let start = Instant::now();
            check(&smb::read(&client, &answers, OPTIONS));
            start.elapsed()
        });
        let best = took.min().expect("a time");
        // Without optimisation the slowest takes 3 ms.
        assert!(best < Duration::from_millis(60), "{name}: {best:?}");
    }
}
