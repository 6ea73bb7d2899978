//! The rule as plain lists, which are searched from end to end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::rule::{Destination, Rule};
use crate::settings::MAX_LAN;

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    /// The first address.
    pub address: IpAddr,
    /// How many leading bits count.
    pub length: u8,
}

impl Prefix {
    /// Reads `10.0.0.0/8`; none where it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        Some(Self { address: address.parse().ok()?, length: length.parse().ok()? })
    }

    /// Whether `address` is of the same family and lies inside.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (ours, theirs) = (octets(self.address), octets(address));
        ours.len() == theirs.len()
            && (0..usize::from(self.length)).all(|bit| is_set(&ours, bit) == is_set(&theirs, bit))
    }

    fn holds(&self, other: &Self) -> bool {
        self.length <= other.length && self.contains(other.address)
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn is_set(octets: &[u8], bit: usize) -> bool {
    octets.get(bit / 8).is_some_and(|octet| octet & (0x80 >> (bit % 8)) != 0)
}

/// A whole rule.
#[derive(Clone, Debug)]
pub struct Lists {
    /// Watched ports.
    pub ports: Vec<u16>,
    /// SMB is recognised by its payload on other ports.
    pub any_port: bool,
    /// A flow has been recognised so.
    pub content_flows: bool,
    /// Sources that match.
    pub sources: Vec<Prefix>,
    /// What ranges of destinations are; the longest decides, and what is in none is the Internet.
    pub destinations: Vec<(Prefix, Option<Destination>)>,
    /// What servers send is of interest.
    pub takes_payload: bool,
    /// IPv4-mapped and NAT64 destinations are judged by the IPv4 address inside.
    pub embedded_ipv4: bool,
    /// The sources that are told apart as destinations without a look-up.
    pub lan: Vec<Prefix>,
}

impl Lists {
    /// The default ports, and these ranges.
    pub fn new(
        sources: Vec<Prefix>,
        destinations: Vec<(Prefix, Option<Destination>)>,
        embedded_ipv4: bool,
    ) -> Self {
        let lan = lan(&sources, &destinations);
        Self {
            ports: vec![139, 445],
            any_port: true,
            content_flows: false,
            takes_payload: false,
            sources,
            destinations,
            embedded_ipv4,
            lan,
        }
    }

    /// Whether a destination is told to be private without a look-up.
    pub fn is_lan(&self, address: IpAddr) -> bool {
        self.lan.iter().any(|prefix| prefix.contains(address))
    }

    /// Whether a source matches.
    pub fn source(&self, address: IpAddr) -> bool {
        self.sources.iter().any(|prefix| prefix.contains(address))
    }

    /// What a destination is, by the longest range around it.
    pub fn destination(&self, address: IpAddr) -> Option<Destination> {
        let around = self.destinations.iter().filter(|(prefix, _)| prefix.contains(address));
        around.max_by_key(|(prefix, _)| prefix.length).and_then(|(_, kind)| *kind)
    }
}

/// The first sources of each family whose every address is a reserved destination.
fn lan(sources: &[Prefix], destinations: &[(Prefix, Option<Destination>)]) -> Vec<Prefix> {
    let reserved = |source: &&Prefix| {
        let reserved =
            |(prefix, kind): &(Prefix, _)| *kind == Some(Destination::Reserved) && prefix.holds(source);
        let hole = |(prefix, kind): &(Prefix, Option<Destination>)| kind.is_none() && source.holds(prefix);
        destinations.iter().any(reserved) && !destinations.iter().any(hole)
    };
    let (v4, v6): (Vec<_>, Vec<_>) =
        sources.iter().filter(reserved).copied().partition(|source| source.address.is_ipv4());
    let v6 = v6.into_iter().filter(|source| source.length <= 32);
    v4.into_iter().take(MAX_LAN).chain(v6.take(MAX_LAN)).collect()
}

fn v6([a, b, c, d]: [u32; 4]) -> IpAddr {
    let bits = u128::from(a) << 96 | u128::from(b) << 64 | u128::from(c) << 32 | u128::from(d);
    Ipv6Addr::from_bits(bits).into()
}

fn v4(address: u32) -> IpAddr {
    Ipv4Addr::from_bits(address).into()
}

impl Rule for Lists {
    fn watches(&self, port: u16) -> bool {
        self.ports.contains(&port)
    }

    fn any_port(&self) -> bool {
        self.any_port
    }

    fn content_flows(&self) -> bool {
        self.any_port && self.content_flows
    }

    fn takes_payload(&self) -> bool {
        self.takes_payload
    }

    fn lan4(&self, address: u32) -> bool {
        self.is_lan(v4(address))
    }

    fn lan6(&self, address: [u32; 4]) -> bool {
        self.is_lan(v6(address))
    }

    fn any_source6(&self) -> bool {
        self.sources.iter().any(|source| source.address.is_ipv6())
    }

    fn source4(&self, address: u32) -> bool {
        self.source(v4(address))
    }

    fn source6(&self, address: [u32; 4]) -> bool {
        self.source(v6(address))
    }

    fn destination4(&self, address: u32) -> Option<Destination> {
        self.destination(v4(address))
    }

    fn destination6(&self, address: [u32; 4]) -> Option<Destination> {
        self.destination(v6(address))
    }

    fn embedded_ipv4(&self) -> bool {
        self.embedded_ipv4
    }
}
