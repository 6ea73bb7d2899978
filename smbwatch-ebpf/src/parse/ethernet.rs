//! Ethernet II (IEEE 802.3) with up to two inline VLAN tags (IEEE 802.1Q, 802.1ad).

use crate::packet::PacketBytes;
use crate::parse::Link;
use crate::skip::Skip;

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;
/// Inline tags that are read; a tag that the hardware will insert is not among them.
pub const MAX_TAGS: usize = 2;

const HEADER: usize = 14;
/// Offset of the EtherType of an untagged frame.
pub const ETHERTYPE: usize = 12;
const TAG: usize = 4;
const VLAN: u16 = 0x8100;
const QINQ: u16 = 0x88a8;
const QINQ_BEFORE_802_1AD: u16 = 0x9100;

/// Inline VLAN identifiers, outer first; 0 where there is no tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// The outer tag's VLAN identifier.
    pub outer: u16,
    /// The inner tag's VLAN identifier.
    pub inner: u16,
}

/// A frame whose link header is behind it.
#[derive(Clone, Copy, Debug)]
pub struct Frame<P> {
    /// What `payload` is.
    pub ethertype: u16,
    /// The network header and all that follows.
    pub payload: P,
}

/// Passes an Ethernet header and its tags.
#[inline(always)]
pub fn parse<P: PacketBytes>(packet: P) -> Result<Frame<P>, Skip> {
    let mut ethertype = packet.u16(ETHERTYPE).ok_or(Skip::Truncated)?;
    let mut payload = packet.advance(HEADER);
    if is_tag(ethertype) {
        (ethertype, payload) = pass_tag(payload)?;
        if is_tag(ethertype) {
            (ethertype, payload) = pass_tag(payload)?;
            if is_tag(ethertype) {
                return Err(Skip::TooManyTags);
            }
        }
        payload = payload.settle();
    }
    Ok(Frame { ethertype, payload })
}

/// Reads the inline tags of a packet that passed the parser.
#[inline(always)]
pub fn tags<P: PacketBytes>(link: Link, packet: P) -> Tags {
    let mut tags = Tags::default();
    if link == Link::Ethernet && packet.u16(ETHERTYPE).is_some_and(is_tag) {
        tags.outer = identifier(packet, HEADER);
        if packet.u16(HEADER + 2).is_some_and(is_tag) {
            tags.inner = identifier(packet, HEADER + TAG);
        }
    }
    tags
}

/// Reads a packet that begins with its IP header, whose version says which.
#[inline(always)]
pub fn none<P: PacketBytes>(packet: P) -> Result<Frame<P>, Skip> {
    let ethertype = match packet.u8(0).ok_or(Skip::Truncated)? >> 4 {
        4 => IPV4,
        6 => IPV6,
        _ => return Err(Skip::NotIp),
    };
    Ok(Frame { ethertype, payload: packet })
}

#[inline(always)]
fn is_tag(ethertype: u16) -> bool {
    matches!(ethertype, VLAN | QINQ | QINQ_BEFORE_802_1AD)
}

#[inline(always)]
fn pass_tag<P: PacketBytes>(packet: P) -> Result<(u16, P), Skip> {
    let ethertype = packet.u16(2).ok_or(Skip::Truncated)?;
    Ok((ethertype, packet.advance(TAG)))
}

#[inline(always)]
fn identifier<P: PacketBytes>(packet: P, offset: usize) -> u16 {
    packet.u16(offset).unwrap_or(0) & 0x0fff
}
