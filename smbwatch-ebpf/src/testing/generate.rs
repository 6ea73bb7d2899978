//! Random packets in which every header, every limit and every malformation is frequent.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fastrand::Rng;

use super::build::{Extension, IPV4, IPV6, Ipv4, Ipv6, TCP, Tcp, UDP, ethernet, smb};
use super::lists::{Lists, Prefix};
use crate::parse::Link;

/// Longest frame that is made.
pub const LONGEST: usize = 1024;

/// A source of packets; the same seed gives the same packets.
#[derive(Clone, Debug)]
pub struct Generator {
    random: Rng,
    prefixes: Vec<Prefix>,
    sources: Vec<Prefix>,
}

impl Generator {
    /// Packets whose addresses lie around the ranges of `rule`.
    pub fn new(seed: u64, rule: &Lists) -> Self {
        let prefixes = rule.destinations.iter().map(|(prefix, _)| *prefix).collect();
        Self { random: Rng::with_seed(seed), prefixes, sources: rule.sources.clone() }
    }

    /// The next packet, and what its first byte belongs to.
    pub fn packet(&mut self) -> (Link, Vec<u8>) {
        let rarity = if self.sources.iter().any(|source| source.address.is_ipv6()) { 2 } else { 10 };
        let (ethertype, mut packet) = if self.one_in(rarity) { self.ipv6() } else { self.ipv4() };
        let link = if self.one_in(4) { Link::None } else { Link::Ethernet };
        if link == Link::Ethernet {
            let tags = self.tags();
            let ethertype =
                if self.one_in(30) { self.pick(&[IPV4, IPV6, 0x0806, 0x8864]) } else { ethertype };
            packet = ethernet(&tags, ethertype, &packet);
        }
        if self.one_in(8) {
            packet.truncate(self.random.usize(..packet.len()));
        }
        packet.truncate(LONGEST);
        (link, packet)
    }

    fn tags(&mut self) -> Vec<(u16, u16)> {
        let count = self.pick(&[0, 0, 0, 0, 0, 1, 1, 2, 3, 4]);
        (0..count).map(|_| (self.pick(&[0x8100, 0x8100, 0x88a8, 0x9100]), self.random.u16(..))).collect()
    }

    fn ipv4(&mut self) -> (u16, Vec<u8>) {
        let (source, destination) = loop {
            if let (IpAddr::V4(source), IpAddr::V4(destination)) = (self.source(), self.destination()) {
                break (source, destination);
            }
        };
        let mut header = Ipv4::new(source, destination);
        if self.one_in(5) {
            header.options = vec![1; 4 * self.random.usize(..=10)];
        }
        header.protocol = self.protocol();
        header.fragment = match self.random.u8(..20) {
            0 => self.random.u16(..),
            1 => 1 << self.random.u8(..13),
            2 | 3 => 0x2000,
            _ => self.pick(&[0, 0x4000]),
        };
        if self.one_in(40) {
            header.version = self.random.u8(..16);
        }
        if self.one_in(30) {
            header.words = Some(self.random.u8(..16));
        }
        let payload = self.segment();
        let right = 20 + header.options.len() + payload.len();
        header.total_length = self.length(right);
        (IPV4, self.padded(header.wrap(&payload)))
    }

    fn ipv6(&mut self) -> (u16, Vec<u8>) {
        let (source, destination) = loop {
            if let (IpAddr::V6(source), IpAddr::V6(destination)) = (self.source(), self.destination()) {
                break (source, destination);
            }
        };
        let mut header = Ipv6::new(source, destination);
        let count = self.pick(&[0, 0, 0, 0, 1, 1, 2, 3, 7, 8, 9]);
        header.extensions = (0..count).map(|_| self.extension()).collect();
        header.protocol = self.protocol();
        if self.one_in(40) {
            header.version = self.random.u8(..16);
        }
        let payload = self.segment();
        let right =
            header.extensions.iter().map(|extension| 1 + extension.body.len()).sum::<usize>() + payload.len();
        header.payload_length = self.length(right);
        (IPV6, self.padded(header.wrap(&payload)))
    }

    fn extension(&mut self) -> Extension {
        match self.random.u8(..12) {
            0 => {
                let offset = if self.one_in(4) { 1 << self.random.u8(..13) } else { 0 };
                Extension::fragment(offset, self.random.bool())
            }
            1 => Extension::authentication(self.random.u8(..8)),
            _ => {
                let eights = if self.one_in(10) { self.random.u8(..20) } else { self.random.u8(..3) };
                let mut made = Extension::eights(self.pick(&Extension::IN_EIGHTS), eights);
                if self.one_in(50) {
                    made.body[0] = self.random.u8(..);
                }
                made
            }
        }
    }

    fn protocol(&mut self) -> u8 {
        if self.one_in(12) { self.pick(&[UDP, 1, 58, 50, 59, 47, 44, 60]) } else { TCP }
    }

