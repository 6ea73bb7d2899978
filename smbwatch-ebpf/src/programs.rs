//! The classifiers: they follow what leaves, and let every packet pass.

use aya_ebpf::bindings::TC_ACT_UNSPEC;
use aya_ebpf::macros::classifier;
use aya_ebpf::maps::LruHashMap;
use aya_ebpf::programs::TcContext;
use aya_log_ebpf::debug;
use smbwatch_ebpf::decide::begins_message;
use smbwatch_ebpf::event;
use smbwatch_ebpf::flow::{self, Flow, Seen};
use smbwatch_ebpf::packet::PacketBytes;
use smbwatch_ebpf::parse::ethernet::Tags;
use smbwatch_ebpf::parse::tcp::{self, Clause, Segment};
use smbwatch_ebpf::parse::{Candidate, Link, Way, parse};
use smbwatch_ebpf::rule::{judge4, judge6};
use smbwatch_ebpf::settings::counter;
use smbwatch_ebpf::skip::Skip;

use crate::maps::{FLOWS4, FLOWS6, FlowKey, Kernel, count, note_content_flow};
use crate::report::{Sighting, report};
use crate::skb::{Skb, now};

/// Packets that leave by an Ethernet interface.
#[classifier]
#[inline(always)]
pub(crate) fn smbwatch_egress(context: TcContext) -> i32 {
    watch(&context, Link::Ethernet, Way::Out)
}

/// Packets that leave by an interface without a link header.
#[classifier]
#[inline(always)]
pub(crate) fn smbwatch_egress_l3(context: TcContext) -> i32 {
    watch(&context, Link::None, Way::Out)
}

/// Answers that come in by an Ethernet interface.
#[classifier]
#[inline(always)]
pub(crate) fn smbwatch_reply(context: TcContext) -> i32 {
    watch(&context, Link::Ethernet, Way::Back)
}

/// Answers that come in by an interface without a link header.
#[classifier]
#[inline(always)]
pub(crate) fn smbwatch_reply_l3(context: TcContext) -> i32 {
    watch(&context, Link::None, Way::Back)
}

/// Does nothing: what benchmarks measure the others against.
#[classifier]
#[inline(always)]
pub(crate) fn smbwatch_empty(_context: TcContext) -> i32 {
    TC_ACT_UNSPEC
}

/// Judges a packet by its linear part, or, where that ends inside the headers, by helper calls.
#[inline(always)]
fn watch(context: &TcContext, link: Link, way: Way) -> i32 {
    let skb = Skb::new(context);
    let outcome = match judge(&skb, link, way, skb.direct()) {
        Err(Skip::Truncated) => judge(&skb, link, way, skb.copied()),
        judged => judged,
    };
    if let Err(skip) = outcome {
        note(context, skip);
    }
    TC_ACT_UNSPEC
}

#[inline(always)]
fn note(context: &TcContext, skip: Skip) {
    if let Some(index) = skip.counter() {
        count(counter::SKIPS + index, 1);
        debug!(context, "packet not judged: {}", skip.name());
    }
}

#[inline(always)]
fn judge<P: PacketBytes>(skb: &Skb<'_>, link: Link, way: Way, packet: P) -> Result<(), Skip> {
    match parse(link, way, packet, &Kernel)? {
        Candidate::V4 { source, destination, segment, tags } => {
            let judge = || judge4(&Kernel, source, destination);
            match way {
                Way::Out => follow(&FLOWS4, skb, packet, source, destination, &segment, tags, judge),
                Way::Back => answer(&FLOWS4, skb, destination, source, &segment),
            }
        }
        Candidate::V6 { source, destination, segment, tags } => {
            let judge = || judge6(&Kernel, source, destination);
            match way {
                Way::Out => follow(&FLOWS6, skb, packet, source, destination, &segment, tags, judge),
                Way::Back => answer(&FLOWS6, skb, destination, source, &segment),
            }
        }
    }
}

