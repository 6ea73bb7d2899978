//! From a changed flow to a record in the ring.

use aya_ebpf::helpers::{bpf_get_socket_uid, bpf_skb_cgroup_id};
use smbwatch_ebpf::event::{self, FlowEvent};
use smbwatch_ebpf::flow::{Cause, Flow};
use smbwatch_ebpf::owner::Owner;
use smbwatch_ebpf::parse::ethernet::Tags;
use smbwatch_ebpf::settings::counter;
use smbwatch_ebpf::wire::{Be16, Be32, Be64};

use crate::maps::{EVENTS, FlowKey, OWNERS, count, take};
use crate::programs::Address;
use crate::skb::{Skb, now};

/// Where a flow was seen, and between whom.
pub(crate) struct Sighting {
    interface: u32,
    source: [u8; 16],
    destination: [u8; 16],
    source_port: u16,
    destination_port: u16,
    family: u8,
    tags: Tags,
}

impl Sighting {
    #[inline(always)]
    pub(crate) fn new<A: Address>(skb: &Skb<'_>, key: &FlowKey<A>, tags: Tags) -> Self {
        let tags = match skb.hardware_tag() {
            Some(outer) => Tags { outer, inner: tags.outer },
            None => tags,
        };
        Self {
            interface: key.interface,
            source: key.source.bytes(),
            destination: key.destination.bytes(),
            source_port: key.source_port,
            destination_port: key.destination_port,
            family: A::FAMILY,
            tags,
        }
    }
}

/// Puts a record of `flow` into the ring, or counts that it found no place.
#[inline(never)]
pub(crate) fn report(skb: &Skb<'_>, sighting: &Sighting, flow: &Flow, cause: Cause) {
    let Some(mut record) = EVENTS.reserve::<FlowEvent>(0) else {
        count(counter::FLOW_LOST, 1);
        count(counter::UNTOLD, 1);
        return;
    };
    let lost = take(counter::UNTOLD);
    let cookie = flow.cookie;
    let owner = OWNERS.get_ptr(cookie);
    // SAFETY: helpers on a valid context.
    let (cgroup, socket_uid) = unsafe { (bpf_skb_cgroup_id(skb.as_ptr()), bpf_get_socket_uid(skb.as_ptr())) };
    let event = record.write(FlowEvent {
        kind: event::FLOW,
        cause: cause as u8,
        family: sighting.family,
        hook: event::HOOK_EGRESS,
        marks: Be16::new(flow.marks),
        vlan_outer: Be16::new(sighting.tags.outer),
        vlan_inner: Be16::new(sighting.tags.inner),
        source_port: Be16::new(sighting.source_port),
        destination_port: Be16::new(sighting.destination_port),
        padding: Be16::new(0),
        #[expect(clippy::cast_possible_truncation, reason = "a ring is read long before 2^32 losses")]
        lost: Be32::new(lost as u32),
        interface: Be32::new(sighting.interface),
        initial_sequence: Be32::new(flow.initial_sequence),
        socket_uid: Be32::new(socket_uid),
        time: Be64::new(now()),
        first_seen: Be64::new(flow.first_seen),
        answered: Be64::new(flow.answered),
        packets: Be64::new(flow.packets),
        bytes: Be64::new(flow.bytes),
        sent: Be64::new(flow.sent),
        received: Be64::new(flow.received),
        cookie: Be64::new(cookie),
        cgroup: Be64::new(cgroup),
        source: sighting.source,
        destination: sighting.destination,
        owner: Owner::NONE,
    });
    if let Some(owner) = owner {
        // SAFETY: a map value, valid until the program ends.
        event.owner = unsafe { *owner };
    }
    record.submit(0);
    count(counter::FLOW_SENT, 1);
}
