//! What a packet begins with, and the way behind it to what the classifier takes.

use std::fmt;

use smbwatch_ebpf::parse::Link;
use smbwatch_ebpf::parse::ethernet::{self, MAX_TAGS, Tags};
use smbwatch_ebpf::skip::Skip;

use super::Packet;

/// Tag protocol identifiers of IEEE 802.1Q and 802.1ad, and the one in use before 802.1ad.
const TAG_PROTOCOLS: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// A link type that can be read (<https://www.tcpdump.org/linktypes.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkType {
    /// `EN10MB`, 1.
    Ethernet,
    /// `RAW`, 101, or 12 and 14 as systems call it; `IPV4`, 228; `IPV6`, 229.
    Ip,
    /// `NULL`, 0, and `LOOP`, 108: BSD's address family.
    Loopback,
    /// `LINUX_SLL`, 113: what `tcpdump -i any` writes.
    Cooked,
    /// `LINUX_SLL2`, 276: what newer ones write.
    Cooked2,
}

/// A link type that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsupported(pub u32);

/// Which way a packet went, as the capturing host saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The host sent it.
    Sent,
    /// The host received it.
    Received,
}

/// What the classifier takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Where its first byte belongs: to an Ethernet header or to an IP header.
    pub link: Link,
    /// The bytes.
    pub bytes: &'a [u8],
    /// VLAN tags that were between the link header and the bytes; those of an Ethernet frame are inside.
    pub tags: Tags,
    /// Which way it went; only cooked captures say.
    pub direction: Option<Direction>,
}

impl LinkType {
    /// By its number.
    pub const fn from_number(number: u32) -> Result<Self, Unsupported> {
        Ok(match number {
            1 => Self::Ethernet,
            12 | 14 | 101 | 228 | 229 => Self::Ip,
            0 | 108 => Self::Loopback,
            113 => Self::Cooked,
            276 => Self::Cooked2,
            _ => return Err(Unsupported(number)),
        })
    }
}

impl<'a> Packet<'a> {
    /// The packet without a link header that the classifier does not know.
    pub fn frame(&self) -> Result<Frame<'a>, Skip> {
        match self.link {
            LinkType::Ethernet => Ok(Frame { link: Link::Ethernet, ..plain(self.bytes) }),
            LinkType::Ip => Ok(plain(self.bytes)),
            LinkType::Loopback => loopback(self.bytes),
            LinkType::Cooked => cooked(self.bytes),
            LinkType::Cooked2 => cooked2(self.bytes),
        }
    }
}

const fn plain(bytes: &[u8]) -> Frame<'_> {
    Frame { link: Link::None, bytes, tags: Tags { outer: 0, inner: 0 }, direction: None }
}

/// The address family is in the byte order of the capturing host, whichever that was, and its number for
/// IPv6 is that of its system.
fn loopback(bytes: &[u8]) -> Result<Frame<'_>, Skip> {
    let (family, packet) = bytes.split_first_chunk::<4>().ok_or(Skip::Truncated)?;
    match family {
        [0, 0, 0, family] | [family, 0, 0, 0] if matches!(family, 2 | 10 | 24 | 28 | 30) => Ok(plain(packet)),
        _ => Err(Skip::NotIp),
    }
}

/// Packet type, ARPHRD type, address length, address (8 bytes), protocol.
fn cooked(bytes: &[u8]) -> Result<Frame<'_>, Skip> {
    let (header, payload) = bytes.split_first_chunk::<16>().ok_or(Skip::Truncated)?;
    let &[_, kind, .., high, low] = header;
    behind(u16::from_be_bytes([high, low]), payload, kind)
}

/// Protocol, reserved (2 bytes), interface (4), ARPHRD type, packet type, address length, address (8).
fn cooked2(bytes: &[u8]) -> Result<Frame<'_>, Skip> {
    let (header, payload) = bytes.split_first_chunk::<20>().ok_or(Skip::Truncated)?;
    let &[high, low, _, _, _, _, _, _, _, _, kind, ..] = header;
    behind(u16::from_be_bytes([high, low]), payload, kind)
}

/// Passes the tags that may be behind a cooked header.
fn behind(mut protocol: u16, mut payload: &[u8], kind: u8) -> Result<Frame<'_>, Skip> {
    let mut tags = [0; MAX_TAGS];
    let mut places = tags.iter_mut();
    while TAG_PROTOCOLS.contains(&protocol) {
        let (&[high, low, next_high, next_low], rest) = payload.split_first_chunk().ok_or(Skip::Truncated)?;
        *places.next().ok_or(Skip::TooManyTags)? = u16::from_be_bytes([high, low]) & 0x0fff;
        (protocol, payload) = (u16::from_be_bytes([next_high, next_low]), rest);
    }
    if !matches!(protocol, ethernet::IPV4 | ethernet::IPV6) {
        return Err(Skip::NotIp);
    }
    let [outer, inner] = tags;
    Ok(Frame { tags: Tags { outer, inner }, direction: direction(kind), ..plain(payload) })
}

/// `PACKET_HOST`, `PACKET_BROADCAST`, `PACKET_MULTICAST`, `PACKET_OTHERHOST`, `PACKET_OUTGOING`. What was
/// for another host may be on its way to or from it.
const fn direction(kind: u8) -> Option<Direction> {
    match kind {
        0..=2 => Some(Direction::Received),
        4 => Some(Direction::Sent),
        _ => None,
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            9 => "PPP",
            105 => "IEEE802_11",
            127 => "IEEE802_11_RADIOTAP",
            189 => "USB_LINUX",
            192 => "PPI",
            220 => "USB_LINUX_MMAPPED",
            239 => "NFLOG",
            253 => "NETLINK",
            _ => return write!(formatter, "{}", self.0),
        };
        write!(formatter, "{} ({name})", self.0)
    }
}
