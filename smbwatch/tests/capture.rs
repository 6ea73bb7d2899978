//! Captures of every kind are read alike.

mod support;

use std::io::{self, Read};

use smbwatch::source::capture::Capture;
use smbwatch::source::capture::link::Direction;
use smbwatch_ebpf::parse::Link;
use smbwatch_ebpf::parse::ethernet::Tags;
use smbwatch_ebpf::skip::Skip;
use smbwatch_ebpf::testing::build;
use support::capture::{Order, Pcapng, Sample, expected, pcap, read, streams};

#[test]
fn every_format_tells_the_same() {
    for (name, stream) in streams() {
        assert_eq!(read(stream.as_slice()), (expected(), Ok(())), "{name}");
    }
}

/// One connection on a loopback interface as tcpdump and dumpcap wrote it: `-i lo`, `-i any` in both cooked
/// formats, and both interfaces at once.
#[test]
fn what_other_tools_captured_is_the_same_connection() {
    let read = |file: &[u8], interface: u32| {
        let mut capture = Capture::open(file).expect("a capture");
        let (mut first, mut packets) = (None, Vec::new());
        while let Some(packet) = capture.next_packet().expect("no error") {
            if packet.interface == interface {
                first.get_or_insert(packet.time);
                let frame = packet.frame().expect("an IP packet");
                let header = if frame.link == Link::Ethernet { 14 } else { 0 };
                packets.push(frame.bytes.get(header..).expect("a payload").to_vec());
            }
        }
        (first.expect("a packet").to_string(), packets)
    };
    let (_, expected) = read(include_bytes!("data/links/ethernet.pcap"), 0);
    assert_eq!(expected.len(), 8);
    for (file, interface, first) in [
        (include_bytes!("data/links/ethernet.pcap").as_slice(), 0, "2026-11-24T12:56:05.544593Z"),
        (include_bytes!("data/links/sll.pcap"), 0, "2026-11-24T12:56:05.544592Z"),
        (include_bytes!("data/links/sll2.pcap"), 0, "2026-11-24T12:56:05.544592173Z"),
        (include_bytes!("data/links/two.pcapng"), 0, "2026-11-24T12:56:05.544592814Z"),
        (include_bytes!("data/links/two.pcapng"), 1, "2026-11-24T12:56:05.544591872Z"),
    ] {
        let (time, packets) = read(file, interface);
        assert_eq!((time.as_str(), packets), (first, expected.clone()));
    }
}

/// A pipe that gives a byte at a time, and is interrupted before each.
struct Dripping<'a> {
    bytes: &'a [u8],
    interrupted: bool,
}

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = buffer.len().min(1);
        self.bytes.read(buffer.get_mut(..length).expect("a byte"))
    }
}

#[test]
fn a_slow_pipe_tells_the_same() {
    for (name, stream) in streams() {
        let pipe = Dripping { bytes: &stream, interrupted: false };
        assert_eq!(read(pipe), (expected(), Ok(())), "{name}");
    }
}

#[test]
fn clocks_of_every_resolution_are_read() {
    const YEAR_2023: u64 = 1_700_000_000;
    for (resolution, offset, ticks, time) in [
        (0, 0, YEAR_2023, "2023-11-14T22:13:20Z"),
        (3, 0, YEAR_2023 * 1000 + 7, "2023-11-14T22:13:20.007Z"),
        (6, 0, YEAR_2023 * 1_000_000 + 7, "2023-11-14T22:13:20.000007Z"),
        (9, 0, YEAR_2023 * 1_000_000_000 + 7, "2023-11-14T22:13:20.000000007Z"),
        (9, 3600, YEAR_2023 * 1_000_000_000, "2023-11-14T23:13:20Z"),
        (9, -3600, YEAR_2023 * 1_000_000_000, "2023-11-14T21:13:20Z"),
        (6, -1, 250_000, "1969-12-31T23:59:59.25Z"),
        (0x80, 0, YEAR_2023, "2023-11-14T22:13:20Z"),
        (0x8a, 0, YEAR_2023 << 10 | 512, "2023-11-14T22:13:20.5Z"),
        (0xa0, 0, YEAR_2023 << 32 | 1 << 31, "2023-11-14T22:13:20.5Z"),
        (19, 1, 5_000_000_000_000_000_000, "1970-01-01T00:00:01.5Z"),
    ] {
        for order in Order::BOTH {
            let offset = match order {
                Order::Little => i64::to_le_bytes(offset),
                Order::Big => i64::to_be_bytes(offset),
            };
            let mut stream = Pcapng::new(order);
            stream.interface(1, 0, &[(9, &[resolution]), (14, &offset)]);
            stream.packet(0, ticks, b"x", 1, "");
            let seen = vec![(time.to_owned(), 0, b"x".to_vec(), 1)];
            assert_eq!(read(stream.bytes.as_slice()), (seen, Ok(())), "{resolution:#x} {order:?}");
        }
    }
}

