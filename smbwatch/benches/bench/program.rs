//! What the programs cost a packet, by BPF_PROG_TEST_RUN, less what an empty program costs.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Instant;

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

/// The figures to reach were taken where an empty program costs 6 ns. Mitigations make calls and returns
/// several times as dear elsewhere, so that only ratios to the empty program travel.
const EMPTY: f64 = 6.0;

pub fn measure() -> Option<Vec<Figure>> {
    let mut probe = load(&Config::default())?;
    let data = |destination, port| frame4(destination, &Tcp::data(50_000, port, &[0; 64]).bytes());
    let message = frame4(PUBLIC, &Tcp::data(50_000, 445, &smb(0xfe, 56)).bytes());
    let mut figures = vec![
        cost(&mut probe, "UDP", &udp(), 1.0),
        cost(&mut probe, "ICMP", &icmp(), 1.0),
        cost(&mut probe, "ARP", &ethernet(&[], 0x0806, &[0; 46]), 1.0),
        cost(&mut probe, "TCP to 443", &data(PUBLIC, 443), 1.0),
        cost(&mut probe, "IPv6 TCP to 443", &ethernet(&[], IPV6, &ipv6(443)), 1.0),
        cost(&mut probe, "SMB inside the LAN", &data(Ipv4Addr::new(10, 0, 0, 6), 445), 8.0),
        cost(&mut probe, "SMB to the Internet, known flow", &message, 10.0),
        first_packets(&mut probe),
    ];
    drop(probe);

    let mut strict = load(&Config::of(Profile::Strict))?;
    let packet = ethernet(&[], IPV6, &ipv6(443));
    figures.push(cost(&mut strict, "strict, IPv6 TCP to 443", &packet, 1.0));
    drop(strict);

    let mut excepted = load(&with_exceptions())?;
    figures.push(cost(&mut excepted, "TCP to 443, with 100,000 exceptions", &data(PUBLIC, 443), 1.0));
    Some(figures)
}

fn load(config: &Config) -> Option<Probe> {
    Probe::load(config, Path::new("/run/smbwatch")).map_err(|error| eprintln!("{error}")).ok()
}

/// What a packet costs: the least of all rounds, because whatever disturbs a round makes it longer.
fn cost(probe: &mut Probe, name: &str, packet: &[u8], bound: f64) -> Figure {
    let mut round = |program| {
        let started = Instant::now();
        run(probe, program, packet, REPEATS);
        // The kernel tells whole nanoseconds only; the one system call is nothing among so many runs.
        started.elapsed().as_secs_f64() * 1e9 / f64::from(REPEATS)
    };
    let (mut empty, mut full) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        empty = empty.min(round("smbwatch_empty"));
        full = full.min(round("smbwatch_egress"));
    }
    figure(name, full, empty, bound)
}

/// One run for each of many flows, none of them seen before. Caches are cold and the clock is part of
/// every run.
fn first_packets(probe: &mut Probe) -> Figure {
    let mut times = |program: &str| {
        let time = |port| run(probe, program, &frame4(PUBLIC, &Tcp::syn(port, 445).bytes()), 1);
        median((1..=NEW_FLOWS).map(time).collect())
    };
    let (full, empty) = (times("smbwatch_egress"), times("smbwatch_empty"));
    figure("first packet of a flow, record sent", full, empty, 300.0)
}

fn figure(name: &str, full: f64, empty: f64, bound: f64) -> Figure {
    let name = format!("program: {name}, {full:.1} ns by {empty:.1} ns of an empty one");
    Figure::new(name, full / empty, "x", Reach::AtMost((EMPTY + bound) / EMPTY))
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
