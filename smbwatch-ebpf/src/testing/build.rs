//! Packets put together header by header, right or wrong on purpose.

use std::net::{Ipv4Addr, Ipv6Addr};

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;
/// IP protocol number of TCP.
pub const TCP: u8 = 6;
/// IP protocol number of UDP.
pub const UDP: u8 = 17;

/// A frame of two made-up stations, with `tags` (tag protocol and control word) before `ethertype`.
pub fn ethernet(tags: &[(u16, u16)], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for (protocol, control) in tags {
        frame.extend(protocol.to_be_bytes());
        frame.extend(control.to_be_bytes());
    }
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

/// An IPv4 header (RFC 791 section 3.1); what is `None` is filled in rightly. Checksums are 0.
#[derive(Clone, Debug)]
pub struct Ipv4 {
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// Version, 4.
    pub version: u8,
    /// Header length in words of four bytes.
    pub words: Option<u8>,
    /// Total length.
    pub total_length: Option<u16>,
    /// Flags and fragment offset.
    pub fragment: u16,
    /// Protocol.
    pub protocol: u8,
    /// Options, a multiple of four bytes and at most 40.
    pub options: Vec<u8>,
}

impl Ipv4 {
    /// A plain header before TCP.
    pub fn new(source: Ipv4Addr, destination: Ipv4Addr) -> Self {
        Self {
            source,
            destination,
            version: 4,
            words: None,
            total_length: None,
            fragment: 0x4000,
            protocol: TCP,
            options: Vec::new(),
        }
    }

    /// The header and `payload`.
    pub fn wrap(&self, payload: &[u8]) -> Vec<u8> {
        let header = 20 + self.options.len();
        let words = self.words.unwrap_or_else(|| u8::try_from(header / 4).unwrap_or(u8::MAX));
        let total = self.total_length.unwrap_or_else(|| clamp(header + payload.len()));
        let mut packet = vec![self.version << 4 | words & 0x0f, 0];
        packet.extend(total.to_be_bytes());
        packet.extend([0, 1]);
        packet.extend(self.fragment.to_be_bytes());
        packet.extend([64, self.protocol, 0, 0]);
        packet.extend(self.source.octets());
        packet.extend(self.destination.octets());
        packet.extend(&self.options);
        packet.extend(payload);
        packet
    }
}

/// An IPv6 header (RFC 8200 section 3) and its extension headers; what is `None` is filled in rightly.
#[derive(Clone, Debug)]
pub struct Ipv6 {
    /// Source address.
    pub source: Ipv6Addr,
    /// Destination address.
    pub destination: Ipv6Addr,
    /// Version, 6.
    pub version: u8,
    /// Payload length, extension headers included.
    pub payload_length: Option<u16>,
    /// Extension headers in their order.
    pub extensions: Vec<Extension>,
    /// What the last header announces.
    pub protocol: u8,
}

impl Ipv6 {
    /// A plain header before TCP.
    pub fn new(source: Ipv6Addr, destination: Ipv6Addr) -> Self {
        Self { source, destination, version: 6, payload_length: None, extensions: Vec::new(), protocol: TCP }
    }

    /// The headers and `payload`.
    pub fn wrap(&self, payload: &[u8]) -> Vec<u8> {
        let kinds = self.extensions.iter().map(|extension| extension.kind).chain([self.protocol]);
        let mut kinds = kinds.collect::<Vec<_>>().into_iter();
        let first = kinds.next().unwrap_or(self.protocol);
        let mut body = Vec::new();
        for (extension, next) in self.extensions.iter().zip(kinds) {
            body.push(next);
            body.extend(&extension.body);
        }
        body.extend(payload);
        let length = self.payload_length.unwrap_or_else(|| clamp(body.len()));
        let mut packet = vec![self.version << 4, 0, 0, 0];
        packet.extend(length.to_be_bytes());
        packet.extend([first, 64]);
        packet.extend(self.source.octets());
        packet.extend(self.destination.octets());
        packet.extend(body);
        packet
    }
}

/// An IPv6 extension header: its kind, and all its bytes but the first, which names the next.
#[derive(Clone, Debug)]
pub struct Extension {
    /// The number by which the header before announces this one.
    pub kind: u8,
    /// From its second byte on.
    pub body: Vec<u8>,
}

impl Extension {
    /// The kinds whose second byte is a length in units of eight bytes, less one.
    pub const IN_EIGHTS: [u8; 6] = [0, 43, 60, 135, 139, 140];

    /// One of [`Self::IN_EIGHTS`], of `8 + 8 * eights` bytes.
    pub fn eights(kind: u8, eights: u8) -> Self {
        let mut body = vec![eights];
        body.resize(7 + 8 * usize::from(eights), 0);
        Self { kind, body }
    }

    /// A fragment header with an offset in units of eight bytes (RFC 8200 section 4.5).
    pub fn fragment(offset: u16, more: bool) -> Self {
        let [high, low] = (offset << 3 | u16::from(more)).to_be_bytes();
        Self { kind: 44, body: vec![0, high, low, 0, 0, 0, 1] }
    }

    /// An authentication header of `8 + 4 * words` bytes (RFC 4302 section 2.2).
    pub fn authentication(words: u8) -> Self {
        let mut body = vec![words];
        body.resize(7 + 4 * usize::from(words), 0);
        Self { kind: 51, body }
    }
}

/// A TCP segment (RFC 9293 section 3.1); what is `None` is filled in rightly.
#[derive(Clone, Debug)]
pub struct Tcp {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// Header length in words of four bytes.
    pub words: Option<u8>,
    /// Flags.
    pub flags: u8,
    /// Options, a multiple of four bytes and at most 40.
    pub options: Vec<u8>,
    /// Payload.
    pub payload: Vec<u8>,
}

impl Tcp {
    /// A SYN.
    pub fn syn(source_port: u16, destination_port: u16) -> Self {
        Self {
            source_port,
            destination_port,
            sequence: 0x0102_0304,
            acknowledgement: 0,
            words: None,
            flags: 0x02,
            options: Vec::new(),
            payload: Vec::new(),
        }
    }

    /// A segment of data.
    pub fn data(source_port: u16, destination_port: u16, payload: &[u8]) -> Self {
        let payload = payload.to_vec();
        Self {
            acknowledgement: 0x0506_0708,
            flags: 0x18,
            payload,
            ..Self::syn(source_port, destination_port)
        }
    }

    /// The segment's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let words = self.words.unwrap_or_else(|| u8::try_from(5 + self.options.len() / 4).unwrap_or(u8::MAX));
        let mut segment = Vec::new();
        segment.extend(self.source_port.to_be_bytes());
        segment.extend(self.destination_port.to_be_bytes());
        segment.extend(self.sequence.to_be_bytes());
        segment.extend(self.acknowledgement.to_be_bytes());
        segment.extend([words << 4, self.flags, 0xff, 0xff, 0, 0, 0, 0]);
        segment.extend(&self.options);
        segment.extend(&self.payload);
        segment
    }
}

/// The first bytes of an SMB message whose protocol identifier begins with `version`, and `more` zeros.
pub fn smb(version: u8, more: u8) -> Vec<u8> {
    let mut message = vec![0, 0, 0, more.saturating_add(4), version, b'S', b'M', b'B'];
    message.resize(8 + usize::from(more), 0);
    message
}

fn clamp(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}
