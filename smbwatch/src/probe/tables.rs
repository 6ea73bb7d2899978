//! From a configuration to the settings and tables of the programs.

use aya::Ebpf;
use aya::maps::MapData;
use aya::maps::lpm_trie::{Key, LpmTrie};
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

/// Fills the tries.
pub(super) fn fill(bpf: &mut Ebpf, config: &Config, slots: &mut Slots) -> anyhow::Result<()> {
    let nat = config.nat_addresses.iter().map(|address| IpNet::from(*address));
    let sources: Vec<_> = config.sources.iter().copied().chain(nat).map(|prefix| (prefix, 1)).collect();
    let destinations: Vec<_> = config
        .destinations
        .iter()
        .map(|range| {
            let kind = match range.kind {
                Kind::Public => PUBLIC,
                Kind::Reserved => Destination::Reserved as u32,
                Kind::Exception => Destination::Exception as u32 + slots.of(range.prefix),
            };
            (range.prefix, kind)
        })
        .collect();
    insert(bpf, ["SOURCES4", "SOURCES6"], &sources)?;
    insert(bpf, ["DESTINATIONS4", "DESTINATIONS6"], &destinations)
}

fn insert(bpf: &mut Ebpf, [name4, name6]: [&str; 2], entries: &[(IpNet, u32)]) -> anyhow::Result<()> {
    let [Some(trie4), Some(trie6)] = bpf.maps_disjoint_mut([name4, name6]) else {
        anyhow::bail!("no map `{name4}` or `{name6}` in the object");
    };
    let mut trie4: LpmTrie<&mut MapData, [u8; 4], u32> = trie4.try_into()?;
    let mut trie6: LpmTrie<&mut MapData, [u8; 16], u32> = trie6.try_into()?;
    for (prefix, value) in entries {
        let length = u32::from(prefix.prefix_len());
        match prefix {
            IpNet::V4(prefix) => trie4.insert(&Key::new(length, prefix.network().octets()), value, 0)?,
            IpNet::V6(prefix) => trie6.insert(&Key::new(length, prefix.network().octets()), value, 0)?,
        }
    }
    Ok(())
}
