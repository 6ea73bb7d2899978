//! A packet that passed every clause that needs no look-up, in one shape however it was read.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{LruHashMap, PerCpuArray};
use smbwatch_ebpf::event;
use smbwatch_ebpf::flow::Flow;
use smbwatch_ebpf::packet::PacketBytes;
use smbwatch_ebpf::parse::tcp::Segment;
use smbwatch_ebpf::parse::{Candidate, Way, parse};
use smbwatch_ebpf::rule::{judge4, judge6};
use smbwatch_ebpf::skip::Skip;
use smbwatch_ebpf::wire::Be32;

use crate::maps::{FLOWS4, FLOWS6, Kernel, count_excepted4, count_excepted6};
use crate::skb::Skb;

/// What tells flows apart, seen from the client whichever way a packet travels.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct FlowKey<A> {
    pub(crate) interface: u32,
    /// The client's port in the upper half, the server's in the lower: the kernel hashes whole words, and a
    /// word that was written in halves is slow to read back.
    pub(crate) ports: u32,
    pub(crate) client: A,
    pub(crate) server: A,
}

/// What a packet says, and room for the flow that it may open. It lies in a map rather than on the stack,
/// which is small, and so that the verifier forgets by which of the many ways through the parser a packet
/// came: it follows one from there on.
#[repr(C)]
pub(crate) struct Sighting {
    key4: FlowKey<u32>,
    key6: FlowKey<[u32; 4]>,
    pub(crate) segment: Segment,
    pub(crate) family: u8,
    pub(crate) opened: Flow,
}

/// One for each CPU: a classifier is not interrupted by another.
#[map]
static SIGHTING: PerCpuArray<Sighting> = PerCpuArray::with_max_entries(1, 0);

impl Sighting {
    /// Parses a packet, and writes down what it says if it passes.
    #[inline(always)]
    pub(crate) fn take<P: PacketBytes>(skb: &Skb<'_>, way: Way, packet: P) -> Result<(), Skip> {
        let candidate = parse(skb.link, way, packet, &Kernel)?;
        let Some(sighting) = Self::latest() else { return Ok(()) };
        match candidate {
            Candidate::V4 { source, destination, segment } => {
                sighting.family = event::IPV4;
                sighting.key4 = key(skb, way, source, destination, &segment);
                sighting.segment = segment;
            }
            Candidate::V6 { source, destination, segment } => {
                sighting.family = event::IPV6;
                sighting.key6 = key(skb, way, source, destination, &segment);
                sighting.segment = segment;
            }
        }
        Ok(())
    }

    /// What was written down last on this CPU.
    #[inline(always)]
    pub(crate) fn latest() -> Option<&'static mut Self> {
        // SAFETY: a value of this CPU's own, valid until the program ends; nothing holds it across a call of
        // this function.
        SIGHTING.get_ptr_mut(0).map(|sighting| unsafe { &mut *sighting })
    }

    /// The addresses of client and server as a record holds them.
    #[inline(always)]
    pub(crate) fn addresses(&self) -> [[Be32; 4]; 2] {
        match self.family {
            event::IPV4 => [[self.key4.client, 0, 0, 0], [self.key4.server, 0, 0, 0]].map(record),
            _ => [self.key6.client, self.key6.server].map(record),
        }
    }

    /// The ports of client and server.
    #[inline(always)]
    pub(crate) fn ports(&self) -> (u16, u16) {
        let ports = match self.family {
            event::IPV4 => self.key4.ports,
            _ => self.key6.ports,
        };
        let [a, b, c, d] = ports.to_be_bytes();
        (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
    }
}

#[inline(always)]
fn key<A>(skb: &Skb<'_>, way: Way, source: A, destination: A, segment: &Segment) -> FlowKey<A> {
    let interface = skb.interface();
    let (source_port, destination_port) = (segment.source_port, segment.destination_port);
    match way {
        Way::Out => {
            let ports = ports(source_port, destination_port);
            FlowKey { interface, ports, client: source, server: destination }
        }
        Way::Back => {
            let ports = ports(destination_port, source_port);
            FlowKey { interface, ports, client: destination, server: source }
        }
    }
}

#[inline(always)]
fn ports(client: u16, server: u16) -> u32 {
    u32::from(client) << 16 | u32::from(server)
}

/// An IPv4 or IPv6 address.
pub(crate) trait Address: Copy + 'static {
    /// The flows between addresses of this family.
    fn flows() -> &'static LruHashMap<FlowKey<Self>, Flow>;

    /// The key of a sighting of this family.
    fn key(sighting: &Sighting) -> &FlowKey<Self>;

    /// Judges a key by the clauses that need a look-up.
    fn judge(key: &FlowKey<Self>) -> Result<(), Skip>;

    /// Counts a packet at the exception that covers it.
    fn count_excepted(key: &FlowKey<Self>);
}

impl Address for u32 {
    #[inline(always)]
    fn flows() -> &'static LruHashMap<FlowKey<Self>, Flow> {
        &FLOWS4
    }

    #[inline(always)]
    fn key(sighting: &Sighting) -> &FlowKey<Self> {
        &sighting.key4
    }

    #[inline(always)]
    fn judge(key: &FlowKey<Self>) -> Result<(), Skip> {
        judge4(&Kernel, key.client, key.server)
    }

    #[inline(always)]
    fn count_excepted(key: &FlowKey<Self>) {
        count_excepted4(key.server);
    }
}

impl Address for [u32; 4] {
    #[inline(always)]
    fn flows() -> &'static LruHashMap<FlowKey<Self>, Flow> {
        &FLOWS6
    }

    #[inline(always)]
    fn key(sighting: &Sighting) -> &FlowKey<Self> {
        &sighting.key6
    }

    #[inline(always)]
    fn judge(key: &FlowKey<Self>) -> Result<(), Skip> {
        judge6(&Kernel, key.client, key.server)
    }

    #[inline(always)]
    fn count_excepted(key: &FlowKey<Self>) {
        count_excepted6(key.server);
    }
}

/// An address as a record holds it.
#[inline(always)]
pub(crate) fn record(words: [u32; 4]) -> [Be32; 4] {
    words.map(Be32::new)
}
