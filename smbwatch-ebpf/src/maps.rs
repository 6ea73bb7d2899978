//! The maps and globals, and the rule as they hold it.

use core::arch::asm;

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::lpm_trie::{Key, LpmTrie};
use aya_ebpf::maps::{Array, LruHashMap, PerCpuArray, RingBuf};
use smbwatch_ebpf::flow::Flow;
use smbwatch_ebpf::owner::Owner;
use smbwatch_ebpf::rule::{Destination, PUBLIC, Rule, embedded_ipv4};
use smbwatch_ebpf::settings::{MAX_LAN, MAX_PORTS, MAX_PREFIXES, Range, Settings, counter};

use crate::sighting::FlowKey;

#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(2 << 20, 0);
#[map]
pub(crate) static FLOWS4: LruHashMap<FlowKey<u32>, Flow> = LruHashMap::with_max_entries(1 << 16, 0);
#[map]
pub(crate) static FLOWS6: LruHashMap<FlowKey<[u32; 4]>, Flow> = LruHashMap::with_max_entries(1 << 15, 0);
#[map]
pub(crate) static OWNERS: LruHashMap<u64, Owner> = LruHashMap::with_max_entries(1 << 14, 0);
#[map]
static COUNTERS: PerCpuArray<[u64; counter::COUNT]> = PerCpuArray::with_max_entries(1, 0);
#[map]
static SOURCES4: LpmTrie<u32, u32> = LpmTrie::with_max_entries(MAX_PREFIXES, 0);
#[map]
static SOURCES6: LpmTrie<[u32; 4], u32> = LpmTrie::with_max_entries(MAX_PREFIXES, 0);
#[map]
static DESTINATIONS4: LpmTrie<u32, u32> = LpmTrie::with_max_entries(MAX_PREFIXES, 0);
#[map]
static DESTINATIONS6: LpmTrie<[u32; 4], u32> = LpmTrie::with_max_entries(MAX_PREFIXES, 0);

/// Packets to each exception, by its slot.
#[map]
static EXCEPTED: Array<u64> = Array::with_max_entries(1, 0);

#[map]
static CLOCK: Array<u64> = Array::with_max_entries(1, 0);

#[unsafe(no_mangle)]
static SETTINGS: Settings = Settings {
    lan4: [Range::NONE; MAX_LAN],
    lan6: [Range::NONE; MAX_LAN],
    ports: [0; MAX_PORTS],
    port_count: 0,
    any_port: 0,
    any_source6: 0,
    embedded_ipv4: 0,
    payload: 0,
    transfer: 0,
    replay: 0,
};

#[unsafe(no_mangle)]
static mut CONTENT_FLOWS: u32 = 0;

/// Notes that a flow was recognised by its content, so that its end is looked for.
pub(crate) fn note_content_flow() {
    // SAFETY: every CPU writes the same word with the same value.
    unsafe { core::ptr::write_volatile(&raw mut CONTENT_FLOWS, 1) }
}

/// The counters of this CPU, by index; see [`counter`].
#[derive(Clone, Copy)]
pub(crate) struct Counters(*mut [u64; counter::COUNT]);

impl Counters {
    /// One look-up for as many counters as are needed. It does not fail: the map has this one entry.
    #[inline(always)]
    pub(crate) fn get() -> Option<Self> {
        COUNTERS.get_ptr_mut(0).map(Self)
    }

    /// Adds to a counter; exact even where a connect call is preempted by another.
    #[inline(always)]
    pub(crate) fn add(self, index: usize, by: u64) {
        // SAFETY: every caller's index is below the number of counters, as the verifier checks again.
        let counter = unsafe { self.0.cast::<u64>().add(index) };
        // SAFETY: the pointer is into a map value, to eight aligned bytes.
        unsafe { add(counter, by) }
    }

    /// Takes what a counter holds.
    #[inline(always)]
    pub(crate) fn take(self, index: usize) -> u64 {
        // SAFETY: as in `add`.
        let held = unsafe { self.0.cast::<u64>().add(index).read() };
        if held != 0 {
            self.add(index, held.wrapping_neg());
        }
        held
    }
}

/// Adds to a counter that others add to as well. The built-in target has no read-modify-write atomics, so the
/// instruction is spelled out.
///
/// # Safety
///
/// `counter` points to eight aligned bytes of a map value.
#[inline(always)]
unsafe fn add(counter: *mut u64, by: u64) {
    // SAFETY: as the caller says.
    unsafe { asm!("lock *(u64 *)({counter} + 0) += {by}", counter = in(reg) counter, by = in(reg) by) }
}

