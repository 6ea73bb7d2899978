//! How fast captures and ECS documents are read, by one thread and from memory.

use std::time::Instant;

use smbwatch::config::Config;
use smbwatch::source::capture::Capture;
use smbwatch::source::ecs::{Documents, rule};
use smbwatch_ebpf::testing::build::{IPV4, Ipv4, Tcp, ethernet};

use crate::figure::{Figure, Reach};
use crate::support::capture::{Order, Pcapng, pcap_header, pcap_record};

const PACKETS: u32 = 2_000_000;
const PAYLOAD: usize = 64;
const DOCUMENTS: usize = 200_000;
const ROUNDS: usize = 5;

const EVENTS: [&str; 8] = [
    include_str!("../../tests/data/ecs/packetbeat.ndjson"),
    include_str!("../../tests/data/ecs/auditbeat.ndjson"),
    include_str!("../../tests/data/ecs/zeek.ndjson"),
    include_str!("../../tests/data/ecs/panw.ndjson"),
    include_str!("../../tests/data/ecs/endpoint.ndjson"),
    include_str!("../../tests/data/ecs/suricata.ndjson"),
    include_str!("../../tests/data/ecs/cisco_asa.ndjson"),
    include_str!("../../tests/data/ecs/aws_vpcflow.ndjson"),
];

pub fn measure() -> Option<Vec<Figure>> {
    let frame = frame();
    let size = u32::try_from(frame.len()).ok()?;
    let mut pcap = pcap_header(Order::Little, false, 1);
    let mut pcapng = Pcapng::new(Order::Little);
    pcapng.interface(1, 0, &[(9, &[9])]);
    for number in 0..PACKETS {
        pcap.extend(pcap_record(Order::Little, number / 1_000_000, number % 1_000_000, &frame, size));
        pcapng.packet(0, u64::from(number) * 1000, &frame, size, "");
    }
    let reach = Reach::AtLeast(5e6);
    let packets = |name: &str, stream: &[u8]| {
        let rate = rate(PACKETS as usize, || packets(stream));
        Figure::new(format!("reading: packets a second, {name}, {size} bytes each"), rate, "/s", reach)
    };
    let mut figures = vec![packets("pcap", &pcap), packets("pcapng", &pcapng.bytes)];
    drop((pcap, pcapng));

    let lines: Vec<&str> = EVENTS.iter().flat_map(|file| file.lines()).collect();
    let mut stream = String::new();
    for line in lines.iter().cycle().take(DOCUMENTS) {
        stream.push_str(line);
        stream.push('\n');
    }
    let mean = stream.len() / DOCUMENTS;
    let config = Config::default();
    let rate = rate(DOCUMENTS, || documents(&config, stream.as_bytes()));
    let name = format!("reading: ECS documents a second, judged, {mean} bytes each");
    figures.push(Figure::new(name, rate, "/s", Reach::AtLeast(200_000.0)));
    Some(figures)
}

/// How many of `count` pass a second: the best of all rounds, because whatever disturbs one makes it longer.
fn rate(count: usize, mut read: impl FnMut() -> usize) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        assert_eq!(read(), count);
        best = best.min(started.elapsed().as_secs_f64());
    }
    count as f64 / best
}

fn packets(stream: &[u8]) -> usize {
    let mut capture = Capture::open(stream).expect("a capture");
    let mut count = 0;
    while let Some(packet) = capture.next_packet().expect("no error") {
        std::hint::black_box(packet.frame()).expect("a frame");
        count += 1;
    }
    count
}

fn documents(config: &Config, stream: &[u8]) -> usize {
    let mut documents = Documents::open(stream).expect("documents");
    let mut count = 0;
    while let Some(document) = documents.next_document().expect("no error") {
        std::hint::black_box(document.event.is_some_and(|event| rule::matches(config, &event)));
        count += 1;
    }
    count
}

fn frame() -> Vec<u8> {
    let data = Tcp::data(50_000, 443, &[0; PAYLOAD]).bytes();
    ethernet(&[], IPV4, &Ipv4::new([10, 0, 0, 5].into(), [8, 8, 8, 8].into()).wrap(&data))
}
