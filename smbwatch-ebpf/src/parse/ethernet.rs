//! Ethernet II (IEEE 802.3) with up to two inline VLAN tags (IEEE 802.1Q, 802.1ad).

use crate::packet::PacketBytes;
use crate::skip::Skip;

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;
/// Inline tags that are read; a tag that the hardware will insert is not among them.
pub const MAX_TAGS: usize = 2;

const HEADER: usize = 14;
const ETHERTYPE: usize = 12;
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
    /// The inline tags that were passed.
    pub tags: Tags,
    /// The network header and all that follows.
    pub payload: P,
}

/// Reads an Ethernet header and its tags.
#[inline(always)]
pub fn parse<P: PacketBytes>(packet: P) -> Result<Frame<P>, Skip> {
    let mut ethertype = packet.u16(ETHERTYPE).ok_or(Skip::Truncated)?;
    let mut payload = packet.advance(HEADER);
    let mut tags = Tags::default();
    if is_tag(ethertype) {
        (tags.outer, ethertype, payload) = tag(payload)?;
        if is_tag(ethertype) {
            (tags.inner, ethertype, payload) = tag(payload)?;
            if is_tag(ethertype) {
                return Err(Skip::TooManyTags);
            }
        }
    }
    Ok(Frame { ethertype, tags, payload })
}

/// Reads a packet that begins with its IP header, whose version says which.
#[inline(always)]
pub fn none<P: PacketBytes>(packet: P) -> Result<Frame<P>, Skip> {
    let ethertype = match packet.u8(0).ok_or(Skip::Truncated)? >> 4 {
        4 => IPV4,
        6 => IPV6,
        _ => return Err(Skip::NotIp),
    };
    Ok(Frame { ethertype, tags: Tags::default(), payload: packet })
}

#[inline(always)]
fn is_tag(ethertype: u16) -> bool {
    matches!(ethertype, VLAN | QINQ | QINQ_BEFORE_802_1AD)
}

#[inline(always)]
fn tag<P: PacketBytes>(packet: P) -> Result<(u16, u16, P), Skip> {
    let control = packet.u16(0).ok_or(Skip::Truncated)?;
    let ethertype = packet.u16(2).ok_or(Skip::Truncated)?;
    Ok((control & 0x0fff, ethertype, packet.advance(TAG)))
}
