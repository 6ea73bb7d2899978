//! Ethernet headers and their tags.

use smbwatch_ebpf::packet::{PacketBytes, Slice};
use smbwatch_ebpf::parse::Link;
use smbwatch_ebpf::parse::ethernet::{self, IPV4, IPV6, Tags};
use smbwatch_ebpf::skip::Skip;
use smbwatch_ebpf::testing::build;

/// EtherType, tags, and where the payload begins.
type Passed = (u16, u16, u16, usize);

fn check(name: &str, frame: &[u8], expected: Result<Passed, Skip>) {
    let packet = Slice::new(frame);
    let passed = ethernet::parse(packet).map(|passed| {
        let Tags { outer, inner } = ethernet::tags(Link::Ethernet, packet);
        let rest = usize::try_from(passed.payload.remaining()).expect("within the frame");
        (passed.ethertype, outer, inner, frame.len() - rest)
    });
    assert_eq!(passed, expected, "{name}");
}

#[test]
fn headers_and_tags() {
    let frame = |tags: &[(u16, u16)], ethertype| build::ethernet(tags, ethertype, &[0; 40]);
    for (name, tags, ethertype, expected) in [
        ("IPv4", &[][..], IPV4, Ok((IPV4, 0, 0, 14))),
        ("IPv6", &[], IPV6, Ok((IPV6, 0, 0, 14))),
        ("ARP", &[], 0x0806, Ok((0x0806, 0, 0, 14))),
        ("an 802.3 length", &[], 46, Ok((46, 0, 0, 14))),
        ("802.1Q", &[(0x8100, 7)], IPV4, Ok((IPV4, 7, 0, 18))),
        ("802.1ad", &[(0x88a8, 7)], IPV4, Ok((IPV4, 7, 0, 18))),
        ("before 802.1ad", &[(0x9100, 7)], IPV4, Ok((IPV4, 7, 0, 18))),
        ("priority and drop bits", &[(0x8100, 0xffff)], IPV4, Ok((IPV4, 4095, 0, 18))),
        ("priority tag", &[(0x8100, 0xe000)], IPV4, Ok((IPV4, 0, 0, 18))),
        ("QinQ", &[(0x88a8, 100), (0x8100, 0x3002)], IPV6, Ok((IPV6, 100, 2, 22))),
        ("twice 802.1Q", &[(0x8100, 1), (0x8100, 2)], IPV4, Ok((IPV4, 1, 2, 22))),
        ("three tags", &[(0x88a8, 1), (0x8100, 2), (0x8100, 3)], IPV4, Err(Skip::TooManyTags)),
        ("four tags", &[(0x8100, 1), (0x8100, 2), (0x8100, 3), (0x8100, 4)], IPV4, Err(Skip::TooManyTags)),
    ] {
        check(name, &frame(tags, ethertype), expected);
    }
}

#[test]
fn frames_that_end_early() {
    let whole = build::ethernet(&[(0x88a8, 100), (0x8100, 2)], IPV4, &[]);
    for length in 0..whole.len() {
        check("two tags, cut off", &whole[..length], Err(Skip::Truncated));
    }
    check("two tags", &whole, Ok((IPV4, 100, 2, 22)));
    let three = build::ethernet(&[(0x8100, 1), (0x8100, 2), (0x8100, 3)], IPV4, &[]);
    check("a third tag that is cut off", &three[..22], Err(Skip::TooManyTags));
}

#[test]
fn without_a_link_header_the_version_tells() {
    for (first, expected) in [
        (Some(0x45), Ok(IPV4)),
        (Some(0x4f), Ok(IPV4)),
        (Some(0x60), Ok(IPV6)),
        (Some(0x00), Err(Skip::NotIp)),
        (Some(0x54), Err(Skip::NotIp)),
        (Some(0xff), Err(Skip::NotIp)),
        (None, Err(Skip::Truncated)),
    ] {
        let bytes: Vec<u8> = first.into_iter().collect();
        let ethertype = ethernet::none(Slice::new(&bytes)).map(|frame| frame.ethertype);
        assert_eq!(ethertype, expected, "{first:02x?}");
    }
}