    /// A length field: mostly right, at times absent or a lie.
    fn length(&mut self, right: usize) -> Option<u16> {
        match self.random.u8(..20) {
            0 => Some(0),
            1 => Some(self.random.u16(..)),
            2 => u16::try_from(right.saturating_sub(self.random.usize(..24))).ok(),
            _ => None,
        }
    }

    fn padded(&mut self, mut packet: Vec<u8>) -> Vec<u8> {
        if self.one_in(8) {
            let padding = if self.one_in(4) { smb(0xfe, 4) } else { vec![0; self.random.usize(..12)] };
            packet.extend(padding);
        }
        packet
    }

    fn segment(&mut self) -> Vec<u8> {
        let mut tcp = Tcp::syn(self.random.u16(..), self.port());
        tcp.sequence = self.random.u32(..);
        tcp.acknowledgement = self.random.u32(..);
        tcp.flags = self.pick(&[0x02, 0x02, 0x10, 0x18, 0x18, 0x11, 0x14, 0x04, 0xc2, 0x12, 0x00, 0xff]);
        if self.one_in(3) {
            tcp.options = vec![1; 4 * self.random.usize(..=10)];
        }
        if self.one_in(20) {
            tcp.words = Some(self.random.u8(..16));
        }
        tcp.payload = self.payload();
        let mut segment = tcp.bytes();
        if self.one_in(10) {
            segment.truncate(self.pick(&[0, 1, 3, 4, 7, 8, 8, 8, 11, 12, 13, 14, 16, 19, 20]));
        }
        segment
    }

    fn port(&mut self) -> u16 {
        match self.random.u8(..10) {
            0..4 => 445,
            4 => 139,
            5 => self.pick(&[138, 140, 444, 446, 0xbd01, 0x8b00, 0, 443]),
            _ => self.random.u16(..),
        }
    }

    fn payload(&mut self) -> Vec<u8> {
        let mut payload = smb(self.random.u8(0xfc..=0xff), self.random.u8(..40));
        match self.random.u8(..10) {
            0..3 => payload.clear(),
            3..7 => payload[1..4].fill(self.random.u8(..)),
            7 => payload[self.pick(&[0, 4, 5, 6, 7])] = self.random.u8(..),
            8 => payload.truncate(self.random.usize(..9)),
            _ => payload.insert(0, 0),
        }
        payload
    }

    fn source(&mut self) -> IpAddr {
        if self.one_in(6) {
            return self.destination();
        }
        let prefix = self.pick(&self.sources.clone());
        if prefix.address.is_ipv4() && self.one_in(5) { self.anywhere6() } else { self.near(prefix) }
    }

    fn destination(&mut self) -> IpAddr {
        match self.random.u8(..10) {
            0..3 => Ipv4Addr::from_bits(self.random.u32(..)).into(),
            3..6 => self.anywhere6(),
            6 => {
                let v4 = loop {
                    match self.destination() {
                        IpAddr::V4(address) => break address.to_bits(),
                        IpAddr::V6(_) => {}
                    }
                };
                let before = self.pick(&[0xffff_u128 << 32, 0x0064_ff9b << 96, 0x0064_ff9b_0001 << 80, 0]);
                Ipv6Addr::from_bits(before | u128::from(v4)).into()
            }
            _ => {
                let prefix = self.pick(&self.prefixes.clone());
                self.near(prefix)
            }
        }
    }

    fn anywhere6(&mut self) -> IpAddr {
        Ipv6Addr::from_bits(0x2001 << 112 | self.random.u128(..) >> 4).into()
    }

    /// An address in a range, at its edges, or just outside.
    fn near(&mut self, prefix: Prefix) -> IpAddr {
        let case = self.random.u8(..10);
        match prefix.address {
            IpAddr::V4(address) => {
                let first = address.to_bits();
                let size = u32::MAX.checked_shr(prefix.length.into()).unwrap_or(0);
                Ipv4Addr::from_bits(match case {
                    0 => first,
                    1 => first | size,
                    2 => first.wrapping_sub(1),
                    3 => (first | size).wrapping_add(1),
                    _ => first | self.random.u32(..=size),
                })
                .into()
            }
            IpAddr::V6(address) => {
                let first = address.to_bits();
                let size = u128::MAX.checked_shr(prefix.length.into()).unwrap_or(0);
                Ipv6Addr::from_bits(match case {
                    0 => first,
                    1 => first | size,
                    2 => first.wrapping_sub(1),
                    3 => (first | size).wrapping_add(1),
                    _ => first | self.random.u128(..=size),
                })
                .into()
            }
        }
    }

    fn one_in(&mut self, count: u32) -> bool {
        self.random.u32(..count) == 0
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.random.usize(..choices.len())]
    }
}
