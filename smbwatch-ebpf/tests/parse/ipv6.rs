//! IPv6 headers and extension headers.

use std::net::Ipv6Addr;

use smbwatch_ebpf::packet::{PacketBytes, Slice};
use smbwatch_ebpf::parse::ipv6;
use smbwatch_ebpf::skip::Skip;
use smbwatch_ebpf::testing::build::{Extension, Ipv6, TCP, UDP};

const SOURCE: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 2, 3, 4, 5, 6, 7);
const DESTINATION: Ipv6Addr = Ipv6Addr::new(0x2a00, 0x1450, 0, 0, 0, 0, 0, 0x200e);
const PAYLOAD: [u8; 32] = [0; 32];

/// Where TCP begins, and how many bytes of it the header announces.
fn check(name: &str, packet: &[u8], expected: Result<(usize, Option<i64>), Skip>) {
    let parsed = ipv6::parse(Slice::new(packet)).map(|ip| {
        assert_eq!(ip.source().map(address), Ok(SOURCE), "{name}");
        assert_eq!(ip.destination().map(address), Ok(DESTINATION), "{name}");
        let rest = usize::try_from(ip.payload.remaining()).expect("within the packet");
        (packet.len() - rest, ip.payload_length())
    });
    assert_eq!(parsed, expected, "{name}");
}

fn address(words: [u32; 4]) -> Ipv6Addr {
    let octets: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    <[u8; 16]>::try_from(octets).expect("sixteen octets").into()
}

fn header() -> Ipv6 {
    Ipv6::new(SOURCE, DESTINATION)
}

fn chain(extensions: &[Extension], protocol: u8) -> Vec<u8> {
    Ipv6 { extensions: extensions.to_vec(), protocol, ..header() }.wrap(&PAYLOAD)
}

#[test]
fn headers() {
    for (name, header, expected) in [
        ("plain", header(), Ok((40, Some(32)))),
        ("UDP", Ipv6 { protocol: UDP, ..header() }, Err(Skip::NotTcp)),
        ("no next header", Ipv6 { protocol: 59, ..header() }, Err(Skip::NotTcp)),
        ("encrypted", Ipv6 { protocol: 50, ..header() }, Err(Skip::NotTcp)),
        ("version 4", Ipv6 { version: 4, ..header() }, Err(Skip::BadHeader)),
        ("version 4, and UDP", Ipv6 { version: 4, protocol: UDP, ..header() }, Err(Skip::NotTcp)),
        ("jumbogram", Ipv6 { payload_length: Some(0), ..header() }, Ok((40, None))),
        ("less than there is", Ipv6 { payload_length: Some(5), ..header() }, Ok((40, Some(5)))),
        ("more than there is", Ipv6 { payload_length: Some(65535), ..header() }, Ok((40, Some(65535)))),
    ] {
        check(name, &header.wrap(&PAYLOAD), expected);
    }
}

#[test]
fn one_extension_header() {
    for (name, extension, expected) in [
        ("hop-by-hop", Extension::eights(0, 0), Ok((48, Some(32)))),
        ("routing", Extension::eights(43, 3), Ok((72, Some(32)))),
        ("first fragment", Extension::fragment(0, true), Ok((48, Some(32)))),
        ("atomic fragment", Extension::fragment(0, false), Ok((48, Some(32)))),
        ("second fragment", Extension::fragment(1, true), Err(Skip::LaterFragment)),
        ("last fragment", Extension::fragment(8191, false), Err(Skip::LaterFragment)),
        ("authentication", Extension::authentication(4), Ok((64, Some(32)))),
        ("authentication of odd length", Extension::authentication(1), Ok((52, Some(32)))),
        ("destination options", Extension::eights(60, 255), Ok((40 + 2048, Some(32)))),
        ("mobility", Extension::eights(135, 0), Ok((48, Some(32)))),
        ("host identity", Extension::eights(139, 1), Ok((56, Some(32)))),
        ("shim6", Extension::eights(140, 0), Ok((48, Some(32)))),
        ("experimental", Extension::eights(253, 0), Err(Skip::NotTcp)),
    ] {
        check(name, &chain(&[extension], TCP), expected);
    }
    let longer = Ipv6 { extensions: vec![Extension::eights(0, 1)], payload_length: Some(8), ..header() };
    check("payload length inside an extension", &longer.wrap(&PAYLOAD), Ok((56, Some(-8))));
}

#[test]
fn what_a_later_fragment_may_be() {
    for (name, protocol, expected) in [
        ("of TCP", TCP, Skip::LaterFragment),
        ("of UDP", UDP, Skip::NotTcp),
        ("of ICMPv6", 58, Skip::NotTcp),
        ("behind which TCP may stand", 60, Skip::LaterFragment),
    ] {
        check(name, &chain(&[Extension::fragment(10, true)], protocol), Err(expected));
    }
}

#[test]
fn chains_of_extension_headers() {
    let options = vec![Extension::eights(60, 0); 10];
    for (count, protocol, expected) in [
        (2, TCP, Ok((56, Some(32)))),
        (8, TCP, Ok((104, Some(32)))),
        (9, TCP, Err(Skip::TooManyExtensions)),
        (10, TCP, Err(Skip::TooManyExtensions)),
        (8, UDP, Err(Skip::NotTcp)),
        (9, UDP, Err(Skip::TooManyExtensions)),
    ] {
        check(&format!("{count} before {protocol}"), &chain(&options[..count], protocol), expected);
    }
    let all = Extension::IN_EIGHTS.map(|kind| Extension::eights(kind, 1));
    check("one of each", &chain(&all, TCP), Ok((40 + 6 * 16, Some(32))));
}

#[test]
fn packets_that_end_early() {
    let whole = Ipv6 { extensions: vec![Extension::eights(0, 0), Extension::fragment(0, true)], ..header() };
    let whole = whole.wrap(&[]);
    for length in (0..7).chain(40..42).chain(48..52) {
        check(&format!("{length} bytes"), &whole[..length], Err(Skip::Truncated));
    }
    for length in 7..40 {
        let udp = Ipv6 { protocol: UDP, ..header() }.wrap(&[]);
        check(&format!("{length} bytes of UDP"), &udp[..length], Err(Skip::NotTcp));
    }
}
