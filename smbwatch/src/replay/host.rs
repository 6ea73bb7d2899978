//! The programs' work done on the host, by the same parser and the same flows: for replays without the kernel.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;

use jiff::Timestamp;
use lru::LruCache;
use smbwatch_ebpf::decide::begins_message;
use smbwatch_ebpf::flow::{CONTENT, Cause, Flow, Seen};
use smbwatch_ebpf::packet::Slice;
use smbwatch_ebpf::parse::ethernet::{self, Tags};
use smbwatch_ebpf::parse::quick::is_plainly_other;
use smbwatch_ebpf::parse::tcp::{Clause, FIN, RST, SYN, Segment};
use smbwatch_ebpf::parse::{Candidate, Link, Way, parse};
use smbwatch_ebpf::rule::{judge4, judge6};
use smbwatch_ebpf::skip::Skip;

use super::rule::{Lists, v6};
use super::{Engine, INTERFACE, Piece};
use crate::config::Config;
use crate::observation::{FlowObservation, Observation, PayloadObservation, Secret, Side};

/// Flows and the rule.
pub(super) struct Host<'a> {
    rule: Lists<'a>,
    flows: LruCache<Ends, Flow>,
    skipped: [u64; Skip::COUNTED.len()],
}

/// A client and a server.
type Ends = (SocketAddr, SocketAddr);

impl<'a> Host<'a> {
    pub(super) fn new(config: &'a Config) -> Self {
        let capacity = NonZeroUsize::new(config.flows as usize).unwrap_or(NonZeroUsize::MIN);
        let mut flows = LruCache::unbounded();
        flows.resize(capacity);
        Self { rule: Lists::new(config), flows, skipped: [0; Skip::COUNTED.len()] }
    }

    fn run(&mut self, piece: &Piece<'_>, way: Way, out: &mut Vec<Observation>) -> Result<(), Skip> {
        let packet = Slice::new(piece.bytes);
        if piece.link == Link::Ethernet && is_plainly_other(way, packet, &self.rule) {
            return Ok(());
        }
        let candidate = parse(piece.link, way, packet, &self.rule)?;
        let (ends, segment) = ends(&candidate, way);
        match way {
            Way::Out => self.sent(piece, &candidate, ends, &segment, out),
            Way::Back => {
                self.answered(piece, ends, &segment, out);
                Ok(())
            }
        }
    }

    fn sent(
        &mut self,
        piece: &Piece<'_>,
        candidate: &Candidate,
        ends: Ends,
        segment: &Segment,
        out: &mut Vec<Observation>,
    ) -> Result<(), Skip> {
        let now = nanoseconds(piece.time);
        let packet = Slice::new(piece.bytes);
        let (cause, flow) = match self.flows.get_mut(&ends) {
            Some(flow) => {
                let smb = begins_message(packet, segment)?;
                let seen = seen(piece, segment, smb, self.rule.transfer());
                (flow.send(&seen, || (0, now)), flow)
            }
            None => {
                let marks = match segment.clause {
                    Clause::Port => 0,
                    Clause::Content => CONTENT,
                    Clause::KnownFlow => return Err(Skip::OtherPort),
                };
                match *candidate {
                    Candidate::V4 { source, destination, .. } => judge4(&self.rule, source, destination)?,
                    Candidate::V6 { source, destination, .. } => judge6(&self.rule, source, destination)?,
                }
                self.rule.content_flows.set(self.rule.content_flows.get() || marks == CONTENT);
                let seen = seen(piece, segment, begins_message(packet, segment)?, self.rule.transfer());
                let (flow, cause) = Flow::open(&seen, marks, 0, now);
                (Some(cause), self.flows.get_or_insert_mut(ends, || flow))
            }
        };
        out.extend(cause.map(|cause| observe(piece, ends, flow, cause)));
        out.extend(payload(piece, ends, segment, flow, Way::Out, self.rule.payload_limit()));
        Ok(())
    }

