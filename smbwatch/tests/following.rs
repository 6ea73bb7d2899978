//! The real programs on whole connections: what is reported when, and with which counters.

mod support;

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use fastrand::Rng;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use smbwatch::config::{Config, Profile};
use smbwatch_ebpf::decide::begins_message;
use smbwatch_ebpf::event::FlowEvent;
use smbwatch_ebpf::flow::{
    CONTENT, Cause, ENDED, ESTABLISHED, Flow, MIDSTREAM, REFUSED, RESET, SMB, Seen, UNANSWERED,
};
use smbwatch_ebpf::packet::Slice;
use smbwatch_ebpf::parse::tcp::{ACK, Clause, FIN, RST, SYN, Segment};
use smbwatch_ebpf::parse::{Candidate, Link, Way, parse};
use smbwatch_ebpf::rule::judge4;
use smbwatch_ebpf::testing::build::{IPV4, Ipv4, Ipv6, Tcp, ethernet, smb};
use smbwatch_ebpf::testing::lists::Lists;
use smbwatch_ebpf::testing::{profiles, seed};
use support::kernel::{Context, Kernel, UNSPEC};

const HOST: Ipv4Addr = Ipv4Addr::new(10, 1, 2, 3);
const PEER: Ipv4Addr = Ipv4Addr::new(8, 8, 8, 8);
const HOST6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 3);
const PEER6: Ipv6Addr = Ipv6Addr::new(0x2a00, 0, 0, 0, 0, 0, 0, 8);

/// What a connection looks like on the wire.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// IPv4 in Ethernet.
    Frame,
    /// IPv6 without a link header.
    Bare6,
}

impl Shape {
    fn link(self) -> Link {
        match self {
            Self::Frame => Link::Ethernet,
            Self::Bare6 => Link::None,
        }
    }

    fn headers(self) -> u64 {
        match self {
            Self::Frame => 14 + 20 + 20,
            Self::Bare6 => 40 + 20,
        }
    }

    fn out(self, tcp: &Tcp) -> Vec<u8> {
        match self {
            Self::Frame => ethernet(&[], IPV4, &Ipv4::new(HOST, PEER).wrap(&tcp.bytes())),
            Self::Bare6 => Ipv6::new(HOST6, PEER6).wrap(&tcp.bytes()),
        }
    }

    fn back(self, tcp: &Tcp) -> Vec<u8> {
        match self {
            Self::Frame => ethernet(&[], IPV4, &Ipv4::new(PEER, HOST).wrap(&tcp.bytes())),
            Self::Bare6 => Ipv6::new(PEER6, HOST6).wrap(&tcp.bytes()),
        }
    }
}

/// A connection from port 50000.
struct Dialogue<'a> {
    kernel: &'a mut Kernel,
    shape: Shape,
    port: u16,
}

/// Cause, marks, packets, bytes sent and received.
type Told = (u8, u16, u64, u64, u64);

fn told(record: &FlowEvent) -> Told {
    (record.cause, record.marks.get(), record.packets.get(), record.sent.get(), record.received.get())
}

impl Dialogue<'_> {
    /// The client sends; numbers count from 1000 on its side, and from 9000 on the peer's.
    fn sends(&mut self, flags: u8, sent: u32, received: u32, payload: &[u8], expected: Option<Told>) {
        let tcp = Tcp {
            sequence: 1000 + sent,
            acknowledgement: 9000 + received,
            flags,
            payload: payload.to_vec(),
            ..Tcp::syn(50000, self.port)
        };
        let ran = self.kernel.egress(self.shape.link(), &self.shape.out(&tcp));
        let what = format!("{:?}: flags {flags:#x} at {sent}", self.shape);
        assert_eq!((ran.verdict, ran.skipped.len()), (UNSPEC, 0), "{what}");
        assert_eq!(ran.records.first().map(told), expected, "{what}");
        for record in &ran.records {
            // Of a flow that is known by content, no packets but those that begin messages are counted.
            let told = record.marks.get() & CONTENT == 0;
            assert!(
                !told
                    || record.bytes.get() == record.packets.get() * self.shape.headers() + record.sent.get(),
                "{what}"
            );
            assert_eq!(record.initial_sequence.get(), 1000, "{what}");
        }
    }

    /// The peer sends, and acknowledges the client's SYN.
    fn hears(&mut self, flags: u8, at: u32, payload: &[u8], expected: Option<Told>) {
        let tcp = Tcp {
            sequence: 9000 + at,
            acknowledgement: 1001,
            flags,
            payload: payload.to_vec(),
            ..Tcp::syn(self.port, 50000)
        };
        let ran = self.kernel.reply(self.shape.link(), &self.shape.back(&tcp));
        let what = format!("{:?}: answer {flags:#x} at {at}", self.shape);
        assert_eq!((ran.verdict, ran.skipped.len()), (UNSPEC, 0), "{what}");
        assert_eq!(ran.records.first().map(told), expected, "{what}");
    }
}

