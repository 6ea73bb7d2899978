//! The real programs on single packets: they let every packet pass, and report what the oracle says.

mod support;

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

use fastrand::Rng;
use ipnet::IpNet;
use smbwatch::config::{Config, Profile};
use smbwatch::ranges::{Kind, Range};
use smbwatch_ebpf::event::{self, FlowEvent};
use smbwatch_ebpf::flow::{CONTENT, Cause, ENDED, ESTABLISHED, MIDSTREAM, PARTIAL, RESET, SMB};
use smbwatch_ebpf::owner::Owner;
use smbwatch_ebpf::parse::Link;
use smbwatch_ebpf::parse::tcp::{ACK, FIN, RST, SYN};
use smbwatch_ebpf::rule::Destination;
use smbwatch_ebpf::skip::Skip;
use smbwatch_ebpf::testing::build::{IPV4, Ipv4, Tcp, ethernet};
use smbwatch_ebpf::testing::fixtures::matching;
use smbwatch_ebpf::testing::generate::Generator;
use smbwatch_ebpf::testing::lists::{Lists, Prefix};
use smbwatch_ebpf::testing::oracle::{self, Match};
use smbwatch_ebpf::testing::{hex, profiles, seed};
use smbwatch_ebpf::wire::Be32;
use support::kernel::{INTERFACE, Kernel, Ran, SHORTEST, UNSPEC};

const PACKETS: usize = 30_000;

fn prefix(prefix: IpNet) -> Prefix {
    Prefix { address: prefix.network(), length: prefix.prefix_len() }
}

/// The lists of a configuration.
fn lists(config: &Config) -> Lists {
    let destinations = config.destinations.iter().map(|range| {
        let kind = match range.kind {
            Kind::Public => None,
            Kind::Reserved => Some(Destination::Reserved),
            Kind::Exception => Some(Destination::Exception),
        };
        (prefix(range.prefix), kind)
    });
    let sources = config.sources.iter().copied().map(prefix).collect();
    let mut lists = Lists::new(sources, destinations.collect(), config.embedded_ipv4);
    lists.ports.clone_from(&config.ports);
    lists.any_port = config.any_port;
    lists
}

/// `strict`, with the exceptions of [`profiles::with_exceptions`].
fn strict_with_exceptions() -> Config {
    let mut config = Config::of(Profile::Strict);
    let exceptions = profiles::with_exceptions(Lists::new(Vec::new(), Vec::new(), true)).destinations;
    config.destinations.extend(exceptions.iter().map(|(prefix, _)| Range {
        prefix: IpNet::new(prefix.address, prefix.length).expect("a range"),
        kind: Kind::Exception,
        name: String::new(),
    }));
    config
}

#[test]
fn both_profiles_are_what_was_written_out_by_hand() {
    for (profile, by_hand) in
        [(Profile::Rule105, profiles::rule_105()), (Profile::Strict, profiles::strict())]
    {
        let derived = lists(&Config::of(profile));
        let sorted = |lists: &Lists| {
            let kinds =
                lists.destinations.iter().map(|(prefix, kind)| (*prefix, kind.map(|kind| kind as u32)));
            let sources: BTreeSet<Prefix> = lists.sources.iter().copied().collect();
            (sources, kinds.collect::<BTreeSet<_>>(), lists.ports.clone(), lists.embedded_ipv4)
        };
        assert_eq!(sorted(&derived), sorted(&by_hand), "{profile}");
    }
}

/// What a record of a packet that opens a flow says, by the oracle.
fn expected(matched: &Match, length: usize) -> (Cause, u16) {
    let has = |flag: u8| matched.flags & flag != 0;
    let mut marks = 0;
    let mut cause = Cause::Attempted;
    if has(ACK) && !has(SYN) && !has(RST) {
        (marks, cause) = (marks | ESTABLISHED, Cause::Established);
    }
    if has(FIN) || has(RST) {
        (marks, cause) = (marks | ENDED, Cause::Ended);
    }
    if matched.smb {
        (marks, cause) = (marks | SMB, Cause::Smb);
    }
    for (holds, mark) in [
        (has(RST), RESET),
        (matched.partial, PARTIAL),
        (!matched.partial && !has(SYN), MIDSTREAM),
        (matched.by_content, CONTENT),
    ] {
        marks |= if holds { mark } else { 0 };
    }
    assert!(length >= matched.payload_length);
    (cause, marks)
}

fn octets(address: IpAddr) -> (u8, [u8; 16]) {
    match address {
        IpAddr::V4(address) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&address.octets());
            (event::IPV4, octets)
        }
        IpAddr::V6(address) => (event::IPV6, address.octets()),
    }
}

