//! From the first bytes that either side says to records in the ring.

use core::mem::offset_of;

use aya_ebpf::helpers::bpf_skb_load_bytes;
use aya_ebpf::macros::map;
use aya_ebpf::maps::PerCpuArray;
use smbwatch_ebpf::event::{self, MAX_PAYLOAD, PayloadEvent};
use smbwatch_ebpf::flow::Flow;
use smbwatch_ebpf::parse::Way;
use smbwatch_ebpf::parse::tcp::Segment;
use smbwatch_ebpf::settings::counter;
use smbwatch_ebpf::wire::{Be16, Be32, Be64};

use crate::maps::{Counters, EVENTS, now, payload_limit};
use crate::sighting::Sighting;
use crate::skb::{Skb, opaque};

/// A record while it is put together: the ring takes only those of a fixed size to write into.
#[repr(C)]
struct Record {
    event: PayloadEvent,
    bytes: [u8; MAX_PAYLOAD],
}

const _: () = assert!(offset_of!(Record, bytes) == size_of::<PayloadEvent>());

/// One for each CPU: a classifier is not interrupted by another.
#[map]
static RECORD: PerCpuArray<Record> = PerCpuArray::with_max_entries(1, 0);

/// How much of a segment's payload is to be handed over: what is among the first bytes of its side.
#[inline(always)]
pub(crate) fn wanted(flow: &mut Flow, segment: &Segment, way: Way) -> u32 {
    let limit = payload_limit();
    if limit == 0 || segment.payload_length == 0 {
        return 0;
    }
    flow.hand_over(way, segment.payload_length, limit)
}

/// Hands over so many bytes of a packet's payload.
#[inline(always)]
pub(crate) fn hand_over(skb: &Skb<'_>, sighting: &Sighting, flow: &Flow, way: Way, length: u32) {
    if length != 0 {
        put(skb, sighting, flow, u64::from(length) << 1 | u64::from(way == Way::Back));
    }
}

/// Puts a record into the ring, or counts that it found no place. A function takes five arguments at most, so
/// `what` is the length, and whether the server sent it.
#[inline(never)]
fn put(skb: &Skb<'_>, sighting: &Sighting, flow: &Flow, what: u64) {
    let Some(record) = RECORD.get_ptr_mut(0) else { return };
    // SAFETY: a value of this CPU's own, valid until the program ends.
    let record = unsafe { &mut *record };
    let way = if what & 1 == 0 { event::SENT } else { event::RECEIVED };
    // The verifiers of some kernels learn no lower bound from a comparison with 0.
    let last = opaque(((what >> 1) as usize).wrapping_sub(1));
    if last >= MAX_PAYLOAD {
        return;
    }
    let length = last + 1;
    let offset = i64::from(skb.length()) - sighting.segment.rest;
    let to = record.bytes.as_mut_ptr().cast();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an offset into a packet")]
    // SAFETY: the buffer has room for the length, which was just compared.
    if unsafe { bpf_skb_load_bytes(skb.as_ptr().cast(), offset as u32, to, length as u32) } != 0 {
        return;
    }
    let [client, server] = sighting.addresses();
    let (client_port, server_port) = sighting.ports();
    record.event = PayloadEvent {
        kind: event::PAYLOAD,
        way,
        family: sighting.family,
        reserved: 0,
        marks: Be16::new(flow.marks()),
        source_port: Be16::new(client_port),
        destination_port: Be16::new(server_port),
        #[expect(clippy::cast_possible_truncation, reason = "at most MAX_PAYLOAD")]
        length: Be16::new(length as u16),
        interface: Be32::new(skb.interface()),
        initial_sequence: Be32::new(flow.initial_sequence),
        sequence: Be32::new(sighting.segment.sequence),
        acknowledgement: Be32::new(sighting.segment.acknowledgement),
        padding: Be32::new(0),
        time: Be64::new(now()),
        source: client,
        destination: server,
    };
    let size = size_of::<PayloadEvent>() + length;
    // SAFETY: the record lies in one piece, and is no shorter.
    let bytes = unsafe { core::slice::from_raw_parts((&raw const *record).cast::<u8>(), size) };
    if EVENTS.output::<[u8]>(bytes, 0).is_err()
        && let Some(counters) = Counters::get()
    {
        counters.add(counter::PAYLOAD_LOST, 1);
    }
}
