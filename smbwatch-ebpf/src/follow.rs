//! From a sighting to its flow: opened, continued or answered.

use smbwatch_ebpf::event;
use smbwatch_ebpf::flow::{self, Flow, Seen};
use smbwatch_ebpf::parse::tcp::{self, Clause};
use smbwatch_ebpf::parse::{Way, smb};
use smbwatch_ebpf::skip::Skip;

use crate::maps::{note_content_flow, now, transfer};
use crate::payload::{hand_over, wanted};
use crate::report::report;
use crate::sighting::{Address, Sighting};
use crate::skb::Skb;

/// Adds a packet to its flow.
#[inline(always)]
pub(crate) fn follow(skb: &Skb<'_>, way: Way, sighting: &mut Sighting) -> Result<(), Skip> {
    match (sighting.family, way) {
        (event::IPV4, Way::Out) => sent::<u32>(skb, sighting),
        (event::IPV4, Way::Back) => answered::<u32>(skb, sighting),
        (_, Way::Out) => sent::<[u32; 4]>(skb, sighting),
        (_, Way::Back) => answered::<[u32; 4]>(skb, sighting),
    }
}

/// Adds a packet of the client, or opens a flow with it if the rule's address clauses say so.
#[inline(always)]
fn sent<A: Address>(skb: &Skb<'_>, sighting: &mut Sighting) -> Result<(), Skip> {
    let Some(flow) = A::flows().get_ptr_mut(A::key(sighting)) else {
        return open::<A>(skb, sighting);
    };
    // SAFETY: a map value, valid until the program ends.
    let flow = unsafe { &mut *flow };
    // A SYN may begin a new connection, of which nothing is known yet.
    let asked = flow.marks() & flow::SMB == 0 || sighting.segment.flags & tcp::SYN != 0;
    let smb = asked && begins_message(skb, sighting)?;
    if let Some(cause) = flow.send(&seen(skb, sighting, smb), || (skb.cookie(), now())) {
        report(skb, sighting, flow, cause);
    }
    let length = wanted(flow, &sighting.segment, Way::Out);
    hand_over(skb, sighting, flow, Way::Out, length);
    Ok(())
}

#[inline(always)]
fn open<A: Address>(skb: &Skb<'_>, sighting: &mut Sighting) -> Result<(), Skip> {
    let marks = match sighting.segment.clause {
        Clause::Port => 0,
        Clause::Content => flow::CONTENT,
        Clause::KnownFlow => return Err(Skip::OtherPort),
    };
    if let Err(skip) = A::judge(A::key(sighting)) {
        if skip == Skip::Exception {
            A::count_excepted(A::key(sighting));
        }
        return Err(skip);
    }
    if marks == flow::CONTENT {
        note_content_flow();
    }
    let seen = seen(skb, sighting, begins_message(skb, sighting)?);
    let (flow, cause) = Flow::open(&seen, marks, skb.cookie(), now());
    sighting.opened = flow;
    report(skb, sighting, &sighting.opened, cause);
    let length = wanted(&mut sighting.opened, &sighting.segment, Way::Out);
    hand_over(skb, sighting, &sighting.opened, Way::Out, length);
    A::flows().insert(A::key(sighting), &sighting.opened, 0).map_err(|_| Skip::FlowTable)
}

/// Adds an answer of the server to the flow it answers, if that is known.
#[inline(always)]
fn answered<A: Address>(skb: &Skb<'_>, sighting: &Sighting) -> Result<(), Skip> {
    if let Some(flow) = A::flows().get_ptr_mut(A::key(sighting)) {
        // SAFETY: a map value, valid until the program ends.
        let flow = unsafe { &mut *flow };
        if sighting.segment.flags & (tcp::SYN | tcp::FIN | tcp::RST) != 0
            && let Some(cause) = flow.reply(&seen(skb, sighting, false), now())
        {
            report(skb, sighting, flow, cause);
        }
        let length = wanted(flow, &sighting.segment, Way::Back);
        hand_over(skb, sighting, flow, Way::Back, length);
    }
    Ok(())
}

/// Whether the payload begins an SMB message; a look into it costs a helper call, for flows of which that
/// is not known yet.
#[inline(always)]
fn begins_message(skb: &Skb<'_>, sighting: &Sighting) -> Result<bool, Skip> {
    let segment = &sighting.segment;
    if i64::from(segment.payload_length) < smb::MAGIC {
        return Ok(false);
    }
    match segment.clause {
        Clause::Content => Ok(true),
        Clause::Port | Clause::KnownFlow => {
            skb.last_bytes(segment.rest).map(smb::begins_message).ok_or(Skip::Truncated)
        }
    }
}

#[inline(always)]
fn seen(skb: &Skb<'_>, sighting: &Sighting, smb: bool) -> Seen {
    let segment = &sighting.segment;
    Seen::of(segment, skb.on_the_wire(segment.rest), smb, transfer())
}