/// Adds a packet to its flow, or opens one if the rule's address clauses say so.
#[inline(always)]
fn follow<A: Address, P: PacketBytes>(
    flows: &LruHashMap<FlowKey<A>, Flow>,
    skb: &Skb<'_>,
    packet: P,
    source: A,
    destination: A,
    segment: &Segment,
    tags: Tags,
    judge: impl Fn() -> Result<(), Skip>,
) -> Result<(), Skip> {
    let key = FlowKey {
        interface: skb.interface(),
        source_port: segment.source_port,
        destination_port: segment.destination_port,
        source,
        destination,
    };
    let Some(flow) = flows.get_ptr_mut(&key) else {
        return match segment.clause {
            Clause::Port | Clause::Content => {
                judge().and_then(|()| open(flows, skb, packet, &key, segment, tags))
            }
            Clause::KnownFlow => Err(Skip::OtherPort),
        };
    };
    // SAFETY: a map value, valid until the program ends.
    let flow = unsafe { &mut *flow };
    // A SYN may begin a new connection, of which nothing is known yet.
    let asked = flow.marks & flow::SMB == 0 || segment.flags & tcp::SYN != 0;
    let smb = asked && begins_message(packet, segment)?;
    match flow.send(&seen(skb, segment, smb), || (skb.cookie(), now())) {
        None => {}
        Some(cause) => report(skb, &Sighting::new(skb, &key, tags), flow, cause),
    }
    Ok(())
}

#[inline(always)]
fn open<A: Address, P: PacketBytes>(
    flows: &LruHashMap<FlowKey<A>, Flow>,
    skb: &Skb<'_>,
    packet: P,
    key: &FlowKey<A>,
    segment: &Segment,
    tags: Tags,
) -> Result<(), Skip> {
    let mut marks = 0;
    if matches!(segment.clause, Clause::Content) {
        note_content_flow();
        marks = flow::CONTENT;
    }
    let seen = seen(skb, segment, begins_message(packet, segment)?);
    let (flow, cause) = Flow::open(&seen, marks, skb.cookie(), now());
    report(skb, &Sighting::new(skb, key, tags), &flow, cause);
    flows.insert(key, &flow, 0).map_err(|_| Skip::FlowTable)
}

/// Adds an answer of the peer to the flow it answers, if that is known.
#[inline(always)]
fn answer<A: Address>(
    flows: &LruHashMap<FlowKey<A>, Flow>,
    skb: &Skb<'_>,
    source: A,
    destination: A,
    segment: &Segment,
) -> Result<(), Skip> {
    let key = FlowKey {
        interface: skb.interface(),
        source_port: segment.destination_port,
        destination_port: segment.source_port,
        source,
        destination,
    };
    if let Some(flow) = flows.get_ptr_mut(&key) {
        // SAFETY: a map value, valid until the program ends.
        let flow = unsafe { &mut *flow };
        if let Some(cause) = flow.reply(&seen(skb, segment, false), now()) {
            report(skb, &Sighting::new(skb, &key, Tags::default()), flow, cause);
        }
    }
    Ok(())
}

#[inline(always)]
fn seen(skb: &Skb<'_>, segment: &Segment, smb: bool) -> Seen {
    let (packets, bytes) = skb.on_the_wire(segment.rest);
    Seen {
        packets,
        bytes,
        sequence: segment.sequence,
        acknowledgement: segment.acknowledgement,
        payload_length: segment.payload_length,
        flags: segment.flags,
        partial: segment.partial,
        smb,
    }
}

/// An IPv4 or IPv6 address as a flow key and an event hold it.
pub(crate) trait Address: Copy {
    /// The family as events name it.
    const FAMILY: u8;

    /// The address, filled up with zeros.
    fn bytes(self) -> [u8; 16];
}

impl Address for u32 {
    const FAMILY: u8 = event::IPV4;

    #[inline(always)]
    fn bytes(self) -> [u8; 16] {
        (u128::from(self) << 96).to_be_bytes()
    }
}

impl Address for [u32; 4] {
    const FAMILY: u8 = event::IPV6;

    #[inline(always)]
    fn bytes(self) -> [u8; 16] {
        let [a, b, c, d] = self.map(u32::to_be_bytes);
        [a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3], c[0], c[1], c[2], c[3], d[0], d[1], d[2], d[3]]
    }
}
