//! What a configuration says of addresses.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use smbwatch_ebpf::rule::embedded_ipv4;

use super::Config;
use crate::ranges::{Range, is_public, longest};

impl Config {
    /// The longest of `sources` that contains `source`.
    pub fn source_prefix(&self, source: IpAddr) -> Option<&IpNet> {
        self.sources.iter().filter(|prefix| prefix.contains(&source)).max_by_key(|prefix| prefix.prefix_len())
    }

    /// The range that decides about `destination`; none is the Internet.
    pub fn destination_range(&self, destination: IpAddr) -> Option<&Range> {
        longest(&self.destinations, self.judged(destination))
    }

    /// The address that `destination` is judged by.
    pub fn judged(&self, destination: IpAddr) -> IpAddr {
        self.embedded(destination).unwrap_or(destination)
    }

    /// Whether `source` and `destination` match.
    pub fn matches(&self, source: IpAddr, destination: IpAddr) -> bool {
        self.source_prefix(source).is_some() && self.is_internet(destination)
    }

    /// Whether a flow is watched by its ends, exceptions that the agent decides apart.
    pub fn watches(&self, source: IpAddr, destination: SocketAddr) -> bool {
        let is_source = self.nat_addresses.contains(&source) || self.source_prefix(source).is_some();
        is_source
            && self.is_internet(destination.ip())
            && (self.any_port || self.ports.contains(&destination.port()))
    }

    fn is_internet(&self, destination: IpAddr) -> bool {
        is_public(&self.destinations, self.judged(destination))
    }

    fn embedded(&self, destination: IpAddr) -> Option<IpAddr> {
        let IpAddr::V6(address) = destination else { return None };
        let [a, b, c, d, e, f, g, h] = address.segments();
        let word = |high: u16, low: u16| u32::from(high) << 16 | u32::from(low);
        let inside = embedded_ipv4([word(a, b), word(c, d), word(e, f), word(g, h)])?;
        self.embedded_ipv4.then(|| IpAddr::V4(inside.into()))
    }
}
