//! The whole decision, compared with the oracle: whole, cut off, partly linear, and by the million.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use smbwatch_ebpf::decide::decide;
use smbwatch_ebpf::packet::Slice;
use smbwatch_ebpf::parse::Link;
use smbwatch_ebpf::skip::Skip;
use smbwatch_ebpf::testing::build::{Extension, IPV4, IPV6, Ipv4, Ipv6, Tcp, ethernet, smb};
use smbwatch_ebpf::testing::generate::Generator;
use smbwatch_ebpf::testing::lists::Lists;
use smbwatch_ebpf::testing::oracle::{self, Match};
use smbwatch_ebpf::testing::partly::Partly;
use smbwatch_ebpf::testing::{hex, profiles, seed};

const PACKETS: usize = 600_000;

fn decided(link: Link, packet: &[u8], rule: &Lists) -> Result<Match, Skip> {
    decide(link, Slice::new(packet), rule).map(|opening| Match::of(&opening))
}

/// The linear part first, then every byte: what the programs do.
fn decided_partly(link: Link, packet: &[u8], linear: usize, rule: &Lists) -> Result<Match, Skip> {
    match decide(link, Partly::new(packet, linear), rule) {
        Err(Skip::Truncated) => decided(link, packet, rule),
        decided => decided.map(|opening| Match::of(&opening)),
    }
}

/// Packets with every kind of header, all of which match under `strict`.
fn matching() -> Vec<(Link, Vec<u8>)> {
    let inside = Ipv4Addr::new(10, 1, 2, 3);
    let outside = Ipv4Addr::new(8, 8, 8, 8);
    let inside6 = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
    let outside6 = Ipv6Addr::new(0x2a00, 0, 0, 0, 0, 0, 0, 1);
    let syn = Tcp { options: vec![1; 20], ..Tcp::syn(50000, 445) }.bytes();
    let data = Tcp { options: vec![1; 12], ..Tcp::data(50000, 139, &smb(0xfe, 60)) }.bytes();
    let other_port = Tcp::data(50000, 4450, &smb(0xff, 30)).bytes();
    let v4 = |payload: &[u8]| Ipv4::new(inside, outside).wrap(payload);
    let options = |payload: &[u8]| Ipv4 { options: vec![1; 24], ..Ipv4::new(inside, outside) }.wrap(payload);
    let v6 = |payload: &[u8]| Ipv6::new(inside6, outside6).wrap(payload);
    let chain = |payload: &[u8]| {
        let extensions = vec![
            Extension::eights(0, 0),
            Extension::eights(60, 1),
            Extension::eights(43, 2),
            Extension::fragment(0, true),
            Extension::authentication(4),
            Extension::eights(135, 0),
            Extension::eights(139, 1),
            Extension::eights(140, 0),
        ];
        Ipv6 { extensions, ..Ipv6::new(inside6, outside6) }.wrap(payload)
    };
    let mut packets = Vec::new();
    for segment in [syn, data, other_port] {
        packets.push((Link::None, v4(&segment)));
        packets.push((Link::None, chain(&segment)));
        packets.push((Link::Ethernet, ethernet(&[], IPV4, &options(&segment))));
        packets.push((Link::Ethernet, ethernet(&[(0x8100, 0x2007)], IPV6, &v6(&segment))));
        packets.push((Link::Ethernet, ethernet(&[(0x88a8, 100), (0x8100, 0xf0ff)], IPV6, &chain(&segment))));
    }
    packets
}

#[test]
fn every_fixture_matches_under_strict() {
    let rule = profiles::strict();
    for (link, packet) in matching() {
        let expected = oracle::judge(link, &packet, &rule);
        assert!(expected.is_ok(), "{expected:?}: {link:?} {}", hex(&packet));
        assert_eq!(decided(link, &packet, &rule), expected, "{link:?} {}", hex(&packet));
    }
}