/// Runs `script` for either shape, each with programs of its own.
fn play(test: &str, port: u16, script: impl Fn(&mut Dialogue<'_>)) {
    for shape in [Shape::Frame, Shape::Bare6] {
        let Some(mut kernel) = Kernel::load(test, &Config::of(Profile::Strict)) else { return };
        script(&mut Dialogue { kernel: &mut kernel, shape, port });
    }
}

const ATTEMPTED: u8 = Cause::Attempted as u8;
const GREETED: u8 = Cause::Established as u8;
const SPOKE: u8 = Cause::Smb as u8;
const OVER: u8 = Cause::Ended as u8;

#[test]
fn a_session_is_told_in_four_records() {
    play("a_session_is_told_in_four_records", 445, |dialogue| {
        dialogue.sends(SYN, 0, 0, &[], Some((ATTEMPTED, 0, 1, 0, 0)));
        dialogue.hears(SYN | ACK, 0, &[], None);
        dialogue.sends(ACK, 1, 1, &[], Some((GREETED, ESTABLISHED, 2, 0, 0)));
        dialogue.sends(ACK, 1, 1, &smb(0xff, 2), Some((SPOKE, ESTABLISHED | SMB, 3, 10, 0)));
        dialogue.hears(ACK, 1, &smb(0xfe, 92), None);
        dialogue.sends(ACK, 11, 101, &smb(0xfe, 12), None);
        dialogue.hears(FIN | ACK, 101, &[], None);
        dialogue.sends(ACK, 31, 102, &[], None);
        let end = (OVER, ESTABLISHED | SMB | ENDED, 6, 30, 100);
        dialogue.sends(FIN | ACK, 31, 102, &[], Some(end));
        dialogue.hears(ACK, 102, &[], None);
    });
}

#[test]
fn the_handshake_is_timed() {
    let Some(mut kernel) = Kernel::load("the_handshake_is_timed", &Config::default()) else { return };
    let syn = Tcp::syn(50000, 445);
    let attempted = kernel.egress(Link::Ethernet, &Shape::Frame.out(&syn)).records;
    let answer = Tcp { flags: SYN | ACK, ..Tcp::syn(445, 50000) };
    assert!(kernel.reply(Link::Ethernet, &Shape::Frame.back(&answer)).records.is_empty());
    let ack = Tcp { flags: ACK, sequence: syn.sequence + 1, ..syn };
    let established = kernel.egress(Link::Ethernet, &Shape::Frame.out(&ack)).records;
    let ([attempted], [established]) = (attempted.as_slice(), established.as_slice()) else {
        panic!("{attempted:?}, {established:?}");
    };
    let first = attempted.first_seen.get();
    assert_eq!((attempted.answered.get(), established.first_seen.get()), (0, first));
    assert!(first < established.answered.get() && established.answered.get() < established.time.get());
}

#[test]
fn a_refusal_is_told_at_once() {
    play("a_refusal_is_told_at_once", 139, |dialogue| {
        dialogue.sends(SYN, 0, 0, &[], Some((ATTEMPTED, 0, 1, 0, 0)));
        let refused = (Cause::Refused as u8, ENDED | RESET | REFUSED, 1, 0, 0);
        dialogue.hears(RST | ACK, 0, &[], Some(refused));
        dialogue.hears(RST | ACK, 0, &[], None);
    });
}

#[test]
fn silence_is_told_once() {
    play("silence_is_told_once", 445, |dialogue| {
        dialogue.sends(SYN, 0, 0, &[], Some((ATTEMPTED, 0, 1, 0, 0)));
        dialogue.sends(SYN, 0, 0, &[], Some((Cause::Unanswered as u8, UNANSWERED, 2, 0, 0)));
        dialogue.sends(SYN, 0, 0, &[], None);
        dialogue.sends(ACK, 1, 1, &[], Some((GREETED, UNANSWERED | ESTABLISHED, 4, 0, 0)));
        dialogue.hears(RST, 1, &[], Some((OVER, UNANSWERED | ESTABLISHED | ENDED | RESET, 4, 0, 0)));
    });
}

#[test]
fn a_port_that_is_used_again_belongs_to_its_new_socket() {
    let test = "a_port_that_is_used_again_belongs_to_its_new_socket";
    let Some(mut kernel) = Kernel::load(test, &Config::default()) else { return };
    // Each test run makes a socket of its own.
    let cookies = [1, 2].map(|sequence| {
        let syn = Tcp { sequence, ..Tcp::syn(50000, 445) };
        let ran = kernel.egress(Link::Ethernet, &Shape::Frame.out(&syn));
        assert_eq!(ran.records.first().map(told), Some((ATTEMPTED, 0, 1, 0, 0)));
        ran.records[0].cookie.get()
    });
    assert!(cookies[0] != 0 && cookies[1] != 0 && cookies[0] != cookies[1], "{cookies:?}");
}

#[test]
fn a_flow_that_is_known_by_content_is_followed_to_its_end() {
    play("a_flow_that_is_known_by_content_is_followed_to_its_end", 8445, |dialogue| {
        dialogue.sends(SYN, 0, 0, &[], None);
        dialogue.sends(FIN | ACK, 0, 0, &[], None);
        dialogue.hears(SYN | ACK, 0, &[], None);
        // The record that opens the flow tells its number: the message is the first that is seen of it.
        let known = CONTENT | MIDSTREAM | SMB | ESTABLISHED;
        dialogue.sends(ACK, 0, 1, &smb(0xfe, 2), Some((SPOKE, known, 1, 10, 0)));
        dialogue.sends(ACK, 10, 1, &[1; 30], None);
        dialogue.sends(ACK, 40, 51, &smb(0xfe, 2), None);
        dialogue.sends(FIN | ACK, 50, 51, &[], Some((OVER, known | ENDED, 3, 50, 50)));
    });
}

#[test]
fn packets_that_the_device_will_cut_are_counted_as_on_the_wire() {
    let test = "packets_that_the_device_will_cut_are_counted_as_on_the_wire";
    let Some(mut kernel) = Kernel::load(test, &Config::default()) else { return };
    let mut source_port = 1000;
    for (payload, options, gso_size, packets) in [
        (950, 0, 100, 10),
        (1000, 12, 100, 10),
        (1001, 12, 100, 11),
        (100, 0, 100, 1),
        (1, 0, 100, 1),
        (950, 0, 0, 1),
        (0, 20, 1448, 1),
    ] {
        source_port += 1;
        let tcp = Tcp { options: vec![1; options], ..Tcp::data(source_port, 445, &vec![7; payload]) };
        let packet = Shape::Frame.out(&tcp);
        let gso_segs = if gso_size == 0 { 0 } else { packets };
        let context = Context { gso_size, gso_segs, ..Context::default() };
        let ran = kernel.run_in("smbwatch_egress", &packet, Some(context)).expect("run a program");
        let [record] = ran.records.as_slice() else { panic!("{:?}", ran.records) };
        let headers = packet.len() - payload;
        let wire = payload + packets as usize * headers;
        let counted = (record.packets.get(), record.bytes.get(), record.sent.get());
        assert_eq!(counted, (packets.into(), wire as u64, payload as u64), "{payload} by {gso_size}");
    }
}

/// Linux 6.19 lets a test run put a part of a packet outside the linear buffer. Where it does not, the
/// packets of a PACKET_TX_RING in `hidden.rs` are the proof.
#[test]
fn it_does_not_matter_how_much_of_a_packet_is_linear() {
    let test = "it_does_not_matter_how_much_of_a_packet_is_linear";
    let Some(mut kernel) = Kernel::load(test, &Config::of(Profile::Strict)) else { return };
    let mut source_port = 1000;
    for length in [0, 60] {
        for linear in 14..54 + length + 8 {
            source_port += 1;
            let packet = Shape::Frame.out(&Tcp::data(
                source_port,
                8445,
                &smb(0xfe, u8::try_from(length).expect("a byte")),
            ));
            let context = Context { data_end: linear, ..Context::default() };
            let Ok(ran) = kernel.run_in("smbwatch_egress", &packet, Some(context)) else {
                eprintln!("{test}: this kernel's test run makes linear packets alone");
                return;
            };
            assert_eq!(ran.records.len(), 1, "{linear} of {} bytes linear", packet.len());
        }
    }
}

#[test]
fn records_that_found_no_place_are_told_by_the_next() {
    let test = "records_that_found_no_place_are_told_by_the_next";
    let config = Config { ring_bytes: 1 << 16, ..Config::default() };
    let Some(mut kernel) = Kernel::load(test, &config) else { return };
    // Losses are told on the CPU that had them.
    let mut cpu = CpuSet::new();
    cpu.set(nix::sched::sched_getcpu().expect("a CPU")).expect("a CPU");
    sched_setaffinity(Pid::from_raw(0), &cpu).expect("stay on a CPU");
    let mut source_port = 1000;
    while kernel.counters().flow_lost < 5 {
        source_port += 1;
        kernel.run_blind("smbwatch_egress", &Shape::Frame.out(&Tcp::syn(source_port, 445)));
    }
    let (records, _) = kernel.records();
    assert!(records.iter().all(|record| record.lost.get() == 0));
    let counters = kernel.counters();
    assert_eq!((counters.flow_sent, counters.flow_lost), (records.len() as u64, 5));
    for lost in [5, 0] {
        source_port += 1;
        let ran = kernel.egress(Link::Ethernet, &Shape::Frame.out(&Tcp::syn(source_port, 445)));
        assert_eq!(ran.records.iter().map(|record| record.lost.get()).collect::<Vec<_>>(), [lost]);
    }
}

/// The flow table as the host would keep it, by the same library.
struct Model {
    rule: Lists,
    flows: HashMap<(u32, u32, u16, u16), Flow>,
}

impl Model {
    fn sent(&mut self, packet: &[u8]) -> Option<(Cause, Flow)> {
        let Ok(Candidate::V4 { source, destination, segment, .. }) =
            parse(Link::Ethernet, Way::Out, Slice::new(packet), &self.rule)
        else {
            return None;
        };
        let smb = begins_message(Slice::new(packet), &segment).expect("a whole packet");
        let seen = Seen { smb, ..seen(&segment, packet) };
        let key = (source, destination, segment.source_port, segment.destination_port);
        if let Some(flow) = self.flows.get_mut(&key) {
            return flow.send(&seen, || (0, 2)).map(|cause| (cause, *flow));
        }
        if segment.clause == Clause::KnownFlow || judge4(&self.rule, source, destination).is_err() {
            return None;
        }
        let by_content = segment.clause == Clause::Content;
        self.rule.content_flows |= by_content;
        let (flow, cause) = Flow::open(&seen, if by_content { CONTENT } else { 0 }, 0, 1);
        self.flows.insert(key, flow);
        Some((cause, flow))
    }

    fn heard(&mut self, packet: &[u8]) -> Option<(Cause, Flow)> {
        let Ok(Candidate::V4 { source, destination, segment, .. }) =
            parse(Link::Ethernet, Way::Back, Slice::new(packet), &self.rule)
        else {
            return None;
        };
        let flow =
            self.flows.get_mut(&(destination, source, segment.destination_port, segment.source_port))?;
        flow.reply(&seen(&segment, packet), 3).map(|cause| (cause, *flow))
    }
}

fn seen(segment: &Segment, packet: &[u8]) -> Seen {
    Seen::of(segment, (1, u32::try_from(packet.len()).expect("a short packet")), false, 0)
}

#[test]
fn the_flow_table_of_the_kernel_is_that_of_the_library() {
    let test = "the_flow_table_of_the_kernel_is_that_of_the_library";
    let Some(mut kernel) = Kernel::load(test, &Config::default()) else { return };
    let mut model = Model { rule: profiles::rule_105(), flows: HashMap::new() };
    let seed = seed();
    let mut random = Rng::with_seed(seed);
    let mut causes = HashMap::<Cause, usize>::new();
    for number in 0..20_000 {
        // Few ports and numbers, so that flows meet every kind of packet; now and then a new client.
        let client = 1000 + number / 200 * 4 + random.u16(..4);
        let port = [445, 139, 8445, 9445][random.usize(..4)];
        let (source_port, destination_port) = if random.bool() { (client, port) } else { (port, client) };
        let tcp = Tcp {
            sequence: random.u32(..4) * 30,
            acknowledgement: random.u32(..4) * 50,
            flags: [SYN, SYN | ACK, ACK, ACK, FIN | ACK, RST, RST | ACK][random.usize(..7)],
            payload: [vec![], vec![1; 40], smb(0xfe, 40)][random.usize(..3)].clone(),
            ..Tcp::syn(source_port, destination_port)
        };
        let (packet, ran, expected) = if source_port == client {
            let packet = Shape::Frame.out(&tcp);
            let expected = model.sent(&packet);
            (tcp, kernel.egress(Link::Ethernet, &packet), expected)
        } else {
            let packet = Shape::Frame.back(&tcp);
            let expected = model.heard(&packet);
            (tcp, kernel.reply(Link::Ethernet, &packet), expected)
        };
        let counted = |flow: &Flow| (flow.initial_sequence, flow.bytes, flow.answered != 0);
        let expected = expected.map(|(cause, flow)| {
            *causes.entry(cause).or_default() += 1;
            ((cause as u8, flow.marks(), flow.packets, flow.sent, flow.received), counted(&flow))
        });
        let reported = ran.records.first().map(|record| {
            let rest = (record.initial_sequence.get(), record.bytes.get(), record.answered.get() != 0);
            (told(record), rest)
        });
        assert_eq!(reported, expected, "SMBWATCH_SEED={seed}, packet {number}: {packet:?}");
        assert!(ran.records.len() < 2, "SMBWATCH_SEED={seed}, packet {number}");
    }
    assert_eq!(causes.len(), 6, "SMBWATCH_SEED={seed}: {causes:?}");
}
