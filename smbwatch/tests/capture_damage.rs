//! A broken capture ends in an error that says where, and what came before is kept.

mod support;

use std::io::{self, Read};

use fastrand::Rng;
use jiff::Timestamp;
use smbwatch::source::capture::link::LinkType;
use smbwatch::source::capture::{Capture, MAX_PACKET};
use smbwatch_ebpf::testing::seed;
use support::capture::{Order, Pcapng, expected, pcap, pcap_header, pcap_record, read, samples, streams};

#[test]
fn what_is_wrong_is_said_with_its_place_and_the_way_out() {
    let record = |captured: u32| {
        let mut stream = pcap(Order::Little, false, 1, &samples());
        stream.extend([[1, 0, 0, 0]; 2].concat());
        stream.extend([captured.to_le_bytes(); 2].concat());
        stream
    };
    let ng = |change: &dyn Fn(&mut Pcapng)| {
        let mut stream = Pcapng::new(Order::Little);
        stream.interface(1, 0, &[]);
        stream.packet(0, 0, b"good", 4, "");
        change(&mut stream);
        stream.bytes
    };
    let claims = |captured: u32| {
        let mut body = vec![0; 20];
        body.splice(12..16, captured.to_le_bytes());
        body.extend([0; 8]);
        body
    };
    for (stream, seen, message) in [
        (vec![], 0, "the capture is empty: not even a header is there"),
        (
            b"\x1f\x8b\x08\x00\x00".to_vec(),
            0,
            "the capture is compressed with gzip; give `zcat FILE | smbwatch replay -`",
        ),
        (b"\x28\xb5\x2f\xfd".to_vec(), 0, "the capture is compressed with zstd; give `zstdcat FILE"),
        (b"\xd4\xc3".to_vec(), 0, "neither pcap nor pcapng: it begins with [d4, c3]"),
        (
            b"{\"@timestamp\":".to_vec(),
            0,
            "neither pcap nor pcapng: it begins with [7b, 22, 40, 74]; ECS documents are read with `--ecs`",
        ),
        (pcap_header(Order::Big, false, 1)[..23].to_vec(), 0, "packet 1, at byte 0: the capture ends here"),
        (
            pcap_header(Order::Big, false, 127),
            0,
            "packet 1, at byte 0: link type 127 (IEEE802_11_RADIOTAP) of interface 0 is not supported; capture Ethernet",
        ),
        (
            pcap_header(Order::Big, false, 300),
            0,
            "packet 1, at byte 0: link type 300 of interface 0 is not supported",
        ),
        (record(1), 4, "packet 5, at byte 396: the capture ends here, in the middle"),
        (
            record(262_145),
            4,
            "packet 5, at byte 396: 262145 bytes of it should be here, but at most 262144 can",
        ),
        (record(u32::MAX), 4, "packet 5, at byte 396: 4294967295 bytes of it should be here"),
        (
            ng(&|stream| stream.packet(1, 0, b"", 0, "")),
            1,
            "packet 2, at byte 84: it came over interface 1, but only 1 are described",
        ),
        (
            ng(&|stream| stream.block(6, &claims(9))),
            1,
            "packet 2, at byte 84: a block is shorter than its fields say",
        ),
        (
            ng(&|stream| stream.block(6, &claims(262_145))),
            1,
            "packet 2, at byte 84: 262145 bytes of it should be here",
        ),
        (
            ng(&|stream| stream.block(6, &[0; 8])),
            1,
            "packet 2, at byte 84: a block is shorter than its fields say",
        ),
        (
            ng(&|stream| stream.block(6, &vec![0; 600_000])),
            1,
            "packet 2, at byte 84: a block has a wrong length, 600012",
        ),
        (
            ng(&|stream| stream.bytes.extend([9, 0, 0, 0, 11, 0, 0, 0])),
            1,
            "packet 2, at byte 84: a block has a wrong length, 11",
        ),
        (
            ng(&|stream| stream.bytes.extend([9, 0, 0, 0, 0xf0, 0xff, 0xff, 0xff])),
            1,
            "packet 2, at byte 84: the capture ends here",
        ),
        (
            ng(&|stream| stream.bytes.extend([9, 0, 0, 0, 12, 0, 0, 0, 13, 0, 0, 0])),
            1,
            "packet 2, at byte 84: a block has a wrong length, 12",
        ),
        (
            ng(&|stream| stream.bytes.extend([10, 13, 13, 10, 28, 0, 0, 0, 1, 2, 3, 4])),
            1,
            "packet 2, at byte 84: a section does not say its byte order",
        ),
        (
            ng(&|stream| stream.interface(1, 0, &[(9, &[20])])),
            1,
            "packet 2, at byte 84: an interface counts time by `if_tsresol` 0x14",
        ),
        (
            ng(&|stream| stream.interface(1, 0, &[(9, &[0xc0])])),
            1,
            "packet 2, at byte 84: an interface counts time by `if_tsresol` 0xc0",
        ),
        (
            ng(&|stream| (0..65_536).for_each(|_| stream.interface(1, 0, &[]))),
            1,
            "packet 2, at byte 1310784: more interfaces than any machine has",
        ),
        (
            ng(&|stream| {
                stream.interface(1, 0, &[(9, &[0])]);
                stream.packet(1, 1 << 40, b"", 0, "");
            }),
            1,
            "packet 2, at byte 116: its time is out of range; shift it: `editcap -t",
        ),
    ] {
        let (packets, end) = read(stream.as_slice());
        let error = end.expect_err(message);
        assert_eq!(packets.len(), seen, "{message}");
        assert!(error.starts_with(message), "{error:?} is not {message:?}");
    }
}

