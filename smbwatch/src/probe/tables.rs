//! From a configuration to the settings and tables of the programs.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{MapData, MapError};
use aya::{Ebpf, Pod};
use ipnet::IpNet;
use smbwatch_ebpf::rule::{Destination, PUBLIC};
use smbwatch_ebpf::settings::{MAX_LAN, MAX_PORTS, Range, Settings};

use super::excepted::Slots;
use crate::config::Config;
use crate::ranges::Kind;

/// The read-only data of the programs.
pub fn settings(config: &Config) -> Settings {
    let mut ports = [0; MAX_PORTS];
    ports.iter_mut().zip(&config.ports).for_each(|(slot, port)| *slot = *port);
    let lan = lan(config);
    Settings {
        lan4: first_four(lan.iter().filter_map(|prefix| match prefix {
            IpNet::V4(prefix) => {
                Some(Range { mask: prefix.netmask().into(), network: prefix.network().into() })
            }
            IpNet::V6(_) => None,
        })),
        lan6: first_four(lan.iter().filter_map(|prefix| match prefix {
            IpNet::V6(prefix) if prefix.prefix_len() <= 32 => {
                Some(Range { mask: first_word(prefix.netmask()), network: first_word(prefix.network()) })
            }
            IpNet::V4(_) | IpNet::V6(_) => None,
        })),
        ports,
        port_count: u32::try_from(config.ports.len().min(MAX_PORTS)).unwrap_or(0),
        any_port: config.any_port.into(),
        any_source6: (config.own_addresses
            || config.sources.iter().any(|prefix| matches!(prefix, IpNet::V6(_))))
        .into(),
        embedded_ipv4: config.embedded_ipv4.into(),
        payload: config.payload_bytes,
        transfer: config.transfer_kib,
        replay: 0,
    }
}

/// Ranges of private hosts talking to each other: sources that are wholly reserved as destinations too.
fn lan(config: &Config) -> Vec<IpNet> {
    let reserved = |prefix: &IpNet| {
        let around = config
            .destinations
            .iter()
            .any(|range| range.kind == Kind::Reserved && range.prefix.contains(prefix));
        let hole = config
            .destinations
            .iter()
            .any(|range| range.kind == Kind::Public && prefix.contains(&range.prefix));
        around && !hole
    };
    config.sources.iter().copied().filter(reserved).collect()
}

fn first_four(ranges: impl Iterator<Item = Range>) -> [Range; MAX_LAN] {
    let mut lan = [Range::NONE; MAX_LAN];
    lan.iter_mut().zip(ranges).for_each(|(slot, range)| *slot = range);
    lan
}

fn first_word(address: std::net::Ipv6Addr) -> u32 {
    let [a, b, ..] = address.segments();
    u32::from(a) << 16 | u32::from(b)
}

/// What the tries hold.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entries {
    sources: Prefixes,
    destinations: Prefixes,
}

type Prefixes = BTreeMap<IpNet, u32>;

impl Entries {
    fn of(config: &Config, slots: &mut Slots) -> Self {
        let nat = config.nat_addresses.iter().map(|address| IpNet::from(*address));
        let sources = config.sources.iter().copied().chain(nat).map(|prefix| (prefix.trunc(), 1));
        let destinations = config.destinations.iter().map(|range| {
            let prefix = range.prefix.trunc();
            let kind = match range.kind {
                Kind::Public => PUBLIC,
                Kind::Reserved => Destination::Reserved as u32,
                Kind::Exception => Destination::Exception as u32 + slots.of(prefix),
            };
            (prefix, kind)
        });
        Self { sources: sources.collect(), destinations: destinations.collect() }
    }
}

/// Fills the tries.
pub(super) fn fill(bpf: &mut Ebpf, config: &Config, slots: &mut Slots) -> anyhow::Result<()> {
    turn(bpf, &Entries::default(), &Entries::of(config, slots))
}

/// Turns the tries of one configuration into those of another. No packet that matches by both goes unseen
/// meanwhile.
pub(super) fn change(bpf: &mut Ebpf, old: &Config, new: &Config, slots: &mut Slots) -> anyhow::Result<()> {
    turn(bpf, &Entries::of(old, slots), &Entries::of(new, slots))
}

