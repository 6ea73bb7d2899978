//! Captures put together block by block, right or wrong on purpose; and what was read of them.

use std::io::Read;

use smbwatch::source::capture::Capture;

/// Byte order of the machine that captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Little,
    Big,
}

/// A packet to be written.
#[derive(Clone, Debug)]
pub struct Sample {
    pub seconds: u32,
    pub nanoseconds: u32,
    pub bytes: Vec<u8>,
    pub original: u32,
}

/// A pcapng stream.
pub struct Pcapng {
    order: Order,
    pub bytes: Vec<u8>,
}

impl Order {
    pub const BOTH: [Self; 2] = [Self::Little, Self::Big];

    pub fn u16(self, number: u16) -> [u8; 2] {
        match self {
            Self::Little => number.to_le_bytes(),
            Self::Big => number.to_be_bytes(),
        }
    }

    pub fn u32(self, number: u32) -> [u8; 4] {
        match self {
            Self::Little => number.to_le_bytes(),
            Self::Big => number.to_be_bytes(),
        }
    }
}

impl Sample {
    /// Captured as a whole.
    pub fn whole(seconds: u32, nanoseconds: u32, bytes: &[u8]) -> Self {
        Self { seconds, nanoseconds, bytes: bytes.to_vec(), original: length(bytes) }
    }
}

/// The header of a pcap stream.
pub fn pcap_header(order: Order, nanoseconds: bool, link: u32) -> Vec<u8> {
    let magic = if nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
    let mut header = order.u32(magic).to_vec();
    header.extend(order.u16(2));
    header.extend(order.u16(4));
    for number in [0, 0, 0x40000, link] {
        header.extend(order.u32(number));
    }
    header
}

/// A packet of a pcap stream, with its `fraction` of a second in the stream's unit.
pub fn pcap_record(order: Order, seconds: u32, fraction: u32, bytes: &[u8], original: u32) -> Vec<u8> {
    let mut record = Vec::with_capacity(16 + bytes.len());
    for number in [seconds, fraction, length(bytes), original] {
        record.extend(order.u32(number));
    }
    record.extend(bytes);
    record
}

/// A pcap stream.
pub fn pcap(order: Order, nanoseconds: bool, link: u32, samples: &[Sample]) -> Vec<u8> {
    let mut stream = pcap_header(order, nanoseconds, link);
    for Sample { seconds, nanoseconds: fraction, bytes, original } in samples {
        let fraction = if nanoseconds { *fraction } else { fraction / 1000 };
        stream.extend(pcap_record(order, *seconds, fraction, bytes, *original));
    }
    stream
}

impl Pcapng {
    /// Begins with a section header.
    pub fn new(order: Order) -> Self {
        let mut stream = Self { order, bytes: Vec::new() };
        stream.section(order);
        stream
    }

    /// Begins another section, maybe by another machine.
    pub fn section(&mut self, order: Order) {
        self.order = order;
        let mut body = order.u32(0x1a2b_3c4d).to_vec();
        body.extend(order.u16(1));
        body.extend(order.u16(0));
        body.extend([0xff; 8]);
        self.block(0x0a0d_0d0a, &body);
    }