fn check_record(record: &FlowEvent, matched: &Match, length: usize) {
    let (cause, marks) = expected(matched, length);
    let (family, source) = octets(matched.source);
    let (_, destination) = octets(matched.destination);
    assert_eq!((record.kind, record.cause, record.family), (event::FLOW, cause as u8, family));
    assert_eq!(record.marks.get(), marks, "marks");
    assert_eq!([record.vlan_outer.get(), record.vlan_inner.get()], matched.vlans, "tags");
    let written = |words: [Be32; 4]| words.map(|word| word.get().to_be_bytes()).concat();
    assert_eq!((written(record.source), written(record.destination)), (source.into(), destination.into()));
    let ports = (record.source_port.get(), record.destination_port.get());
    assert_eq!(ports, (matched.source_port, matched.destination_port));
    assert_eq!(record.initial_sequence.get(), matched.sequence, "sequence");
    assert_eq!(record.interface.get(), INTERFACE);
    let counted = (record.packets.get(), record.bytes.get(), record.sent.get(), record.received.get());
    assert_eq!(counted, (1, length as u64, matched.payload_length as u64, 0), "counters");
    assert_eq!(
        (record.reserved, record.padding.get(), record.lost.get(), record.answered.get()),
        (0, 0, 0, 0)
    );
    assert!(0 < record.first_seen.get() && record.first_seen.get() <= record.time.get(), "times");
    assert_eq!(record.owner, Owner::NONE);
}

fn check(ran: &Ran, expected: Result<Match, Skip>, length: usize) {
    assert_eq!(ran.verdict, UNSPEC, "the verdict");
    match (expected, ran.records.as_slice()) {
        (Ok(matched), [record]) => {
            check_record(record, &matched, length);
            assert_eq!(ran.skipped, []);
        }
        (Err(skip), []) => {
            let counted: Vec<Skip> = skip.counter().map(|_| skip).into_iter().collect();
            assert_eq!(ran.skipped, counted, "the oracle says {}", skip.name());
        }
        (expected, records) => panic!("the oracle says {expected:?}, the program {records:#?}"),
    }
}

/// What is said is handed over with the record that it made.
fn check_payload(ran: &Ran, said: Option<Vec<u8>>) {
    let handed: Vec<&[u8]> = ran.payloads.iter().map(|payload| payload.bytes.as_slice()).collect();
    let said = said.filter(|said| !said.is_empty());
    assert_eq!(handed, said.iter().map(Vec::as_slice).collect::<Vec<_>>(), "payload");
    for (payload, record) in ran.payloads.iter().zip(&ran.records) {
        let event = &payload.event;
        assert_eq!((event.kind, event.way, event.family), (event::PAYLOAD, event::SENT, record.family));
        assert_eq!(usize::from(event.length.get()), payload.bytes.len());
        assert_eq!(event.marks, record.marks);
        assert_eq!((event.source, event.destination), (record.source, record.destination));
        let ports = (record.source_port, record.destination_port);
        assert_eq!((event.source_port, event.destination_port), ports);
        assert_eq!(event.initial_sequence, record.initial_sequence);
    }
}

/// Says which packet it was when a check panics.
struct Told<'a>(&'a str, Link, &'a [u8]);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: {:?} {}", self.0, self.1, hex(self.2));
        }
    }
}

fn agree(test: &str, config: &Config, packets: impl Iterator<Item = (Link, Vec<u8>)>) {
    let Some(mut kernel) = Kernel::load(test, config) else { return };
    let rule = lists(config);
    let mut opened = HashSet::new();
    let mut matches = 0;
    for (link, packet) in packets.filter(|(_, packet)| Kernel::takes(packet)) {
        let _told = Told(test, link, &packet);
        if oracle::tuple(link, &packet, &rule).is_some_and(|tuple| opened.contains(&tuple)) {
            continue;
        }
        let expected = oracle::judge(link, &packet, &rule);
        let ran = kernel.egress(link, &packet);
        check(&ran, expected, packet.len());
        check_payload(&ran, expected.is_ok().then(|| oracle::said(link, &packet, &rule)).flatten());
        if expected.is_ok() {
            opened.extend(oracle::tuple(link, &packet, &rule));
            matches += 1;
        }
        assert_eq!(kernel.reply(link, &packet).verdict, UNSPEC, "the verdict on an answer");
    }
    assert!(matches > 0, "no packet matched");
    assert_eq!(kernel.counters().flow_lost, 0);
}

#[test]
fn every_fixture_is_reported_whole_and_cut_off() {
    // Each length from other source ports, so that its flows are not known yet.
    let cut = |length: usize| {
        let port = 1000 + u16::try_from(length).expect("a short packet") * 20;
        matching(port).into_iter().filter(move |(_, packet)| packet.len() > length).map(
            move |(link, mut packet)| {
                packet.truncate(length);
                (link, packet)
            },
        )
    };
    for (profile, config) in [
        ("rule-105", Config::default()),
        ("strict", Config::of(Profile::Strict)),
        ("exceptions", strict_with_exceptions()),
    ] {
        let all = (SHORTEST..300).flat_map(cut).chain(matching(1000));
        agree(&format!("every_fixture_is_reported_whole_and_cut_off {profile}"), &config, all);
    }
}