#[test]
fn packets_cut_off_at_every_byte_are_judged_by_what_is_left() {
    for rule in [profiles::rule_105(), profiles::strict()] {
        for (link, packet) in matching() {
            for length in 0..packet.len() {
                let cut = &packet[..length];
                let expected = oracle::judge(link, cut, &rule);
                assert_eq!(decided(link, cut, &rule), expected, "{length} bytes: {link:?} {}", hex(cut));
            }
        }
    }
}

#[test]
fn it_does_not_matter_how_much_of_a_packet_is_linear() {
    let rule = profiles::strict();
    for (link, packet) in matching() {
        for length in 0..=packet.len() {
            let cut = &packet[..length];
            let expected = oracle::judge(link, cut, &rule);
            for linear in 0..length {
                let judged = decided_partly(link, cut, linear, &rule);
                assert_eq!(judged, expected, "{linear} of {length} bytes linear: {link:?} {}", hex(cut));
            }
        }
    }
}

/// Compares by the hundred thousand, and makes sure that no outcome is so rare that this proves nothing.
fn agree(name: &str, rule: &Lists, rare: &[Skip]) {
    let seed = seed();
    let mut generator = Generator::new(seed, rule);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut outcomes = HashMap::<String, usize>::new();
    for number in 0..PACKETS {
        let (link, packet) = generator.packet();
        let expected = oracle::judge(link, &packet, rule);
        let linear = random.usize(..=packet.len());
        let told = || format!("SMBWATCH_SEED={seed}, packet {number} of {name}: {link:?} {}", hex(&packet));
        assert_eq!(decided(link, &packet, rule), expected, "{}", told());
        assert_eq!(
            decided_partly(link, &packet, linear, rule),
            expected,
            "{linear} bytes linear, {}",
            told()
        );
        for outcome in kinds(&expected) {
            *outcomes.entry(outcome).or_default() += 1;
        }
    }
    let expected = [
        Skip::NotIp,
        Skip::NotTcp,
        Skip::OtherPort,
        Skip::Lan,
        Skip::Source,
        Skip::Reserved,
        Skip::Exception,
    ]
    .iter()
    .chain(&[
        Skip::Truncated,
        Skip::BadHeader,
        Skip::LaterFragment,
        Skip::TooManyTags,
        Skip::TooManyExtensions,
    ])
    .filter(|skip| !rare.contains(skip))
    .map(|skip| skip.name());
    for outcome in expected.chain(["match", "smb", "by content", "partial", "two tags"]) {
        let count = outcomes.get(outcome).copied().unwrap_or(0);
        assert!(
            count > PACKETS / 1000,
            "SMBWATCH_SEED={seed}, {name}: {outcome} only {count} times; {outcomes:?}"
        );
    }
}

fn kinds(outcome: &Result<Match, Skip>) -> Vec<String> {
    match outcome {
        Err(skip) => vec![skip.name().to_owned()],
        Ok(matched) => [
            ("match", true),
            ("smb", matched.smb),
            ("by content", matched.by_content),
            ("partial", matched.partial),
            ("two tags", matched.vlans[1] != 0),
        ]
        .into_iter()
        .filter(|(_, holds)| *holds)
        .map(|(name, _)| name.to_owned())
        .collect(),
    }
}

#[test]
fn the_parser_agrees_with_the_oracle_under_rule_105() {
    agree("rule-105", &profiles::rule_105(), &[Skip::Exception, Skip::TooManyExtensions]);
}

#[test]
fn the_parser_agrees_with_the_oracle_under_strict_with_exceptions() {
    agree("strict", &profiles::with_exceptions(profiles::strict()), &[]);
}

#[test]
fn the_parser_agrees_with_the_oracle_on_other_switches() {
    let mut rule = profiles::strict();
    rule.any_port = false;
    rule.ports = vec![445];
    rule.embedded_ipv4 = false;
    let mut generator = Generator::new(seed(), &rule);
    for _ in 0..PACKETS / 10 {
        let (link, packet) = generator.packet();
        assert_eq!(
            decided(link, &packet, &rule),
            oracle::judge(link, &packet, &rule),
            "{link:?} {}",
            hex(&packet)
        );
    }
}