#[test]
fn blocks_interfaces_and_sections_of_all_kinds_are_passed() {
    let mut stream = Pcapng::new(Order::Little);
    stream.block(0x0bad, b"custom block");
    stream.interface(1, 0, &[]);
    stream.interface(276, 0, &[(9, &[9])]);
    stream.simple(b"before any time", 15);
    stream.packet(1, 1_500_000_000, b"over 1", 6, "");
    // Longer than the window.
    stream.block(10, &vec![0; 3 << 20]);
    stream.packet(0, 2_000_000, b"over 0", 6, "");
    stream.simple(b"simple, without time", 20);
    let mut old = Vec::new();
    old.extend([1, 0, 3, 0, 0, 0, 0, 0, 0x80, 0x96, 0x98, 0, 3, 0, 0, 0, 9, 0, 0, 0]);
    old.extend(b"old\0");
    stream.block(2, &old);
    stream.section(Order::Big);
    stream.interface(101, 4, &[]);
    stream.packet(0, 3_000_000, b"big", 3, "");
    stream.simple(b"snap", 1500);
    let seen = |time: &str, interface, bytes: &[u8], original| {
        (format!("1970-01-01T00:00:{time}Z"), interface, bytes.to_vec(), original)
    };
    let expected = vec![
        seen("00", 0, b"before any time", 15),
        seen("01.5", 1, b"over 1", 6),
        seen("02", 0, b"over 0", 6),
        seen("02", 0, b"simple, without time", 20),
        seen("00.01", 1, b"old", 9),
        seen("03", 0, b"big", 3),
        seen("03", 0, b"snap", 1500),
    ];
    assert_eq!(read(stream.bytes.as_slice()), (expected, Ok(())));
}

#[test]
fn every_link_header_is_passed() {
    const NONE: Tags = Tags { outer: 0, inner: 0 };
    let v4 = build::Ipv4::new([10, 0, 0, 1].into(), [9, 9, 9, 9].into()).wrap(&[1; 20]);
    let frame = build::ethernet(&[], build::IPV4, &v4);
    let behind = |header: &[u8]| [header, &v4].concat();
    let sll = |kind: u8, protocol: &[u8]| {
        behind(&[&[0, kind, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0], protocol].concat())
    };
    let sll2 = |kind: u8, protocol: [u8; 2], tags: &[u8]| {
        let rest = [0, 0, 0, 0, 0, 3, 0, 1, kind, 6, 2, 0, 0, 0, 0, 1, 0, 0];
        behind(&[&protocol, rest.as_slice(), tags].concat())
    };
    let (sent, received) = (Some(Direction::Sent), Some(Direction::Received));
    let ip = |direction, tags| Ok((Link::None, v4.clone(), direction, tags));
    for (link, bytes, expected) in [
        (1, frame.clone(), Ok((Link::Ethernet, frame, None, NONE))),
        // The upper half: a frame check sequence of 4 bytes follows each packet.
        (0x5000_0065, v4.clone(), ip(None, NONE)),
        (12, v4.clone(), ip(None, NONE)),
        (14, v4.clone(), ip(None, NONE)),
        (228, v4.clone(), ip(None, NONE)),
        (229, v4.clone(), ip(None, NONE)),
        (0, behind(&[2, 0, 0, 0]), ip(None, NONE)),
        (0, behind(&[0, 0, 0, 2]), ip(None, NONE)),
        (0, behind(&[30, 0, 0, 0]), ip(None, NONE)),
        (108, behind(&[0, 0, 0, 24]), ip(None, NONE)),
        (108, behind(&[0, 0, 0, 7]), Err(Skip::NotIp)),
        (108, vec![0, 0, 0], Err(Skip::Truncated)),
        (113, sll(4, &[8, 0]), ip(sent, NONE)),
        (113, sll(0, &[8, 0]), ip(received, NONE)),
        (113, sll(3, &[0x86, 0xdd]), ip(None, NONE)),
        (113, sll(4, &[0x81, 0, 0x20, 5, 8, 0]), ip(sent, Tags { outer: 5, inner: 0 })),
        (113, sll(4, &[8, 6]), Err(Skip::NotIp)),
        (113, vec![0; 15], Err(Skip::Truncated)),
        (113, [&[0; 14], [0x81, 0, 0].as_slice()].concat(), Err(Skip::Truncated)),
        (276, sll2(4, [8, 0], &[]), ip(sent, NONE)),
        (276, sll2(2, [8, 0], &[]), ip(received, NONE)),
        (276, sll2(4, [0x88, 0xa8], &[0, 5, 0x81, 0, 0, 6, 8, 0]), ip(sent, Tags { outer: 5, inner: 6 })),
        (276, sll2(4, [0x91, 0], &[0, 5, 0x81, 0, 0, 6, 0x81, 0, 0, 7, 8, 0]), Err(Skip::TooManyTags)),
        (276, sll2(4, [0, 4], &[]), Err(Skip::NotIp)),
        (276, vec![0; 19], Err(Skip::Truncated)),
    ] {
        let stream = pcap(Order::Little, false, link, &[Sample::whole(0, 0, &bytes)]);
        let mut capture = Capture::open(stream.as_slice()).expect("a capture");
        let packet = capture.next_packet().expect("no error").expect("a packet");
        let frame =
            packet.frame().map(|frame| (frame.link, frame.bytes.to_vec(), frame.direction, frame.tags));
        assert_eq!(frame, expected, "link type {link}: {bytes:02x?}");
    }
}

#[test]
fn an_unknown_link_type_of_one_interface_is_no_end() {
    let mut stream = Pcapng::new(Order::Big);
    stream.interface(1, 0, &[]);
    stream.interface(239, 0, &[]);
    stream.interface(242, 0, &[]);
    stream.packet(0, 0, b"before", 6, "");
    stream.packet(1, 0, b"unknown", 7, "");
    stream.packet(0, 0, b"behind", 6, "");
    let mut capture = Capture::open(stream.bytes.as_slice()).expect("a capture");
    let numbers: Vec<_> = std::iter::from_fn(|| match capture.next_packet() {
        Ok(packet) => packet.map(|packet| Ok(packet.number)),
        Err(error) => Some(Err(error.to_string())),
    })
    .collect();
    let [Ok(1), Err(error), Ok(3)] = numbers.as_slice() else { panic!("{numbers:?}") };
    assert!(error.starts_with("packet 2, at byte 128: link type 239 (NFLOG) of interface 1"), "{error}");
}