#[test]
fn the_programs_agree_with_the_oracle_under_rule_105() {
    generated("the_programs_agree_with_the_oracle_under_rule_105", &Config::default());
}

#[test]
fn the_programs_agree_with_the_oracle_under_strict_with_exceptions() {
    generated("the_programs_agree_with_the_oracle_under_strict_with_exceptions", &strict_with_exceptions());
}

#[test]
fn the_programs_agree_with_the_oracle_on_other_switches() {
    let config =
        Config { any_port: false, ports: vec![445, 1, 2, 3, 4, 5, 6, 7], ..Config::of(Profile::Strict) };
    generated("the_programs_agree_with_the_oracle_on_other_switches", &config);
}

fn generated(test: &str, config: &Config) {
    let seed = seed();
    let mut generator = Generator::new(seed, &lists(config));
    let mut random = Rng::with_seed(seed);
    let packets = std::iter::repeat_with(|| {
        let (link, mut packet) = generator.packet();
        // One in five is damaged further.
        for _ in 0..if random.u8(..5) == 0 { random.usize(1..4) } else { 0 } {
            if let Some(byte) = random.choice(&mut packet) {
                *byte = random.u8(..);
            }
        }
        (link, packet)
    });
    agree(&format!("{test} SMBWATCH_SEED={seed}"), config, packets.take(PACKETS));
}

/// The verifier follows a million instructions at most, and other kernels prune less than this one.
#[test]
fn the_verifier_is_far_from_its_limit() {
    for (profile, config) in [("rule-105", Config::default()), ("strict", Config::of(Profile::Strict))] {
        let Some(mut kernel) = Kernel::load("the_verifier_is_far_from_its_limit", &config) else { return };
        for (name, count) in kernel.verified() {
            eprintln!("{profile}: {name}: {count} instructions");
            assert!(count < 250_000, "{profile}: {name}: {count} instructions");
        }
    }
}

#[test]
fn both_sides_are_handed_over_up_to_the_limit() {
    let limit = 3000;
    let config = Config { payload_bytes: limit, ..Config::default() };
    let Some(mut kernel) = Kernel::load("both_sides_are_handed_over_up_to_the_limit", &config) else {
        return;
    };
    let client = Ipv4::new([10, 1, 2, 3].into(), [8, 8, 8, 8].into());
    let server = Ipv4::new(client.destination, client.source);
    let text: Vec<u8> = (0..=u8::MAX).cycle().take(5000).collect();
    let mut handed = [Vec::new(), Vec::new()];
    let mut sequence = 7;
    for piece in text.chunks(1400) {
        let sent = Tcp { sequence, ..Tcp::data(40000, 445, piece) };
        let answer = Tcp { sequence, ..Tcp::data(445, 40000, piece) };
        let frame = |ip: &Ipv4, tcp: &Tcp| ethernet(&[], IPV4, &ip.wrap(&tcp.bytes()));
        let ran = kernel.egress(Link::Ethernet, &frame(&client, &sent));
        let back = kernel.reply(Link::Ethernet, &frame(&server, &answer));
        for (way, ran) in [(event::SENT, ran), (event::RECEIVED, back)] {
            for payload in ran.payloads {
                assert_eq!((payload.event.way, payload.event.sequence.get()), (way, sequence));
                handed[usize::from(way)].extend(payload.bytes);
            }
        }
        sequence += 1400;
    }
    assert_eq!(handed, [&text[..limit as usize]; 2].map(<[u8]>::to_vec));
    // What nobody asked for is not answered for either.
    let unasked = Tcp::data(445, 40001, &text[..100]);
    let ran = kernel.reply(Link::Ethernet, &ethernet(&[], IPV4, &server.wrap(&unasked.bytes())));
    assert_eq!((ran.records.len(), ran.payloads.len()), (0, 0));
}

#[test]
fn random_bytes_pass() {
    let test = "random_bytes_pass";
    let Some(mut kernel) = Kernel::load(test, &Config::of(Profile::Strict)) else { return };
    let seed = seed();
    let mut random = Rng::with_seed(seed);
    for _ in 0..PACKETS / 3 {
        let mut packet = vec![0; random.usize(SHORTEST..200)];
        random.fill(&mut packet);
        if !Kernel::takes(&packet) {
            continue;
        }
        for link in [Link::Ethernet, Link::None] {
            let _told = Told(test, link, &packet);
            assert_eq!(kernel.egress(link, &packet).verdict, UNSPEC, "SMBWATCH_SEED={seed}");
            assert_eq!(kernel.reply(link, &packet).verdict, UNSPEC, "SMBWATCH_SEED={seed}");
        }
    }
}