    fn answered(&mut self, piece: &Piece<'_>, ends: Ends, segment: &Segment, out: &mut Vec<Observation>) {
        let Some(flow) = self.flows.get_mut(&ends) else { return };
        if segment.flags & (SYN | FIN | RST) != 0 {
            let seen = seen(piece, segment, false, self.rule.transfer());
            let cause = flow.reply(&seen, nanoseconds(piece.time));
            out.extend(cause.map(|cause| observe(piece, ends, flow, cause)));
        }
        out.extend(payload(piece, ends, segment, flow, Way::Back, self.rule.payload_limit()));
    }
}

impl Engine for Host<'_> {
    fn take(&mut self, piece: &Piece<'_>, way: Way, out: &mut Vec<Observation>) -> anyhow::Result<()> {
        if let Err(skip) = self.run(piece, way, out)
            && let Some(counter) = skip.counter().and_then(|index| self.skipped.get_mut(index))
        {
            *counter += 1;
        }
        Ok(())
    }

    fn skipped(&self) -> anyhow::Result<[u64; Skip::COUNTED.len()]> {
        Ok(self.skipped)
    }
}

fn ends(candidate: &Candidate, way: Way) -> (Ends, Segment) {
    let (source, destination, segment): (IpAddr, IpAddr, Segment) = match *candidate {
        Candidate::V4 { source, destination, segment } => {
            (Ipv4Addr::from_bits(source).into(), Ipv4Addr::from_bits(destination).into(), segment)
        }
        Candidate::V6 { source, destination, segment } => (v6(source), v6(destination), segment),
    };
    let source = SocketAddr::new(source, segment.source_port);
    let destination = SocketAddr::new(destination, segment.destination_port);
    match way {
        Way::Out => ((source, destination), segment),
        Way::Back => ((destination, source), segment),
    }
}

fn seen(piece: &Piece<'_>, segment: &Segment, smb: bool, transfer: u64) -> Seen {
    let bytes = u32::try_from(piece.bytes.len()).unwrap_or(u32::MAX);
    Seen::of(segment, (1, bytes), smb, transfer)
}

fn observe(piece: &Piece<'_>, (source, destination): Ends, flow: &Flow, cause: Cause) -> Observation {
    let tags = if piece.link == Link::Ethernet {
        ethernet::tags(piece.link, Slice::new(piece.bytes))
    } else {
        Tags { outer: 0, inner: 0 }
    };
    Observation::Flow(Box::new(FlowObservation {
        time: piece.time,
        started: timestamp(flow.first_seen),
        handshake: (flow.answered != 0).then(|| flow.answered.saturating_sub(flow.first_seen)),
        cause,
        marks: flow.marks(),
        source,
        destination,
        initial_sequence: flow.initial_sequence,
        interface: INTERFACE,
        vlans: [tags.outer, tags.inner],
        packets: flow.packets,
        bytes: flow.bytes,
        sent: flow.sent,
        received: flow.received,
        cookie: None,
        cgroup: None,
        uid: None,
        owner: None,
        lost: 0,
    }))
}

fn payload(
    piece: &Piece<'_>,
    (source, destination): Ends,
    segment: &Segment,
    flow: &mut Flow,
    way: Way,
    limit: u32,
) -> Option<Observation> {
    let length = usize::try_from(flow.hand_over(way, segment.payload_length, limit)).ok()?;
    let start = piece.bytes.len().checked_sub(usize::try_from(segment.rest).ok()?)?;
    let bytes = piece.bytes.get(start..start.checked_add(length)?).filter(|bytes| !bytes.is_empty())?;
    Some(Observation::Payload(PayloadObservation {
        time: piece.time,
        side: if way == Way::Out { Side::Client } else { Side::Server },
        marks: flow.marks(),
        source,
        destination,
        interface: INTERFACE,
        initial_sequence: flow.initial_sequence,
        sequence: segment.sequence,
        acknowledgement: segment.acknowledgement,
        bytes: Secret(bytes.to_vec()),
    }))
}

/// Nanoseconds since 1970; what is before that is at its beginning.
pub(super) fn nanoseconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_nanosecond()).unwrap_or(0)
}

fn timestamp(nanoseconds: u64) -> Timestamp {
    Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or(Timestamp::MAX)
}
