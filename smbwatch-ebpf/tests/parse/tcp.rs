//! TCP headers on their way out, and the port clause.

use smbwatch_ebpf::packet::Slice;
use smbwatch_ebpf::parse::Way;
use smbwatch_ebpf::parse::tcp::{self, Clause, Segment};
use smbwatch_ebpf::skip::Skip;
use smbwatch_ebpf::testing::build::{Tcp, smb};
use smbwatch_ebpf::testing::lists::Lists;
use smbwatch_ebpf::testing::profiles;

fn rule() -> Lists {
    profiles::rule_105()
}

fn check_clause(name: &str, segment: &[u8], rule: &Lists, expected: Result<Clause, Skip>) {
    assert_eq!(tcp::port_clause(Slice::new(segment), Way::Out, rule), expected, "{name}");
}

#[test]
fn ports() {
    for (port, expected) in [
        (445, Ok(Clause::Port)),
        (139, Ok(Clause::Port)),
        (444, Err(Skip::OtherPort)),
        (446, Err(Skip::OtherPort)),
        (0xbd01, Err(Skip::OtherPort)),
        (0, Err(Skip::OtherPort)),
    ] {
        check_clause(&format!("to {port}"), &Tcp::syn(50000, port).bytes(), &rule(), expected);
    }
    check_clause("from 445", &Tcp::syn(445, 50000).bytes(), &rule(), Err(Skip::OtherPort));
    for length in 0..20 {
        let expected = if length < 4 { Err(Skip::Truncated) } else { Ok(Clause::Port) };
        check_clause(&format!("{length} bytes"), &Tcp::syn(50000, 445).bytes()[..length], &rule(), expected);
    }
}

#[test]
fn content_on_other_ports() {
    let message = smb(0xfe, 60);
    let data = |payload: &[u8]| Tcp::data(50000, 8445, payload);
    let options = Tcp { options: vec![1; 40], ..data(&message) };
    for (name, segment, expected) in [
        ("a message", data(&message), Ok(Clause::Content)),
        ("a message behind options", options, Ok(Clause::Content)),
        ("the shortest message", data(&message[..8]), Ok(Clause::Content)),
        ("seven bytes of it", data(&message[..7]), Err(Skip::OtherPort)),
        ("something else", data(b"GET / HTTP/1.1"), Err(Skip::OtherPort)),
        ("no payload", data(&[]), Err(Skip::OtherPort)),
        ("a data offset of 0", Tcp { words: Some(0), ..data(&message) }, Ok(Clause::Content)),
        ("a data offset of 4", Tcp { words: Some(4), ..data(&message) }, Ok(Clause::Content)),
        ("a data offset past the message", Tcp { words: Some(7), ..data(&message) }, Err(Skip::OtherPort)),
        ("a data offset past the end", Tcp { words: Some(15), ..data(&message[..8]) }, Err(Skip::OtherPort)),
        ("a FIN while no such flow is known", Tcp { flags: 0x11, ..data(&[]) }, Err(Skip::OtherPort)),
    ] {
        check_clause(name, &segment.bytes(), &rule(), expected);
    }
    for length in 4..20 {
        let cut = &data(&message).bytes()[..length];
        check_clause(&format!("{length} bytes"), cut, &rule(), Err(Skip::OtherPort));
    }
    let silent = Lists { any_port: false, content_flows: true, ..rule() };
    check_clause("switched off", &data(&message).bytes(), &silent, Err(Skip::OtherPort));
}

#[test]
fn ends_of_flows_that_were_known_by_content() {
    let rule = Lists { content_flows: true, ..rule() };
    for (name, flags, expected) in [
        ("FIN", 0x11, Ok(Clause::KnownFlow)),
        ("RST", 0x04, Ok(Clause::KnownFlow)),
        ("SYN", 0x02, Err(Skip::OtherPort)),
        ("ACK", 0x10, Err(Skip::OtherPort)),
    ] {
        check_clause(name, &Tcp { flags, ..Tcp::syn(50000, 8445) }.bytes(), &rule, expected);
    }
    let last = Tcp { flags: 0x19, ..Tcp::data(50000, 8445, &smb(0xfe, 4)) };
    check_clause("FIN with a message", &last.bytes(), &rule, Ok(Clause::Content));
}

/// Payload bytes, bytes from the payload on, and what the segment passes as.
fn check_length(name: &str, segment: &Tcp, announced: Option<i64>, expected: (u32, i64, Clause)) {
    let bytes = segment.bytes();
    let clause = tcp::port_clause(Slice::new(&bytes), Way::Out, &rule()).expect(name);
    let parsed = tcp::parse(Slice::new(&bytes), announced, clause).expect(name);
    assert_eq!((parsed.payload_length, parsed.rest, parsed.clause), expected, "{name}");
    assert!(!parsed.partial, "{name}");
    assert_eq!((parsed.sequence, parsed.flags), (segment.sequence, segment.flags), "{name}");
}

#[test]
fn payload_lengths() {
    let data = Tcp::data(50000, 445, &[7; 100]);
    let padded = Tcp::data(50000, 8445, &smb(0xfe, 2));
    let options = Tcp { options: vec![1; 12], ..data.clone() };
    let short = Tcp { words: Some(15), ..Tcp::data(50000, 445, &[7; 10]) };
    for (name, segment, announced, expected) in [
        ("as announced", &data, Some(120), (100, 100, Clause::Port)),
        ("behind options", &options, Some(132), (100, 100, Clause::Port)),
        ("nothing announced", &data, None, (100, 100, Clause::Port)),
        ("padding", &data, Some(26), (6, 100, Clause::Port)),
        ("nothing but padding", &data, Some(20), (0, 100, Clause::Port)),
        ("less than a header announced", &data, Some(3), (0, 100, Clause::Port)),
        ("less than nothing announced", &data, Some(-8), (0, 100, Clause::Port)),
        ("more than there is", &data, Some(65000), (100, 100, Clause::Port)),
        ("a data offset past the end", &short, Some(30), (0, -30, Clause::Port)),
        ("a message", &padded, Some(30), (10, 10, Clause::Content)),
        ("the shortest message", &padded, Some(28), (8, 10, Clause::Content)),
        ("a message that ends in padding", &padded, Some(27), (7, 10, Clause::KnownFlow)),
        ("a message that is padding", &padded, Some(20), (0, 10, Clause::KnownFlow)),
    ] {
        check_length(name, segment, announced, expected);
    }
}

#[test]
fn headers_that_are_cut_short() {
    let segment = Tcp::data(50000, 445, &[]);
    for length in 0..20 {
        let parsed = tcp::parse(Slice::new(&segment.bytes()[..length]), Some(20), Clause::Port);
        let expected = Segment {
            source_port: 50000,
            destination_port: 445,
            sequence: if length < 8 { 0 } else { segment.sequence },
            acknowledgement: 0,
            flags: 0,
            partial: true,
            rest: 0,
            payload_length: 0,
            clause: Clause::Port,
        };
        assert_eq!(parsed, if length < 4 { Err(Skip::Truncated) } else { Ok(expected) }, "{length} bytes");
    }
}
