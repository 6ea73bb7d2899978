//! The rule once more, slow and obvious, and written without a look at the parser.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::lists::Lists;
use crate::decide::Opening;
use crate::parse::tcp::Clause;
use crate::parse::{Candidate, Link};
use crate::rule::Destination;
use crate::skip::Skip;

/// What a record of a packet that opens a flow has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number, 0 where it is cut off.
    pub sequence: u32,
    /// Acknowledgement number, 0 where the header is cut short.
    pub acknowledgement: u32,
    /// Flags, 0 where the header is cut short.
    pub flags: u8,
    /// Bytes of payload.
    pub payload_length: usize,
    /// The payload begins an SMB message.
    pub smb: bool,
    /// The port alone would not have matched.
    pub by_content: bool,
    /// The TCP header is cut short.
    pub partial: bool,
    /// VLAN identifiers, outer first, 0 where there is none.
    pub vlans: [u16; 2],
}

/// Between whom a segment travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
}

/// An IP packet whose payload is the beginning of a TCP segment.
struct Ip {
    source: IpAddr,
    destination: IpAddr,
    /// All bytes behind the IP headers, padding included.
    tcp: Vec<u8>,
    /// How many of them the IP header says are TCP's; none where it says nothing.
    announced: Option<usize>,
}

/// What the rule says of `packet`, if nothing is known of its flow.
pub fn judge(link: Link, packet: &[u8], rule: &Lists) -> Result<Match, Skip> {
    let (vlans, ip) = ip(link, packet, rule)?;
    let matched = segment(&ip, vlans)?;
    let watched = rule.ports.contains(&matched.destination_port);
    // Padding passes for payload until the LAN has been told apart. Neither is ours.
    let seems_smb = rule.any_port && begins_smb(payload(&ip.tcp, None));
    if !watched && !seems_smb {
        return Err(Skip::OtherPort);
    }
    if rule.is_lan(ip.destination) {
        return Err(Skip::Lan);
    }
    if !watched && !matched.smb {
        return Err(Skip::OtherPort);
    }
    if !rule.source(ip.source) {
        return Err(Skip::Source);
    }
    let judged = match (ip.destination, inside(ip.destination)) {
        (IpAddr::V6(_), Some(inside)) if rule.embedded_ipv4 => rule.destination(inside),
        (destination, _) => rule.destination(destination),
    };
    match judged {
        Some(Destination::Reserved) => Err(Skip::Reserved),
        Some(Destination::Exception) => Err(Skip::Exception),
        None => Ok(Match { by_content: !watched, ..matched }),
    }
}

/// The flow that `packet` belongs to, if it has ports at all.
pub fn tuple(link: Link, packet: &[u8], rule: &Lists) -> Option<Tuple> {
    let (_, ip) = ip(link, packet, rule).ok()?;
    let Match { source, destination, source_port, destination_port, .. } = segment(&ip, [0; 2]).ok()?;
    Some(Tuple { source, destination, source_port, destination_port })
}

/// The payload of `packet`, if it has ports at all.
pub fn said(link: Link, packet: &[u8], rule: &Lists) -> Option<Vec<u8>> {
    let (_, ip) = ip(link, packet, rule).ok()?;
    Some(payload(&ip.tcp, ip.announced).to_vec())
}

impl Match {
    /// What the parser found, for comparison.
    pub fn of(opening: &Opening) -> Self {
        let (source, destination, segment) = match opening.candidate {
            Candidate::V4 { source, destination, segment } => {
                (Ipv4Addr::from(source).into(), Ipv4Addr::from(destination).into(), segment)
            }
            Candidate::V6 { source, destination, segment } => (words(source), words(destination), segment),
        };
        Self {
            source,
            destination,
            source_port: segment.source_port,
            destination_port: segment.destination_port,
            sequence: segment.sequence,
            acknowledgement: segment.acknowledgement,
            flags: segment.flags,
            payload_length: usize::try_from(segment.payload_length).unwrap_or(usize::MAX),
            smb: opening.smb,
            by_content: segment.clause == Clause::Content,
            partial: segment.partial,
            vlans: [opening.tags.outer, opening.tags.inner],
        }
    }
}

fn ip(link: Link, packet: &[u8], rule: &Lists) -> Result<([u16; 2], Ip), Skip> {
    let (vlans, ethertype, rest) = match link {
        Link::Ethernet => ethernet(packet)?,
        Link::None => ([0; 2], if number(packet, 0, 1)? >> 4 == 6 { 0x86dd } else { 0x0800 }, packet),
    };
    if link == Link::None && !matches!(number(packet, 0, 1)? >> 4, 4 | 6) {
        return Err(Skip::NotIp);
    }
    match ethertype {
        0x0800 => Ok((vlans, ipv4(rest)?)),
        0x86dd if rule.sources.iter().any(|source| source.address.is_ipv6()) => Ok((vlans, ipv6(rest)?)),
        _ => Err(Skip::NotIp),
    }
}

