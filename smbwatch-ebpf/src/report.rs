//! From a changed flow to a record in the ring.

use aya_ebpf::helpers::{bpf_get_socket_uid, bpf_skb_cgroup_id};
use smbwatch_ebpf::event::{self, FlowEvent};
use smbwatch_ebpf::flow::{Cause, Flow};
use smbwatch_ebpf::owner::Owner;
use smbwatch_ebpf::settings::counter;
use smbwatch_ebpf::wire::{Be16, Be32, Be64};

use crate::maps::{Counters, EVENTS, OWNERS, now};
use crate::sighting::Sighting;
use crate::skb::Skb;

/// Puts a record of `flow` into the ring, or counts that it found no place.
#[inline(never)]
pub(crate) fn report(skb: &Skb<'_>, sighting: &Sighting, flow: &Flow, cause: Cause) {
    let Some(counters) = Counters::get() else { return };
    let Some(mut record) = EVENTS.reserve::<FlowEvent>(0) else {
        counters.add(counter::FLOW_LOST, 1);
        counters.add(counter::UNTOLD, 1);
        return;
    };
    let [client, server] = sighting.addresses();
    let (client_port, server_port) = sighting.ports();
    let tags = skb.tags();
    let lost = counters.take(counter::UNTOLD);
    let cookie = flow.cookie;
    let owner = OWNERS.get_ptr(cookie);
    // SAFETY: helpers on a valid context.
    let (cgroup, socket_uid) = unsafe { (bpf_skb_cgroup_id(skb.as_ptr()), bpf_get_socket_uid(skb.as_ptr())) };
    let event = record.write(FlowEvent {
        kind: event::FLOW,
        cause: cause as u8,
        family: sighting.family,
        reserved: 0,
        marks: Be16::new(flow.marks()),
        vlan_outer: Be16::new(tags.outer),
        vlan_inner: Be16::new(tags.inner),
        source_port: Be16::new(client_port),
        destination_port: Be16::new(server_port),
        padding: Be16::new(0),
        #[expect(clippy::cast_possible_truncation, reason = "a ring is read long before 2^32 losses")]
        lost: Be32::new(lost as u32),
        interface: Be32::new(skb.interface()),
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
        source: client,
        destination: server,
        owner: Owner::NONE,
    });
    if let Some(owner) = owner {
        // SAFETY: a map value, valid until the program ends.
        event.owner = unsafe { *owner };
    }
    // Before anyone can read it: no reader has ever taken more than were counted.
    counters.add(counter::FLOW_SENT, 1);
    record.submit(0);
}
