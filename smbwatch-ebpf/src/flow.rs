//! The life of a flow, told from the packets of its client alone, and what it adds up to.

use crate::parse::Way;
use crate::parse::tcp::{ACK, FIN, RST, SYN, Segment};

/// The handshake finished: the client acknowledged something.
pub const ESTABLISHED: u16 = 1 << 0;
/// A segment began with an SMB message.
pub const SMB: u16 = 1 << 1;
/// Either side closed or aborted.
pub const ENDED: u16 = 1 << 2;
/// The flow was first seen after its SYN.
pub const MIDSTREAM: u16 = 1 << 3;
/// A header was cut short by fragmentation: sequence numbers and flags are not sure.
pub const PARTIAL: u16 = 1 << 4;
/// The end was an RST.
pub const RESET: u16 = 1 << 5;
/// The peer answered the SYN with an RST.
pub const REFUSED: u16 = 1 << 6;
/// The SYN was sent again because nothing came back.
pub const UNANSWERED: u16 = 1 << 7;
/// The flow was recognised by its payload, on a port that is not watched.
pub const CONTENT: u16 = 1 << 8;
/// The client has sent as much as a transfer does.
pub const TRANSFER: u16 = 1 << 9;

/// In `progress`: the client has acknowledged something.
const ACKNOWLEDGES: u16 = 1 << 0;
/// In `progress`: the client has acknowledged the peer's FIN.
const PEER_CLOSED: u16 = 1 << 1;
/// In `heard`, beside the marks: the peer has sent a FIN that the client has not acknowledged before.
const PEER_CLOSING: u16 = 1 << 15;

/// Why a record of a flow was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Cause {
    /// First sight, before any answer.
    Attempted = 1,
    /// The SYN was repeated.
    Unanswered = 2,
    /// The peer refused.
    Refused = 3,
    /// The handshake finished, or a flow was first seen after it.
    Established = 4,
    /// The first SMB message.
    Smb = 5,
    /// The end, with totals.
    Ended = 6,
    /// So many bytes were sent that it is a transfer.
    Transfer = 7,
}

impl Cause {
    /// The cause that a record names, or none where it names none that is known here.
    pub const fn from_wire(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Attempted),
            2 => Some(Self::Unanswered),
            3 => Some(Self::Refused),
            4 => Some(Self::Established),
            5 => Some(Self::Smb),
            6 => Some(Self::Ended),
            7 => Some(Self::Transfer),
            _ => None,
        }
    }
}

/// What one packet says to its flow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Packets on the wire: more than one where the device will cut a large segment.
    pub packets: u32,
    /// Bytes on the wire, link headers included.
    pub bytes: u32,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// Bytes of TCP payload.
    pub payload_length: u32,
    /// TCP flags.
    pub flags: u8,
    /// The TCP header was cut short.
    pub partial: bool,
    /// The payload begins an SMB message.
    pub smb: bool,
    /// Payload bytes sent from which on the flow is a transfer; 0: it never is.
    pub transfer: u64,
}

impl Seen {
    /// What a segment says, which is so many packets and bytes on the wire.
    #[inline(always)]
    pub const fn of(segment: &Segment, (packets, bytes): (u32, u32), smb: bool, transfer: u64) -> Self {
        Self {
            packets,
            bytes,
            sequence: segment.sequence,
            acknowledgement: segment.acknowledgement,
            payload_length: segment.payload_length,
            flags: segment.flags,
            partial: segment.partial,
            smb,
            transfer,
        }
    }
}

/// One connection as one hook sees it. The client's packets reach the hook one after another (the sender holds
/// the socket's lock; a forwarded flow stays on one receive queue), so plain additions are exact. The peer's
/// come by another hook, maybe on another CPU at the same time: what they tell has fields of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Flow {
    /// Time of the first packet.
    pub first_seen: u64,
    /// Time of the peer's SYN-ACK, or 0.
    pub answered: u64,
    /// Packets sent, as on the wire.
    pub packets: u64,
    /// Bytes sent, as on the wire, with link headers and repeats.
    pub bytes: u64,
    /// Payload bytes sent, by the advance of the sequence number: repeats count once.
    pub sent: u64,
    /// Payload bytes received, by the advance of the acknowledgement number.
    pub received: u64,
    /// Cookie of the socket, or 0.
    pub cookie: u64,
    /// Initial sequence number, or the first one seen.
    pub initial_sequence: u32,
    next_sequence: u32,
    acknowledged: u32,
    peer_end: u32,
    marks: u16,
    /// Marks that the peer's packets set.
    heard: u16,
    progress: u16,
    /// Payload bytes of the client that were handed over.
    handed: u16,
    /// The same of the server.
    handed_back: u16,
    padding: [u16; 3],
}

const _: () = assert!(size_of::<Flow>() == 88);

impl Flow {
    /// [`ESTABLISHED`], [`SMB`] and the rest.
    #[inline(always)]
    pub const fn marks(&self) -> u16 {
        self.marks | self.heard & !PEER_CLOSING
    }

    /// A flow that begins with `seen` at the time `now`, and why it is worth a record.
    #[inline(always)]
    pub fn open(seen: &Seen, marks: u16, cookie: u64, now: u64) -> (Self, Cause) {
        let syn = seen.flags & SYN != 0;
        let mut flow = Self {
            first_seen: now,
            cookie,
            initial_sequence: seen.sequence,
            next_sequence: seen.sequence.wrapping_add(u32::from(syn)),
            marks,
            ..Self::default()
        };
        if seen.partial {
            flow.marks |= PARTIAL;
        } else if !syn {
            flow.marks |= MIDSTREAM;
        }
        let cause = flow.advance(seen).unwrap_or(Cause::Attempted);
        (flow, cause)
    }