fn ethernet(packet: &[u8]) -> Result<([u16; 2], u64, &[u8]), Skip> {
    let mut vlans = Vec::new();
    let mut at = 12;
    loop {
        let ethertype = number(packet, at, 2)?;
        at += 2;
        if !matches!(ethertype, 0x8100 | 0x88a8 | 0x9100) {
            let vlan = |index: usize| vlans.get(index).copied().unwrap_or(0);
            return Ok(([vlan(0), vlan(1)], ethertype, &packet[at..]));
        }
        if vlans.len() == 2 {
            return Err(Skip::TooManyTags);
        }
        vlans.push(short(packet, at)? & 0x0fff);
        at += 2;
    }
}

fn ipv4(packet: &[u8]) -> Result<Ip, Skip> {
    if number(packet, 9, 1)? != 6 {
        return Err(Skip::NotTcp);
    }
    let (version, words) = (packet[0] >> 4, usize::from(packet[0] & 15));
    if version != 4 || words < 5 {
        return Err(Skip::BadHeader);
    }
    if packet[6] & 0x1f != 0 || packet[7] != 0 {
        return Err(Skip::LaterFragment);
    }
    if packet.len() < words * 4 {
        return Err(Skip::Truncated);
    }
    let total = usize::from(short(packet, 2)?);
    let address =
        |at: usize| IpAddr::from(Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3]));
    Ok(Ip {
        source: address(12),
        destination: address(16),
        tcp: packet[words * 4..].to_vec(),
        announced: (total != 0).then(|| total.saturating_sub(words * 4)),
    })
}

fn ipv6(packet: &[u8]) -> Result<Ip, Skip> {
    let mut kind = number(packet, 6, 1)?;
    let mut at = 40;
    let mut headers = 0;
    while kind != 6 {
        let known = |kind: u64| matches!(kind, 0 | 43 | 44 | 51 | 60 | 135 | 139 | 140);
        if !known(kind) {
            return Err(Skip::NotTcp);
        }
        if headers == 8 {
            return Err(Skip::TooManyExtensions);
        }
        headers += 1;
        let length = number(packet, at + 1, 1)?;
        let after = number(packet, at, 1)?;
        if kind == 44 && number(packet, at + 2, 2)? >> 3 != 0 {
            return Err(if after == 6 || known(after) { Skip::LaterFragment } else { Skip::NotTcp });
        }
        at += match kind {
            44 => 8,
            51 => 4 * (usize::try_from(length).expect("a byte") + 2),
            _ => 8 * (usize::try_from(length).expect("a byte") + 1),
        };
        kind = after;
    }
    if packet[0] >> 4 != 6 {
        return Err(Skip::BadHeader);
    }
    let payload = usize::from(short(packet, 4)?);
    let address = |at: usize| -> Result<IpAddr, Skip> {
        let octets: [u8; 16] =
            packet.get(at..at + 16).ok_or(Skip::Truncated)?.try_into().expect("sixteen bytes");
        Ok(Ipv6Addr::from(octets).into())
    };
    Ok(Ip {
        source: address(8)?,
        destination: address(24)?,
        tcp: packet.get(at..).ok_or(Skip::Truncated)?.to_vec(),
        announced: (payload != 0).then(|| payload.saturating_sub(at - 40)),
    })
}

fn segment(ip: &Ip, vlans: [u16; 2]) -> Result<Match, Skip> {
    let tcp = &ip.tcp;
    if tcp.len() < 4 {
        return Err(Skip::Truncated);
    }
    let partial = tcp.len() < 20;
    let payload = payload(tcp, ip.announced);
    let word = |at: usize| number(tcp, at, 4).map_or(0, |word| u32::try_from(word).expect("four bytes"));
    Ok(Match {
        source: ip.source,
        destination: ip.destination,
        source_port: short(tcp, 0)?,
        destination_port: short(tcp, 2)?,
        sequence: word(4),
        acknowledgement: if partial { 0 } else { word(8) },
        flags: if partial { 0 } else { tcp[13] },
        payload_length: payload.len(),
        smb: begins_smb(payload),
        by_content: false,
        partial,
        vlans,
    })
}

fn words([a, b, c, d]: [u32; 4]) -> IpAddr {
    let half = |high: u32, low: u32| u128::from(high) << 32 | u128::from(low);
    Ipv6Addr::from(half(a, b) << 64 | half(c, d)).into()
}

/// What lies between the end of a TCP header and the end of its segment.
fn payload(tcp: &[u8], announced: Option<usize>) -> &[u8] {
    if tcp.len() < 20 {
        return &[];
    }
    let header = (usize::from(tcp[12] >> 4) * 4).max(20);
    let end = announced.unwrap_or(tcp.len()).min(tcp.len());
    tcp.get(header..end).unwrap_or(&[])
}

fn begins_smb(payload: &[u8]) -> bool {
    matches!(payload, [0, _, _, _, 0xfc..=0xff, b'S', b'M', b'B', ..])
}

fn inside(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(address) = address else { return None };
    let [before @ .., a, b, c, d] = address.octets();
    let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
    let nat64 = [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0];
    (before == mapped || before == nat64).then(|| Ipv4Addr::new(a, b, c, d).into())
}

fn short(bytes: &[u8], at: usize) -> Result<u16, Skip> {
    number(bytes, at, 2).map(|number| u16::try_from(number).expect("two bytes"))
}

fn number(bytes: &[u8], at: usize, count: usize) -> Result<u64, Skip> {
    let bytes = bytes.get(at..at + count).ok_or(Skip::Truncated)?;
    Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}
