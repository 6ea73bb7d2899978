//! What the programs cost a packet, by BPF_PROG_TEST_RUN, less what an empty program costs.

use std::net::Ipv4Addr;
use std::path::Path;

use aya::programs::{TestRun as _, TestRunOptions};
use smbwatch::config::{Config, Profile};
use smbwatch::probe::Probe;
use smbwatch::ranges::{Kind, Range};
use smbwatch_ebpf::testing::build::{IPV4, IPV6, Ipv4, Ipv6, Tcp, UDP, ethernet, smb};

use crate::figure::{Figure, Reach, median};

const ROUNDS: usize = 9;
const REPEATS: u32 = 500_000;
const NEW_FLOWS: u16 = 5_000;
const MANY: u32 = 100_000;

const PRIVATE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
const PUBLIC: Ipv4Addr = Ipv4Addr::new(93, 184, 216, 34);

pub fn measure() -> Option<Vec<Figure>> {
    let mut probe = load(&Config::default())?;
    let empty = cost(&mut probe, "smbwatch_empty", &udp());
    let mut figures = vec![Figure::new("empty program", empty, "ns", Reach::None)];
    let data = |destination, port| frame4(destination, &Tcp::data(50_000, port, &[0; 64]).bytes());
    let message = frame4(PUBLIC, &Tcp::data(50_000, 445, &smb(0xfe, 56)).bytes());
    for (name, packet, bound) in [
        ("UDP", udp(), Reach::AtMost(1.0)),
        ("ICMP", icmp(), Reach::AtMost(1.0)),
        ("ARP", ethernet(&[], 0x0806, &[0; 46]), Reach::AtMost(1.0)),
        ("TCP to 443", data(PUBLIC, 443), Reach::AtMost(1.0)),
        ("IPv6 TCP to 443", ethernet(&[], IPV6, &ipv6(443)), Reach::AtMost(1.0)),
        ("SMB inside the LAN", data(Ipv4Addr::new(10, 0, 0, 6), 445), Reach::AtMost(8.0)),
        ("SMB to the Internet, known flow", message, Reach::AtMost(10.0)),
    ] {
        let name = format!("over empty: {name}");
        figures.push(Figure::new(name, cost(&mut probe, "smbwatch_egress", &packet) - empty, "ns", bound));
    }
    figures.push(Figure::new(
        "over empty: first packet of a flow, record sent",
        first_packets(&mut probe),
        "ns",
        Reach::AtMost(300.0),
    ));
    drop(probe);

    let mut strict = load(&Config::of(Profile::Strict))?;
    let cost6 = cost(&mut strict, "smbwatch_egress", &ethernet(&[], IPV6, &ipv6(443))) - empty;
    figures.push(Figure::new("strict, over empty: IPv6 TCP to 443", cost6, "ns", Reach::AtMost(1.0)));
    drop(strict);

    let mut excepted = load(&with_exceptions())?;
    let cost = cost(&mut excepted, "smbwatch_egress", &data(PUBLIC, 443)) - empty;
    let name = format!("{MANY} exceptions, over empty: TCP to 443");
    figures.push(Figure::new(name, cost, "ns", Reach::None));
    Some(figures)
}

fn load(config: &Config) -> Option<Probe> {
    Probe::load(config, Path::new("/run/smbwatch")).map_err(|error| eprintln!("{error}")).ok()
}

/// Nanoseconds for each run: the least of all rounds, because whatever disturbs a round makes it longer.
fn cost(probe: &mut Probe, program: &str, packet: &[u8]) -> f64 {
    (0..ROUNDS).map(|_| run(probe, program, packet, REPEATS)).fold(f64::INFINITY, f64::min)
}

/// One run for each of many flows, none of them seen before; the clock is part of every single run, and
/// taken off with the empty program's.
fn first_packets(probe: &mut Probe) -> f64 {
    let mut times = |program: &str| {
        let time = |port| run(probe, program, &frame4(PUBLIC, &Tcp::syn(port, 445).bytes()), 1);
        median((1..=NEW_FLOWS).map(time).collect())
    };
    times("smbwatch_egress") - times("smbwatch_empty")
}

fn run(probe: &mut Probe, program: &str, packet: &[u8], repeat: u32) -> f64 {
    let program = probe.classifier(program).expect("a program");
    let mut options = TestRunOptions::new();
    options.data_in = Some(packet);
    options.repeat = repeat;
    program.test_run(options).expect("a test run").duration.as_nanos() as f64
}

fn with_exceptions() -> Config {
    let mut config = Config::default();
    config.destinations.extend((0..MANY).map(|number| Range {
        prefix: ipnet::IpNet::from(std::net::IpAddr::from(Ipv4Addr::from(0x1400_0000 + number * 16))),
        kind: Kind::Exception,
        name: String::new(),
    }));
    config
}

fn frame4(destination: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    ethernet(&[], IPV4, &Ipv4::new(PRIVATE, destination).wrap(payload))
}

fn udp() -> Vec<u8> {
    ethernet(&[], IPV4, &Ipv4 { protocol: UDP, ..Ipv4::new(PRIVATE, PUBLIC) }.wrap(&[0; 64]))
}

fn icmp() -> Vec<u8> {
    ethernet(&[], IPV4, &Ipv4 { protocol: 1, ..Ipv4::new(PRIVATE, PUBLIC) }.wrap(&[0; 64]))
}

fn ipv6(port: u16) -> Vec<u8> {
    let source = "fd00::5".parse().expect("an address");
    let destination = "2606:2800:220:1::1".parse().expect("an address");
    Ipv6::new(source, destination).wrap(&Tcp::data(50_000, port, &[0; 64]).bytes())
}
