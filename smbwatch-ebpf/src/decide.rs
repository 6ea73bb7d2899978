//! The whole decision about a packet of a flow that is not known yet, for replays and tests on the host.

use crate::packet::PacketBytes;
use crate::parse::ethernet::{self, Tags};
use crate::parse::tcp::{Clause, Segment};
use crate::parse::{Candidate, Link, Way, parse, smb};
use crate::rule::{Rule, judge4, judge6};
use crate::skip::Skip;

/// A packet that opens a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The segment and its addresses.
    pub candidate: Candidate,
    /// The payload begins an SMB message.
    pub smb: bool,
    /// Inline VLAN tags.
    pub tags: Tags,
}

/// Judges `packet` by every clause of `rule`, as the programs do.
pub fn decide<P: PacketBytes, R: Rule>(link: Link, packet: P, rule: &R) -> Result<Opening, Skip> {
    let candidate = parse(link, Way::Out, packet, rule)?;
    let (judged, segment) = match candidate {
        Candidate::V4 { source, destination, segment } => (judge4(rule, source, destination), segment),
        Candidate::V6 { source, destination, segment } => (judge6(rule, source, destination), segment),
    };
    if segment.clause == Clause::KnownFlow {
        return Err(Skip::OtherPort);
    }
    judged?;
    let smb = begins_message(packet, &segment)?;
    Ok(Opening { candidate, smb, tags: ethernet::tags(link, packet) })
}

/// Whether the payload of `segment`, the end of `packet`, begins an SMB message.
#[inline(always)]
pub fn begins_message<P: PacketBytes>(packet: P, segment: &Segment) -> Result<bool, Skip> {
    // No chain of headers is longer; the verifier wants to be told.
    const MAX_OFFSET: usize = 1 << 15;
    if i64::from(segment.payload_length) < smb::MAGIC {
        return Ok(false);
    }
    let offset = usize::try_from(packet.remaining() - segment.rest).ok();
    let payload = packet.advance(offset.filter(|offset| *offset < MAX_OFFSET).ok_or(Skip::BadHeader)?);
    payload.deep_u64().map(smb::begins_message).ok_or(Skip::Truncated)
}