#[test]
fn a_capture_cut_anywhere_keeps_what_came_before() {
    for (name, stream) in streams() {
        for cut in 0..stream.len() {
            let (seen, end) = read(stream.get(..cut).expect("a part"));
            assert_eq!(expected().get(..seen.len()), Some(seen.as_slice()), "{name} cut at {cut}");
            let complete = seen.len() == expected().len();
            assert!(!complete, "{name} cut at {cut}: {end:?}");
        }
    }
}

#[test]
fn a_failing_disk_keeps_what_came_before() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    for (name, stream) in streams() {
        let (seen, end) = read(stream.as_slice().chain(Failing));
        assert_eq!(seen, expected(), "{name}");
        assert!(end.is_err_and(|error| error.ends_with("read: the disk is gone")), "{name}");
    }
    let error = Capture::open(Failing).err().expect("no capture");
    assert_eq!(error.to_string(), "packet 1, at byte 0: read: the disk is gone");
}

#[test]
fn damage_never_yields_more_than_there_is() {
    let seed = seed();
    let mut rng = Rng::with_seed(seed);
    let streams = streams();
    for round in 0..20_000 {
        let (name, good) = streams.get(round % streams.len()).expect("a stream");
        let mut stream = good.clone();
        for _ in 0..rng.usize(1..8) {
            let place = rng.usize(..stream.len());
            let byte = stream.get_mut(place).expect("a byte");
            *byte = if rng.bool() { *byte ^ 1 << rng.u8(..8) } else { rng.u8(..) };
        }
        if rng.u8(..4) == 0 {
            stream.truncate(rng.usize(..stream.len()));
        }
        let (seen, _) = read(stream.as_slice());
        let total: usize = seen.iter().map(|(_, _, bytes, _)| bytes.len()).sum();
        assert!(total <= stream.len(), "{name}, round {round} of seed {seed}");
    }
}

/// A capture of `left` packets of the greatest size that is made while it is read.
struct Endless {
    record: Vec<u8>,
    at: usize,
    left: usize,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.record.len() && self.left > 0 {
            (self.at, self.left) = (0, self.left - 1);
        }
        let read = self.record.get(self.at..).unwrap_or_default().read(buffer)?;
        self.at += read;
        Ok(read)
    }
}

#[test]
fn a_gigabyte_takes_no_more_memory_than_a_packet() {
    let resident = || {
        let status = procfs::process::Process::myself().and_then(|process| process.status());
        status.expect("/proc/self/status").vmhwm.expect("the peak")
    };
    let record = pcap_record(Order::Little, 1, 2, &vec![0; MAX_PACKET], 1 << 30);
    let packets = (1 << 30) / record.len();
    let stream = pcap_header(Order::Little, false, 1);
    let endless = Endless { at: record.len(), record, left: packets };
    let before = resident();
    let mut capture = Capture::open(stream.as_slice().chain(endless)).expect("a capture");
    let mut count = 0;
    while let Some(packet) = capture.next_packet().expect("no error") {
        assert_eq!((packet.link, packet.bytes.len()), (LinkType::Ethernet, MAX_PACKET));
        assert_eq!(packet.time, Timestamp::new(1, 2000).expect("a time"));
        count += 1;
    }
    assert_eq!(count, packets);
    // In kibibytes; the other tests of this program run meanwhile.
    assert!(resident() - before < 64 << 10, "{} KiB more", resident() - before);
}