    /// Adds a packet of the client; tells what changed, if anything did. The cookie and the time are asked
    /// for only where a new connection begins: they cost more than all the rest.
    #[inline(always)]
    pub fn send(&mut self, seen: &Seen, opened: impl FnOnce() -> (u64, u64)) -> Option<Cause> {
        if seen.flags & (SYN | ACK) == SYN {
            if seen.sequence != self.initial_sequence || self.marks & PARTIAL != 0 {
                let (cookie, now) = opened();
                let (flow, cause) = Self::open(seen, self.marks & CONTENT, cookie, now);
                *self = flow;
                return Some(cause);
            }
            if self.marks() & (ESTABLISHED | ENDED | UNANSWERED) == 0 && self.answered == 0 {
                self.marks |= UNANSWERED;
                self.count(seen);
                return Some(Cause::Unanswered);
            }
        }
        self.advance(seen)
    }

    /// Adds a SYN, FIN or RST of the peer that came at the time `now`.
    #[inline(always)]
    pub fn reply(&mut self, seen: &Seen, now: u64) -> Option<Cause> {
        if seen.flags & RST != 0 {
            let was = self.marks();
            let refused = was & ESTABLISHED == 0;
            // RFC 9293 section 3.10.7.3: before the handshake it must acknowledge the SYN, or is not the peer's.
            if refused && !self.acknowledges_syn(seen) {
                return None;
            }
            self.heard |= ENDED | RESET | if refused { REFUSED } else { 0 };
            return match (was & ENDED, refused) {
                (0, true) => Some(Cause::Refused),
                (0, false) => Some(Cause::Ended),
                _ => None,
            };
        }
        if seen.flags & SYN != 0 && self.answered == 0 {
            self.answered = now;
        }
        if seen.flags & FIN != 0 {
            self.peer_end = seen.sequence.wrapping_add(seen.payload_length).wrapping_add(1);
            if self.progress & ACKNOWLEDGES == 0 || is_after(self.peer_end, self.acknowledged) {
                self.heard |= PEER_CLOSING;
            }
        }
        None
    }

    /// How many of the next `length` payload bytes of one side are to be handed over, if `limit` of each side
    /// are; they are taken to be.
    #[inline(always)]
    pub fn hand_over(&mut self, way: Way, length: u32, limit: u32) -> u32 {
        let handed = match way {
            Way::Out => &mut self.handed,
            Way::Back => &mut self.handed_back,
        };
        let left = limit.saturating_sub(u32::from(*handed));
        let length = if length < left { length } else { left };
        *handed = handed.saturating_add(u16::try_from(length).unwrap_or(u16::MAX));
        length
    }

    #[inline(always)]
    fn acknowledges_syn(&self, seen: &Seen) -> bool {
        let unsure = self.marks & (PARTIAL | MIDSTREAM) != 0;
        let beyond = seen.acknowledgement.wrapping_sub(self.initial_sequence).wrapping_sub(1);
        let sent = self.next_sequence.wrapping_sub(self.initial_sequence);
        unsure || seen.flags & ACK != 0 && beyond < sent
    }

    #[inline(always)]
    fn advance(&mut self, seen: &Seen) -> Option<Cause> {
        self.count(seen);
        let was = self.marks();
        if seen.smb {
            self.marks |= SMB;
        }
        if seen.flags & (ACK | RST) == ACK && seen.flags & SYN == 0 {
            self.marks |= ESTABLISHED;
        }
        if seen.flags & (FIN | RST) != 0 {
            self.marks |= if seen.flags & RST != 0 { ENDED | RESET } else { ENDED };
        }
        if seen.transfer != 0 && self.sent >= seen.transfer {
            self.marks |= TRANSFER;
        }
        let gained = self.marks & !was;
        // An end may be forged, so it silences nothing that comes after it.
        if gained & SMB != 0 {
            Some(Cause::Smb)
        } else if gained & ENDED != 0 {
            Some(Cause::Ended)
        } else if gained & TRANSFER != 0 {
            Some(Cause::Transfer)
        } else if gained & ESTABLISHED != 0 {
            Some(Cause::Established)
        } else {
            None
        }
    }

    #[inline(always)]
    fn count(&mut self, seen: &Seen) {
        self.packets += u64::from(seen.packets);
        self.bytes += u64::from(seen.bytes);
        let first = seen.sequence.wrapping_add(u32::from(seen.flags & SYN != 0));
        let end = first.wrapping_add(seen.payload_length);
        // A FIN takes a number too, and an RST may carry any: only payload tells what was sent.
        if seen.payload_length != 0 && is_after(end, self.next_sequence) {
            self.sent += u64::from(end.wrapping_sub(self.next_sequence));
            self.next_sequence = end;
        }
        if seen.flags & ACK != 0 {
            self.acknowledge(seen.acknowledgement);
        }
    }

    #[inline(always)]
    fn acknowledge(&mut self, acknowledgement: u32) {
        if self.progress & ACKNOWLEDGES == 0 {
            self.progress |= ACKNOWLEDGES;
            self.acknowledged = acknowledgement;
        } else if is_after(acknowledgement, self.acknowledged) {
            self.received += u64::from(acknowledgement.wrapping_sub(self.acknowledged));
            self.acknowledged = acknowledgement;
        }
        let closing = self.heard & PEER_CLOSING != 0 && self.progress & PEER_CLOSED == 0;
        if closing && acknowledgement == self.peer_end {
            // The peer's FIN takes a sequence number, but is no byte.
            self.received = self.received.saturating_sub(1);
            self.progress |= PEER_CLOSED;
        }
    }
}

/// Whether sequence number `a` lies after `b` (RFC 9293 section 3.4).
#[inline(always)]
const fn is_after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).wrapping_sub(1) < 1 << 31
}
