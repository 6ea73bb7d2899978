//! From the first byte of a packet to a TCP segment whose port or payload is SMB's.

pub mod ethernet;
pub mod ipv4;
pub mod ipv6;
pub mod quick;
pub mod smb;
pub mod tcp;

use crate::packet::PacketBytes;
use crate::rule::Rule;
use crate::skip::Skip;
use ethernet::Frame;
use tcp::Segment;

/// Where the first byte of a packet belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// To an Ethernet header.
    Ethernet,
    /// To an IP header: the interface has no link header (tun, WireGuard, PPP).
    None,
}

/// Which way the packet travels, seen from the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Toward the peer: the destination port is SMB's.
    Out,
    /// Back from the peer: the source port is SMB's.
    Back,
}

impl Way {
    /// Which of a packet's addresses is the peer's.
    #[inline(always)]
    const fn peer<A: Copy>(self, source: A, destination: A) -> A {
        match self {
            Self::Out => destination,
            Self::Back => source,
        }
    }
}

/// A segment that passed the port clause, and the addresses it travels between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// Carried by IPv4.
    V4 {
        /// Source address.
        source: u32,
        /// Destination address.
        destination: u32,
        /// The segment.
        segment: Segment,
    },
    /// Carried by IPv6; addresses are four words, first word first.
    V6 {
        /// Source address.
        source: [u32; 4],
        /// Destination address.
        destination: [u32; 4],
        /// The segment.
        segment: Segment,
    },
}

/// Parses `packet` as far as the clauses of `rule` that need no look-up, cheapest rejection first.
#[inline(always)]
pub fn parse<P: PacketBytes, R: Rule>(link: Link, way: Way, packet: P, rule: &R) -> Result<Candidate, Skip> {
    let Frame { ethertype, payload } = match link {
        Link::Ethernet => ethernet::parse(packet)?,
        Link::None => ethernet::none(packet)?,
    };
    match ethertype {
        ethernet::IPV4 => {
            let ip = ipv4::parse(payload)?;
            let clause = tcp::port_clause(ip.payload, way, rule)?;
            let (source, destination) = (ip.source()?, ip.destination()?);
            if rule.lan4(way.peer(source, destination)) {
                return Err(Skip::Lan);
            }
            let segment = tcp::parse(ip.payload, ip.payload_length(), clause)?;
            Ok(Candidate::V4 { source, destination, segment })
        }
        ethernet::IPV6 if rule.any_source6() => {
            let ip = ipv6::parse(payload)?;
            let clause = tcp::port_clause(ip.payload, way, rule)?;
            let (source, destination) = (ip.source()?, ip.destination()?);
            if rule.lan6(way.peer(source, destination)) {
                return Err(Skip::Lan);
            }
            let segment = tcp::parse(ip.payload, ip.payload_length(), clause)?;
            Ok(Candidate::V6 { source, destination, segment })
        }
        _ => Err(Skip::NotIp),
    }
}
