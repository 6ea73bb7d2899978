//! What the agent fixes when it loads the programs, and the maps both sides know by name.

/// Watched ports that a program compares.
pub const MAX_PORTS: usize = 8;
/// Prefixes that each of the tries holds.
pub const MAX_PREFIXES: u32 = 1 << 17;
/// IPv4 and IPv6 ranges that are compared before any map look-up.
pub const MAX_LAN: usize = 4;

/// Name of the read-only global that holds [`Settings`].
pub const SETTINGS: &str = "SETTINGS";

/// A range of addresses by its first 32 bits. `network` 1 with `mask` 0 matches nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Range {
    /// The bits that count.
    pub mask: u32,
    /// Their value.
    pub network: u32,
}

impl Range {
    /// Matches nothing.
    pub const NONE: Self = Self { mask: 0, network: 1 };

    /// Whether `address`, or its first word, lies inside.
    #[inline(always)]
    pub const fn contains(self, address: u32) -> bool {
        address & self.mask == self.network
    }
}

/// Read-only data of the programs: the verifier knows its values and drops what they switch off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Settings {
    /// IPv4 ranges whose destinations are dismissed first; all are inside `reserved`.
    pub lan4: [Range; MAX_LAN],
    /// The same for IPv6, by the first word of the address.
    pub lan6: [Range; MAX_LAN],
    /// Watched ports; the first `port_count` hold.
    pub ports: [u16; MAX_PORTS],
    /// How many ports are watched.
    pub port_count: u32,
    /// Not 0: SMB is recognised by its payload on every other port.
    pub any_port: u32,
    /// Not 0: an IPv6 source may match.
    pub any_source6: u32,
    /// Not 0: IPv4-mapped and NAT64 destinations are judged by the IPv4 address inside.
    pub embedded_ipv4: u32,
    /// Bytes of payload that are handed over of each direction of a flow, at most
    /// [`crate::event::MAX_PAYLOAD`]; 0 hands over none.
    pub payload: u32,
    /// Payload bytes sent, in KiB, from which on a flow is a transfer; 0: none is.
    pub transfer: u32,
    /// Not 0: time is what the map `CLOCK` says, as in a capture that is replayed.
    pub replay: u32,
}

impl Settings {
    /// Bytes of the global.
    pub const SIZE: usize = size_of::<Self>();

    /// The global as the program reads it, in the byte order of this machine.
    pub fn to_bytes(&self) -> impl Iterator<Item = u8> + '_ {
        let ranges = self.lan4.iter().chain(&self.lan6).flat_map(|range| [range.mask, range.network]);
        let switches = [
            self.port_count,
            self.any_port,
            self.any_source6,
            self.embedded_ipv4,
            self.payload,
            self.transfer,
            self.replay,
        ];
        ranges
            .flat_map(u32::to_ne_bytes)
            .chain(self.ports.iter().flat_map(|port| port.to_ne_bytes()))
            .chain(switches.into_iter().flat_map(u32::to_ne_bytes))
    }
}

const _: () = assert!(Settings::SIZE == MAX_LAN * 16 + MAX_PORTS * 2 + 7 * 4);

/// Counters of one CPU, by index into the one value of the map `COUNTERS`; the skip reasons follow, see [`crate::skip`].
pub mod counter {
    use crate::skip::Skip;

    /// Flow records that were put into the ring.
    pub const FLOW_SENT: usize = 0;
    /// Flow records that found no place in the ring.
    pub const FLOW_LOST: usize = 1;
    /// Connect records that were put into the ring.
    pub const CONNECT_SENT: usize = 2;
    /// Connect records that found no place in the ring.
    pub const CONNECT_LOST: usize = 3;
    /// Flow records that found no place, and that no later record has told yet.
    pub const UNTOLD: usize = 4;
    /// Payload records that found no place in the ring.
    pub const PAYLOAD_LOST: usize = 5;
    /// The first skip reason.
    pub const SKIPS: usize = 6;
    /// How many counters there are.
    pub const COUNT: usize = SKIPS + Skip::COUNTED.len();
}
