//! IPv4 headers.

use std::net::Ipv4Addr;

use smbwatch_ebpf::packet::{PacketBytes, Slice};
use smbwatch_ebpf::parse::ipv4;
use smbwatch_ebpf::skip::Skip;
use smbwatch_ebpf::testing::build::{Ipv4, UDP};

const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 1, 2, 3);
const DESTINATION: Ipv4Addr = Ipv4Addr::new(8, 9, 10, 11);
const PAYLOAD: [u8; 32] = [0; 32];

/// Length of the header, and the payload bytes it announces.
fn check(name: &str, packet: &[u8], expected: Result<(usize, Option<i64>), Skip>) {
    let parsed = ipv4::parse(Slice::new(packet)).map(|ip| {
        assert_eq!(ip.source(), Ok(SOURCE.to_bits()), "{name}");
        assert_eq!(ip.destination(), Ok(DESTINATION.to_bits()), "{name}");
        let rest = usize::try_from(ip.payload.remaining()).expect("within the packet");
        (packet.len() - rest, ip.payload_length())
    });
    assert_eq!(parsed, expected, "{name}");
}

fn header() -> Ipv4 {
    Ipv4::new(SOURCE, DESTINATION)
}

#[test]
fn headers() {
    let options = |count| Ipv4 { options: vec![1; count], ..header() };
    for (name, header, expected) in [
        ("plain", header(), Ok((20, Some(32)))),
        ("one word of options", options(4), Ok((24, Some(32)))),
        ("the most options", options(40), Ok((60, Some(32)))),
        ("fragments allowed", Ipv4 { fragment: 0, ..header() }, Ok((20, Some(32)))),
        ("the reserved flag", Ipv4 { fragment: 0x8000, ..header() }, Ok((20, Some(32)))),
        ("first fragment", Ipv4 { fragment: 0x2000, ..header() }, Ok((20, Some(32)))),
        ("second fragment", Ipv4 { fragment: 0x2001, ..header() }, Err(Skip::LaterFragment)),
        ("last fragment", Ipv4 { fragment: 0x0100, ..header() }, Err(Skip::LaterFragment)),
        ("UDP", Ipv4 { protocol: UDP, ..header() }, Err(Skip::NotTcp)),
        ("a later fragment of UDP", Ipv4 { protocol: UDP, fragment: 1, ..header() }, Err(Skip::NotTcp)),
        ("IPv4 in IPv4", Ipv4 { protocol: 4, ..header() }, Err(Skip::NotTcp)),
        ("version 0", Ipv4 { version: 0, ..header() }, Err(Skip::BadHeader)),
        ("version 6", Ipv4 { version: 6, ..header() }, Err(Skip::BadHeader)),
        ("header of no length", Ipv4 { words: Some(0), ..header() }, Err(Skip::BadHeader)),
        ("header of 16 bytes", Ipv4 { words: Some(4), ..header() }, Err(Skip::BadHeader)),
    ] {
        check(name, &header.wrap(&PAYLOAD), expected);
    }
}

#[test]
fn lengths() {
    for (name, total_length, expected) in [
        ("none, as BIG TCP has it", 0, None),
        ("inside the header", 19, Some(-1)),
        ("no payload", 20, Some(0)),
        ("less than there is", 21, Some(1)),
        ("more than there is", 65535, Some(65515)),
    ] {
        let header = Ipv4 { total_length: Some(total_length), ..header() };
        check(name, &header.wrap(&PAYLOAD), Ok((20, expected)));
    }
}

#[test]
fn packets_that_end_early() {
    let whole = header().wrap(&[]);
    for length in 0..10 {
        let parsed = ipv4::parse(Slice::new(&whole[..length])).map(|_| ());
        assert_eq!(parsed, Err(Skip::Truncated), "{length} bytes");
    }
    for length in 10..20 {
        let ip = ipv4::parse(Slice::new(&whole[..length])).expect("a header as far as it is needed");
        assert_eq!(ip.destination(), Err(Skip::Truncated), "{length} bytes");
    }
}
