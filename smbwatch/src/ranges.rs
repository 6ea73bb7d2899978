//! The address ranges of the two profiles: the rule's own list, and the IANA special-purpose registries.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;

/// <https://www.iana.org/assignments/iana-ipv4-special-registry>
const IANA_IPV4: &str = include_str!("../data/iana-ipv4-special-registry-1.csv");
/// <https://www.iana.org/assignments/iana-ipv6-special-registry>
const IANA_IPV6: &str = include_str!("../data/iana-ipv6-special-registry-1.csv");

/// Sources of `rule-105`: RFC 1918.
const PRIVATE: [&str; 3] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];

/// Sources that `strict` adds: RFC 6598 and RFC 4193.
const PRIVATE_STRICT: [&str; 2] = ["100.64.0.0/10", "fc00::/7"];

/// Reserved ranges of `rule-105`.
const RULE_105: [&str; 26] = [
    "10.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.0.0/29",
    "192.0.0.8/32",
    "192.0.0.9/32",
    "192.0.0.10/32",
    "192.0.0.170/32",
    "192.0.0.171/32",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.168.0.0/16",
    "192.88.99.0/24",
    "224.0.0.0/4",
    "100.64.0.0/10",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "::1/128",
    "fe80::/10",
    "ff00::/8",
];

/// What a range of destinations counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The Internet, although a wider range around it is reserved.
    Public,
    /// Not the Internet.
    Reserved,
    /// The Internet, but excepted by the configuration.
    Exception,
}

/// A range of destinations, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The addresses.
    pub prefix: IpNet,
    /// What they count as.
    pub kind: Kind,
    /// A name or a reason, for people.
    pub name: String,
}

/// One row of an IANA registry, as far as it is used.
#[derive(Deserialize)]
struct Row {
    #[serde(rename = "Address Block")]
    blocks: String,
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "Globally Reachable")]
    reachable: String,
}

/// The sources of `rule-105`.
pub fn private() -> Vec<IpNet> {
    PRIVATE.iter().filter_map(|text| text.parse().ok()).collect()
}

/// The sources of `strict`, before the host's own public addresses are added.
pub fn private_strict() -> Vec<IpNet> {
    PRIVATE.iter().chain(&PRIVATE_STRICT).filter_map(|text| text.parse().ok()).collect()
}

/// The destinations of `rule-105` that are not the Internet.
pub fn rule_105() -> Vec<Range> {
    let names = registry();
    RULE_105
        .iter()
        .filter_map(|text| text.parse().ok())
        .map(|prefix: IpNet| {
            let known = names.iter().find(|range| range.prefix == prefix);
            let name = known.map_or_else(|| "Multicast or unlisted".to_owned(), |range| range.name.clone());
            Range { prefix, kind: Kind::Reserved, name }
        })
        .collect()
}

/// The destinations of `strict`: what the IANA registries list is public where they call it globally
/// reachable, and else reserved. Multicast is in registries of its own.
pub fn strict() -> Vec<Range> {
    let multicast = ["224.0.0.0/4", "ff00::/8"].into_iter().filter_map(|text| text.parse().ok());
    let multicast =
        multicast.map(|prefix| Range { prefix, kind: Kind::Reserved, name: "Multicast".to_owned() });
    registry().into_iter().chain(multicast).collect()
}

/// Every block of both registries.
fn registry() -> Vec<Range> {
    [IANA_IPV4, IANA_IPV6].into_iter().flat_map(rows).collect()
}

fn rows(table: &str) -> Vec<Range> {
    let mut ranges = Vec::new();
    for row in csv::Reader::from_reader(table.as_bytes()).deserialize::<Row>().flatten() {
        let kind = if without_footnote(&row.reachable) == "True" { Kind::Public } else { Kind::Reserved };
        let blocks = row.blocks.split(',').filter_map(|block| without_footnote(block).parse().ok());
        let name = row.name.replace('"', "");
        ranges.extend(blocks.map(|prefix| Range { prefix, kind, name: name.clone() }));
    }
    ranges
}

/// A cell without the `[2]` that points to a footnote.
fn without_footnote(cell: &str) -> &str {
    cell.split('[').next().unwrap_or(cell).trim()
}

/// The longest of `ranges` that contains `address`.
pub fn longest(ranges: &[Range], address: IpAddr) -> Option<&Range> {
    ranges
        .iter()
        .filter(|range| range.prefix.contains(&address))
        .max_by_key(|range| range.prefix.prefix_len())
}

/// Whether an address is the Internet, as far as these ranges tell.
pub fn is_public(ranges: &[Range], address: IpAddr) -> bool {
    longest(ranges, address).is_none_or(|range| range.kind == Kind::Public)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_range_parses() {
        assert_eq!(private().len(), PRIVATE.len());
        assert_eq!(private_strict().len(), PRIVATE.len() + PRIVATE_STRICT.len());
        assert_eq!(rule_105().len(), RULE_105.len());
    }

    #[test]
    fn every_registry_row_is_read() {
        let rows = |table: &str| table.lines().skip(1).filter(|line| !line.is_empty()).count();
        // One row of the IPv4 registry holds two blocks.
        assert_eq!(registry().len(), rows(IANA_IPV4) + 1 + rows(IANA_IPV6));
    }

    #[test]
    fn strict_follows_the_longest_block() {
        let kind =
            |address: &str| longest(&strict(), address.parse().expect("an address")).map(|range| range.kind);
        assert_eq!(kind("8.8.8.8"), None);
        assert_eq!(kind("192.0.0.9"), Some(Kind::Public));
        assert_eq!(kind("192.0.0.8"), Some(Kind::Reserved));
        assert_eq!(kind("192.0.0.171"), Some(Kind::Reserved));
        assert_eq!(kind("64:ff9b::1"), Some(Kind::Public));
        assert_eq!(kind("64:ff9b:1::1"), Some(Kind::Reserved));
        assert_eq!(kind("2001::1"), Some(Kind::Reserved));
        assert_eq!(kind("2001:20::1"), Some(Kind::Public));
        assert_eq!(kind("2606:2800:220:1::1"), None);
        assert_eq!(kind("fd00::1"), Some(Kind::Reserved));
        assert_eq!(kind("ff02::1"), Some(Kind::Reserved));
    }
}
