//! The lists of both profiles, written out by hand: a second opinion on what the agent derives.

use super::lists::{Lists, Prefix};
use crate::rule::Destination;

const PRIVATE: &str = "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16";
const PRIVATE_STRICT: &str = "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 fc00::/7";

const RULE_105: &str = "10.0.0.0/8 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.0.0/29 \
    192.0.0.8/32 192.0.0.9/32 192.0.0.10/32 192.0.0.170/32 192.0.0.171/32 192.0.2.0/24 192.31.196.0/24 \
    192.52.193.0/24 192.168.0.0/16 192.88.99.0/24 224.0.0.0/4 100.64.0.0/10 192.175.48.0/24 198.18.0.0/15 \
    198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 ::1/128 fe80::/10 ff00::/8";

/// The registries as of 2025-05, what is not globally reachable; and multicast.
const STRICT_RESERVED: &str = "0.0.0.0/8 0.0.0.0/32 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 \
    172.16.0.0/12 192.0.0.0/24 192.0.0.0/29 192.0.0.8/32 192.0.0.170/32 192.0.0.171/32 192.0.2.0/24 \
    192.88.99.0/24 192.88.99.2/32 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 \
    255.255.255.255/32 224.0.0.0/4 ::1/128 ::/128 ::ffff:0:0/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 \
    2001::/23 2001::/32 2001:2::/48 2001:10::/28 2001:db8::/32 2002::/16 3fff::/20 5f00::/16 fc00::/7 \
    fe80::/10 ff00::/8";

/// The same, what is globally reachable.
const STRICT_PUBLIC: &str = "192.0.0.9/32 192.0.0.10/32 192.31.196.0/24 192.52.193.0/24 192.175.48.0/24 \
    64:ff9b::/96 2001:1::1/128 2001:1::2/128 2001:1::3/128 2001:3::/32 2001:4:112::/48 2001:20::/28 \
    2001:30::/28 2620:4f:8000::/48";

/// The profile `rule-105`.
pub fn rule_105() -> Lists {
    Lists::new(prefixes(PRIVATE), all(RULE_105, Some(Destination::Reserved)), false)
}

/// The profile `strict`, without the host's own public addresses.
pub fn strict() -> Lists {
    let mut destinations = all(STRICT_RESERVED, Some(Destination::Reserved));
    destinations.extend(all(STRICT_PUBLIC, None));
    Lists::new(prefixes(PRIVATE_STRICT), destinations, true)
}

/// `rule`, with exceptions inside the Internet, inside a reserved range, and around one.
pub fn with_exceptions(rule: Lists) -> Lists {
    let Lists { sources, mut destinations, embedded_ipv4, .. } = rule;
    destinations
        .extend(all("32.0.0.0/3 100.64.1.0/24 203.0.112.0/21 2400::/6", Some(Destination::Exception)));
    Lists::new(sources, destinations, embedded_ipv4)
}

fn prefixes(text: &str) -> Vec<Prefix> {
    text.split_whitespace().filter_map(Prefix::parse).collect()
}

fn all(text: &str, kind: Option<Destination>) -> Vec<(Prefix, Option<Destination>)> {
    prefixes(text).into_iter().map(|prefix| (prefix, kind)).collect()
}