    /// Describes an interface; options are code and value.
    pub fn interface(&mut self, link: u16, snap_length: u32, options: &[(u16, &[u8])]) {
        let mut body = self.order.u16(link).to_vec();
        body.extend([0; 2]);
        body.extend(self.order.u32(snap_length));
        for (code, value) in options {
            body.extend(self.order.u16(*code));
            body.extend(self.order.u16(u16::try_from(value.len()).expect("a short option")));
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        if !options.is_empty() {
            body.extend([0; 4]);
        }
        self.block(1, &body);
    }

    /// An enhanced packet block with a comment of `comment`, if any.
    pub fn packet(&mut self, interface: u32, ticks: u64, bytes: &[u8], original: u32, comment: &str) {
        let high = u32::try_from(ticks >> 32).expect("the upper half");
        let low = u32::try_from(ticks & 0xffff_ffff).expect("the lower half");
        let mut body = Vec::new();
        for number in [interface, high, low, length(bytes), original] {
            body.extend(self.order.u32(number));
        }
        body.extend(bytes);
        body.resize(body.len().next_multiple_of(4), 0);
        if !comment.is_empty() {
            body.extend(self.order.u16(1));
            body.extend(self.order.u16(u16::try_from(comment.len()).expect("a short comment")));
            body.extend(comment.bytes());
            body.resize(body.len().next_multiple_of(4), 0);
            body.extend([0; 4]);
        }
        self.block(6, &body);
    }

    /// A simple packet block.
    pub fn simple(&mut self, bytes: &[u8], original: u32) {
        let mut body = self.order.u32(original).to_vec();
        body.extend(bytes);
        body.resize(body.len().next_multiple_of(4), 0);
        self.block(3, &body);
    }

    /// Any block.
    pub fn block(&mut self, kind: u32, body: &[u8]) {
        let total = self.order.u32(length(body) + 12);
        self.bytes.extend(self.order.u32(kind));
        self.bytes.extend(total);
        self.bytes.extend(body);
        self.bytes.extend(total);
    }
}

/// A packet as it was read: time, interface, bytes and original length.
pub type Seen = (String, u32, Vec<u8>, u32);

/// All packets of a stream, and how it ended.
pub fn read(stream: impl Read) -> (Vec<Seen>, Result<(), String>) {
    let mut seen = Vec::new();
    let mut capture = match Capture::open(stream) {
        Ok(capture) => capture,
        Err(error) => return (seen, Err(error.to_string())),
    };
    loop {
        match capture.next_packet() {
            Ok(Some(packet)) => {
                assert_eq!(packet.number, seen.len() as u64 + 1);
                let bytes = packet.bytes.to_vec();
                seen.push((packet.time.to_string(), packet.interface, bytes, packet.original));
            }
            Ok(None) => return (seen, Ok(())),
            Err(error) => return (seen, Err(error.to_string())),
        }
    }
}

/// Four packets.
pub fn samples() -> Vec<Sample> {
    vec![
        Sample::whole(1_700_000_000, 123_456_000, b"first"),
        Sample { original: 1500, ..Sample::whole(1_700_000_001, 0, b"cut") },
        Sample::whole(1_700_000_001, 999_999_000, b""),
        Sample::whole(u32::MAX, 1_000, &[7; 300]),
    ]
}

/// What is to be read of them.
pub fn expected() -> Vec<Seen> {
    let seen = |time: &str, bytes: &[u8], original| (time.to_owned(), 0, bytes.to_vec(), original);
    vec![
        seen("2023-11-14T22:13:20.123456Z", b"first", 5),
        seen("2023-11-14T22:13:21Z", b"cut", 1500),
        seen("2023-11-14T22:13:21.999999Z", b"", 0),
        seen("2106-02-07T06:28:15.000001Z", &[7; 300], 300),
    ]
}

/// The samples over one interface with a clock of microseconds.
fn pcapng(order: Order) -> Vec<u8> {
    let mut stream = Pcapng::new(order);
    stream.interface(1, 0, &[(2, b"eth0")]);
    for (index, sample) in samples().iter().enumerate() {
        let ticks = u64::from(sample.seconds) * 1_000_000 + u64::from(sample.nanoseconds / 1000);
        let comment = if index % 2 == 0 { "" } else { "odd" };
        stream.packet(0, ticks, &sample.bytes, sample.original, comment);
    }
    stream.bytes
}

/// The samples in every format.
pub fn streams() -> Vec<(String, Vec<u8>)> {
    let mut streams = Vec::new();
    for order in Order::BOTH {
        for nanoseconds in [false, true] {
            let name = format!("pcap {order:?}, nanoseconds: {nanoseconds}");
            streams.push((name, pcap(order, nanoseconds, 1, &samples())));
        }
        streams.push((format!("pcapng {order:?}"), pcapng(order)));
    }
    streams
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a length of 32 bits")
}
