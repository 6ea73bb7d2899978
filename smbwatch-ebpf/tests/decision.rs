//! The whole decision, compared with the oracle: whole, cut off, partly linear, and by the million.

use std::collections::HashMap;

use smbwatch_ebpf::decide::decide;
use smbwatch_ebpf::packet::Slice;
use smbwatch_ebpf::parse::quick::is_plainly_other;
use smbwatch_ebpf::parse::{Link, Way, parse};
use smbwatch_ebpf::skip::Skip;
use smbwatch_ebpf::testing::fixtures::matching;
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

#[test]
fn every_fixture_matches_under_strict() {
    let rule = profiles::strict();
    for (link, packet) in matching(50000) {
        let expected = oracle::judge(link, &packet, &rule);
        assert!(expected.is_ok(), "{expected:?}: {link:?} {}", hex(&packet));
        assert_eq!(decided(link, &packet, &rule), expected, "{link:?} {}", hex(&packet));
    }
}

#[test]
fn packets_cut_off_at_every_byte_are_judged_by_what_is_left() {
    for rule in [profiles::rule_105(), profiles::strict()] {
        for (link, packet) in matching(50000) {
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
    for (link, packet) in matching(50000) {
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
        let quick = [
            is_plainly_other(Way::Out, Slice::new(&packet), rule),
            is_plainly_other(Way::Out, Partly::new(&packet, linear), rule),
        ];
        if link == Link::Ethernet && quick.contains(&true) {
            let uncounted = expected.as_ref().is_err_and(|skip| skip.counter().is_none());
            assert!(uncounted, "dismissed at once: {}", told());
            *outcomes.entry("dismissed".to_owned()).or_default() += 1;
        }
        let quick = [
            is_plainly_other(Way::Back, Slice::new(&packet), rule),
            is_plainly_other(Way::Back, Partly::new(&packet, linear), rule),
        ];
        if link == Link::Ethernet && quick.contains(&true) {
            let answer = parse(link, Way::Back, Slice::new(&packet), rule);
            assert!(answer.is_err_and(|skip| skip.counter().is_none()), "dismissed answer: {}", told());
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
    for outcome in expected.chain(["match", "smb", "by content", "partial", "two tags", "dismissed"]) {
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
