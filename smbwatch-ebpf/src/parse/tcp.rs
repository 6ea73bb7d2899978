//! TCP (RFC 9293), as far as the port clause and the flow's state need it.

use crate::packet::PacketBytes;
use crate::parse::{Way, smb};
use crate::rule::Rule;
use crate::skip::Skip;

/// The IP protocol number of TCP.
pub const PROTOCOL: u8 = 6;
/// The sender has no more to send.
pub const FIN: u8 = 0x01;
/// The sender opens a connection.
pub const SYN: u8 = 0x02;
/// The sender refuses or aborts.
pub const RST: u8 = 0x04;
/// The acknowledgement number holds.
pub const ACK: u8 = 0x10;

const HEADER: usize = 20;
const DESTINATION_PORT: usize = 2;
const SEQUENCE: usize = 4;
const ACKNOWLEDGEMENT: usize = 8;
const OFFSET_AND_FLAGS: usize = 12;

/// A segment that passed the port clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// Sequence number; 0 where the header is cut short.
    pub sequence: u32,
    /// Acknowledgement number; 0 where the header is cut short.
    pub acknowledgement: u32,
    /// [`FIN`], [`SYN`], [`RST`], [`ACK`] and the rest; 0 where the header is cut short.
    pub flags: u8,
    /// The header was cut short by fragmentation, or on purpose: only the ports are sure.
    pub partial: bool,
    /// Bytes of the packet from the first byte of payload on, padding included; negative where the data
    /// offset points past the end.
    pub rest: i64,
    /// Bytes of payload.
    pub payload_length: u32,
    /// What let the segment pass.
    pub clause: Clause,
}

/// What let a segment pass the port clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clause {
    /// A watched port.
    Port,
    /// A payload that begins an SMB message, to a port that is not watched.
    Content,
    /// A port that is not watched, and no payload that tells: of interest only if its flow is known.
    KnownFlow,
}

/// Tells what lets the segment at `header` pass, or refuses it.
#[inline(always)]
pub fn port_clause<P: PacketBytes, R: Rule>(header: P, way: Way, rule: &R) -> Result<Clause, Skip> {
    match way {
        Way::Out => {
            let port = header.u16(DESTINATION_PORT).ok_or(Skip::Truncated)?;
            if rule.watches(port) { Ok(Clause::Port) } else { by_content(header, rule) }
        }
        Way::Back => {
            let port = header.u16(0).ok_or(Skip::Truncated)?;
            let flags = offset_and_flags(header)?.to_be_bytes()[1];
            let turns = flags & (SYN | FIN | RST) != 0;
            let takes = if rule.watches(port) {
                turns || rule.takes_payload()
            } else {
                turns && rule.content_flows()
            };
            if takes { Ok(Clause::KnownFlow) } else { Err(Skip::OtherPort) }
        }
    }
}

/// Takes a segment to a port that is not watched if its payload begins an SMB message, or if it may
/// end a flow that was recognised so.
#[inline(always)]
fn by_content<P: PacketBytes, R: Rule>(header: P, rule: &R) -> Result<Clause, Skip> {
    if !rule.any_port() {
        return Err(Skip::OtherPort);
    }
    let offset_and_flags = offset_and_flags(header)?;
    let payload = header.advance(header_length(offset_and_flags));
    if payload.deep_u64().is_some_and(smb::begins_message) {
        return Ok(Clause::Content);
    }
    if offset_and_flags.to_be_bytes()[1] & (FIN | RST) != 0 && rule.content_flows() {
        return Ok(Clause::KnownFlow);
    }
    Err(Skip::OtherPort)
}

/// The word that holds both; a segment that is too short for it has nothing to tell.
#[inline(always)]
fn offset_and_flags<P: PacketBytes>(header: P) -> Result<u16, Skip> {
    match header.u16(OFFSET_AND_FLAGS) {
        Some(word) => Ok(word),
        None => Err(if header.remaining() < HEADER as i64 { Skip::OtherPort } else { Skip::Truncated }),
    }
}

/// Reads the header at `header`; the IP header announces `announced` bytes, or nothing.
#[inline(always)]
pub fn parse<P: PacketBytes>(header: P, announced: Option<i64>, clause: Clause) -> Result<Segment, Skip> {
    let header = header.settle();
    let ports = header.u32(0).ok_or(Skip::Truncated)?;
    let [source_high, source_low, destination_high, destination_low] = ports.to_be_bytes();
    let source_port = u16::from_be_bytes([source_high, source_low]);
    let destination_port = u16::from_be_bytes([destination_high, destination_low]);
    if header.remaining() < HEADER as i64 {
        return Ok(Segment {
            source_port,
            destination_port,
            sequence: match header.u32(SEQUENCE) {
                Some(sequence) => sequence,
                None if header.remaining() < SEQUENCE as i64 + 4 => 0,
                None => return Err(Skip::Truncated),
            },
            acknowledgement: 0,
            flags: 0,
            partial: true,
            rest: 0,
            payload_length: 0,
            clause,
        });
    }
    let offset_and_flags = header.u16(OFFSET_AND_FLAGS).ok_or(Skip::Truncated)?;
    let payload = header.advance(header_length(offset_and_flags));
    let mut length = payload.remaining();
    if let Some(announced) = announced {
        length = length.min(announced - (header.remaining() - payload.remaining()));
    }
    // What looked like a message may be padding, which no peer reads.
    let clause =
        if length < smb::MAGIC && matches!(clause, Clause::Content) { Clause::KnownFlow } else { clause };
    Ok(Segment {
        source_port,
        destination_port,
        sequence: header.u32(SEQUENCE).ok_or(Skip::Truncated)?,
        acknowledgement: header.u32(ACKNOWLEDGEMENT).ok_or(Skip::Truncated)?,
        flags: offset_and_flags.to_be_bytes()[1],
        partial: false,
        rest: payload.remaining(),
        payload_length: u32::try_from(length).unwrap_or(0),
        clause,
    })
}

/// The data offset in bytes; what is below the fixed header counts as no options.
#[inline(always)]
pub(crate) fn header_length(offset_and_flags: u16) -> usize {
    let length = usize::from(offset_and_flags >> 12) * 4;
    if length < HEADER { HEADER } else { length }
}