fn turn(bpf: &mut Ebpf, old: &Entries, new: &Entries) -> anyhow::Result<()> {
    let names = [["SOURCES4", "SOURCES6"], ["DESTINATIONS4", "DESTINATIONS6"]];
    for ([name4, name6], (old, new)) in
        names.into_iter().zip([(&old.sources, &new.sources), (&old.destinations, &new.destinations)])
    {
        let [Some(trie4), Some(trie6)] = bpf.maps_disjoint_mut([name4, name6]) else {
            anyhow::bail!("no map `{name4}` or `{name6}` in the object");
        };
        let mut trie4: LpmTrie<&mut MapData, [u8; 4], u32> = trie4.try_into()?;
        let mut trie6: LpmTrie<&mut MapData, [u8; 16], u32> = trie6.try_into()?;
        for (prefix, value) in steps(old, new) {
            match prefix {
                IpNet::V4(prefix) => step(&mut trie4, prefix.network().octets(), prefix.prefix_len(), value)?,
                IpNet::V6(prefix) => step(&mut trie6, prefix.network().octets(), prefix.prefix_len(), value)?,
            }
        }
    }
    Ok(())
}

/// What to insert, and then what to remove, in an order in which each address is at any moment what the old
/// entries or the new ones say of it: the longest are inserted first, and removed last. Else a wide entry would
/// hide for a moment what a narrow one inside it carves out.
fn steps(old: &Prefixes, new: &Prefixes) -> impl Iterator<Item = (IpNet, Option<u32>)> {
    let fresh = new.iter().filter(|(prefix, value)| old.get(*prefix) != Some(*value));
    let mut insert: Vec<_> = fresh.map(|(prefix, value)| (*prefix, Some(*value))).collect();
    insert.sort_by_key(|(prefix, _)| Reverse(prefix.prefix_len()));
    let mut remove: Vec<_> =
        old.keys().filter(|prefix| !new.contains_key(*prefix)).map(|prefix| (*prefix, None)).collect();
    remove.sort_by_key(|(prefix, _)| prefix.prefix_len());
    insert.into_iter().chain(remove)
}

fn step<A: Pod>(
    trie: &mut LpmTrie<&mut MapData, A, u32>,
    address: A,
    length: u8,
    value: Option<u32>,
) -> Result<(), MapError> {
    let key = Key::new(length.into(), address);
    match value {
        Some(value) => trie.insert(&key, value, 0),
        None => trie.remove(&key),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn found(entries: &Prefixes, address: IpAddr) -> Option<u32> {
        let around = entries.iter().filter(|(prefix, _)| prefix.contains(&address));
        around.max_by_key(|(prefix, _)| prefix.prefix_len()).map(|(_, value)| *value)
    }

    /// Prefixes of a few bits, so that they lie in each other.
    fn random(random: &mut fastrand::Rng) -> Prefixes {
        let prefix = |random: &mut fastrand::Rng| {
            let address = Ipv4Addr::from(random.u32(..8) << 29);
            IpNet::new(address.into(), random.u8(..4)).expect("a prefix").trunc()
        };
        (0..random.usize(..10)).map(|_| (prefix(random), random.u32(..3))).collect()
    }

    #[test]
    fn no_step_shows_what_neither_side_says() {
        let mut generator = fastrand::Rng::with_seed(445);
        for _ in 0..10_000 {
            let (old, new) = (random(&mut generator), random(&mut generator));
            let mut entries = old.clone();
            for (prefix, value) in steps(&old, &new) {
                match value {
                    Some(value) => entries.insert(prefix, value),
                    None => entries.remove(&prefix),
                };
                for high in 0..8 {
                    let address = IpAddr::from(Ipv4Addr::from(high << 29));
                    let now = found(&entries, address);
                    assert!(
                        now == found(&old, address) || now == found(&new, address),
                        "{address} is {now:?} between {old:?} and {new:?}"
                    );
                }
            }
            assert_eq!(entries, new);
        }
    }
}
