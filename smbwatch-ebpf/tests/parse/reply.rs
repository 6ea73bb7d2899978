//! Answers: what of the peer's packets is looked at.

use std::net::Ipv4Addr;

use smbwatch_ebpf::packet::Slice;
use smbwatch_ebpf::parse::tcp::Clause;
use smbwatch_ebpf::parse::{Candidate, Link, Way, parse};
use smbwatch_ebpf::skip::Skip;
use smbwatch_ebpf::testing::build::{IPV4, Ipv4, Tcp, ethernet, smb};
use smbwatch_ebpf::testing::lists::Lists;
use smbwatch_ebpf::testing::partly::Partly;
use smbwatch_ebpf::testing::profiles;

const PEER: Ipv4Addr = Ipv4Addr::new(8, 8, 8, 8);
const HOST: Ipv4Addr = Ipv4Addr::new(10, 1, 2, 3);

fn packet(peer: Ipv4Addr, segment: &Tcp) -> Vec<u8> {
    ethernet(&[], IPV4, &Ipv4::new(peer, HOST).wrap(&segment.bytes()))
}

fn answered(candidate: &Candidate) -> (u16, u16, u8, Clause) {
    match candidate {
        Candidate::V4 { segment, .. } | Candidate::V6 { segment, .. } => {
            (segment.source_port, segment.destination_port, segment.flags, segment.clause)
        }
    }
}

fn check(name: &str, peer: Ipv4Addr, segment: &Tcp, rule: &Lists, expected: Result<u8, Skip>) {
    let parsed = parse(Link::Ethernet, Way::Back, Slice::new(&packet(peer, segment)), rule);
    let expected =
        expected.map(|flags| (segment.source_port, segment.destination_port, flags, Clause::KnownFlow));
    assert_eq!(parsed.map(|candidate| answered(&candidate)), expected, "{name}");
}

#[test]
fn answers() {
    let rule = profiles::rule_105();
    let content = Lists { content_flows: true, ..rule.clone() };
    let takes = Lists { takes_payload: true, ..content.clone() };
    let silent = Lists { any_port: false, ..content.clone() };
    let lan = Ipv4Addr::new(192, 168, 0, 1);
    let from = |port, flags| Tcp { flags, ..Tcp::syn(port, 50000) };
    let message = Tcp::data(445, 50000, &smb(0xfe, 60));
    for (name, peer, segment, rule, expected) in [
        ("SYN-ACK", PEER, from(445, 0x12), &rule, Ok(0x12)),
        ("RST", PEER, from(139, 0x14), &rule, Ok(0x14)),
        ("FIN", PEER, from(445, 0x11), &rule, Ok(0x11)),
        ("ACK", PEER, from(445, 0x10), &rule, Err(Skip::OtherPort)),
        ("data", PEER, message.clone(), &rule, Err(Skip::OtherPort)),
        ("data that is handed over", PEER, message, &takes, Ok(0x18)),
        ("data of another port", PEER, from(443, 0x18), &takes, Err(Skip::OtherPort)),
        ("another port", PEER, from(443, 0x12), &rule, Err(Skip::OtherPort)),
        ("to port 445", PEER, Tcp { flags: 0x12, ..Tcp::syn(50000, 445) }, &rule, Err(Skip::OtherPort)),
        ("any port, once SMB was seen on one", PEER, from(8445, 0x12), &content, Ok(0x12)),
        ("any port, but not its data", PEER, from(8445, 0x18), &content, Err(Skip::OtherPort)),
        ("any port, switched off", PEER, from(8445, 0x12), &silent, Err(Skip::OtherPort)),
        ("from the LAN", lan, from(445, 0x12), &rule, Err(Skip::Lan)),
    ] {
        check(name, peer, &segment, rule, expected);
    }
}

#[test]
fn an_answer_is_seen_however_much_of_it_is_linear() {
    let rule = profiles::rule_105();
    let packet = packet(PEER, &Tcp { flags: 0x12, options: vec![1; 20], ..Tcp::syn(445, 50000) });
    for linear in 0..packet.len() {
        let parsed = match parse(Link::Ethernet, Way::Back, Partly::new(&packet, linear), &rule) {
            Err(Skip::Truncated) => parse(Link::Ethernet, Way::Back, Slice::new(&packet), &rule),
            parsed => parsed,
        };
        let parsed = parsed.map(|candidate| answered(&candidate));
        assert_eq!(parsed, Ok((445, 50000, 0x12, Clause::KnownFlow)), "{linear} bytes linear");
    }
}
