//! The flows that programs know, handed on to those that succeed them.

use std::mem::size_of;

use aya::maps::{Array, HashMap, Map, MapData};
use aya::{Ebpf, Pod};
use smbwatch_ebpf::flow::Flow;

const IPV4: &str = "FLOWS4";
const IPV6: &str = "FLOWS6";
/// What the compiler keeps the programs' variables in: one word, whether a flow was recognised by content.
const VARIABLES: &str = ".bss";

/// A flow's interface, its ports and both addresses.
type Key4 = [u32; 4];
type Key6 = [u32; 10];
/// A flow as it lies in the map.
type Value = [u64; size_of::<Flow>() / 8];

/// The tables of flows of loaded programs, by the kernel's identifiers.
#[derive(Clone, Copy, Debug)]
pub struct Flows {
    ipv4: u32,
    ipv6: u32,
    variables: u32,
}

impl Flows {
    pub(super) fn of(bpf: &Ebpf) -> anyhow::Result<Self> {
        let id = |name| match bpf.map(name) {
            Some(Map::LruHashMap(map) | Map::Array(map)) => Ok(map.info()?.id()),
            _ => Err(missing(name)),
        };
        Ok(Self { ipv4: id(IPV4)?, ipv6: id(IPV6)?, variables: id(VARIABLES)? })
    }

    /// Copies them. One that goes on meanwhile is copied as it was; it catches up with its next packet, since its
    /// counters follow sequence numbers.
    pub(super) fn copy_to(self, bpf: &mut Ebpf) -> anyhow::Result<()> {
        copy::<Key4>(self.ipv4, bpf, IPV4)?;
        copy::<Key6>(self.ipv6, bpf, IPV6)?;
        let old: Array<MapData, u32> = Array::try_from(Map::Array(MapData::from_id(self.variables)?))?;
        let new = bpf.map_mut(VARIABLES).ok_or_else(|| missing(VARIABLES))?;
        Array::try_from(new)?.set(0, old.get(&0, 0)?, 0)?;
        Ok(())
    }
}

fn copy<K: Pod + PartialEq>(from: u32, bpf: &mut Ebpf, name: &str) -> anyhow::Result<()> {
    let from = MapData::from_id(from)?;
    // Where a flow is forgotten between two steps, the kernel begins anew; so the steps have a limit.
    let limit = usize::try_from(from.info()?.max_entries())?;
    let from: HashMap<MapData, K, Value> = HashMap::try_from(Map::LruHashMap(from))?;
    let to = bpf.map_mut(name).ok_or_else(|| missing(name))?;
    let mut to: HashMap<&mut MapData, K, Value> = HashMap::try_from(to)?;
    for key in from.keys().take(limit) {
        let key = key?;
        // It may be gone already.
        if let Ok(flow) = from.get(&key, 0) {
            to.insert(key, flow, 0)?;
        }
    }
    Ok(())
}

fn missing(name: &str) -> anyhow::Error {
    anyhow::anyhow!("no map `{name}` in the object")
}