/// Counts a packet at the exception that covers its IPv4 destination.
#[inline(always)]
pub(crate) fn count_excepted4(address: u32) {
    count_excepted(DESTINATIONS4.get(Key::new(32, address.to_be())));
}

/// The same of an IPv6 destination, which may be judged by the IPv4 address inside.
#[inline(always)]
pub(crate) fn count_excepted6(address: [u32; 4]) {
    match embedded_ipv4(address) {
        Some(inside) if Kernel.embedded_ipv4() => count_excepted4(inside),
        Some(_) | None => count_excepted(DESTINATIONS6.get(Key::new(128, address.map(u32::to_be)))),
    }
}

#[inline(always)]
fn count_excepted(kind: Option<&u32>) {
    const FIRST: u32 = Destination::Exception as u32;
    let slot = kind.and_then(|kind| kind.checked_sub(FIRST));
    if let Some(count) = slot.and_then(|slot| EXCEPTED.get_ptr_mut(slot)) {
        // SAFETY: a value of the map, of eight aligned bytes.
        unsafe { add(count, 1) }
    }
}

/// Reads one field of the settings; volatile, because its value is put in after compilation.
#[inline(always)]
fn setting<T: Copy>(field: *const T) -> T {
    // SAFETY: every caller points into `SETTINGS`, which is initialised and read-only.
    unsafe { core::ptr::read_volatile(field) }
}

/// The time in nanoseconds: CLOCK_MONOTONIC, or that of the packet in a capture that is replayed.
#[inline(always)]
pub(crate) fn now() -> u64 {
    if setting(&raw const SETTINGS.replay) != 0 {
        return CLOCK.get(0).copied().unwrap_or(0);
    }
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_ns() }
}

/// Bytes of payload that are handed over of each direction.
#[inline(always)]
pub(crate) fn payload_limit() -> u32 {
    setting(&raw const SETTINGS.payload)
}

/// Payload bytes sent from which on a flow is a transfer; 0: none is.
#[inline(always)]
pub(crate) fn transfer() -> u64 {
    u64::from(setting(&raw const SETTINGS.transfer)) << 10
}

/// The rule as the maps hold it.
pub(crate) struct Kernel;

impl Rule for Kernel {
    #[inline(always)]
    fn watches(&self, port: u16) -> bool {
        let count = setting(&raw const SETTINGS.port_count);
        (0..MAX_PORTS)
            .any(|index| (index as u32) < count && setting(&raw const SETTINGS.ports[index]) == port)
    }

    #[inline(always)]
    fn any_port(&self) -> bool {
        setting(&raw const SETTINGS.any_port) != 0
    }

    #[inline(always)]
    fn content_flows(&self) -> bool {
        // SAFETY: a word that other CPUs may write at the same time.
        self.any_port() && unsafe { core::ptr::read_volatile(&raw const CONTENT_FLOWS) } != 0
    }

    #[inline(always)]
    fn takes_payload(&self) -> bool {
        payload_limit() != 0
    }

    #[inline(always)]
    fn lan4(&self, address: u32) -> bool {
        (0..MAX_LAN).any(|index| setting(&raw const SETTINGS.lan4[index]).contains(address))
    }

    #[inline(always)]
    fn lan6(&self, address: [u32; 4]) -> bool {
        (0..MAX_LAN).any(|index| setting(&raw const SETTINGS.lan6[index]).contains(address[0]))
    }

    #[inline(always)]
    fn any_source6(&self) -> bool {
        setting(&raw const SETTINGS.any_source6) != 0
    }

    #[inline(always)]
    fn source4(&self, address: u32) -> bool {
        SOURCES4.get(Key::new(32, address.to_be())).is_some()
    }

    #[inline(always)]
    fn source6(&self, address: [u32; 4]) -> bool {
        SOURCES6.get(Key::new(128, address.map(u32::to_be))).is_some()
    }

    #[inline(always)]
    fn destination4(&self, address: u32) -> Option<Destination> {
        DESTINATIONS4.get(Key::new(32, address.to_be())).and_then(|kind| destination(*kind))
    }

    #[inline(always)]
    fn destination6(&self, address: [u32; 4]) -> Option<Destination> {
        DESTINATIONS6.get(Key::new(128, address.map(u32::to_be))).and_then(|kind| destination(*kind))
    }

    #[inline(always)]
    fn embedded_ipv4(&self) -> bool {
        setting(&raw const SETTINGS.embedded_ipv4) != 0
    }
}

#[inline(always)]
const fn destination(kind: u32) -> Option<Destination> {
    const RESERVED: u32 = Destination::Reserved as u32;
    match kind {
        PUBLIC => None,
        RESERVED => Some(Destination::Reserved),
        _ => Some(Destination::Exception),
    }
}
