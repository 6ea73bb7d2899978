//! The pcapng format: sections of blocks, among them interfaces and packets (draft-ietf-opsawg-pcapng).

mod interface;

use std::io::Read;

use jiff::Timestamp;

use super::error::Problem;
use super::input::{Input, MAX_BLOCK};
use super::order::Order;
use super::{MAX_PACKET, Record};
use interface::Interface;

/// How a section begins, in either byte order.
pub(super) const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
/// What the enhanced packet block replaced; old captures have it.
const PACKET: u32 = 2;
const SIMPLE: u32 = 3;
const ENHANCED: u32 = 6;

/// Type and length.
const HEAD: usize = 8;
/// The length again.
const TAIL: usize = 4;
/// Interface, time and lengths before the bytes of a packet.
const PACKET_FIELDS: usize = 20;
/// More than any machine has; what a hostile stream may make us remember.
const MAX_INTERFACES: usize = 1 << 16;

/// What the blocks of a section have in common.
pub(super) struct Section {
    order: Order,
    interfaces: Vec<Interface>,
    /// The time of the last packet that had one.
    time: Timestamp,
}

impl Default for Section {
    fn default() -> Self {
        Self { order: Order::Little, interfaces: Vec::new(), time: Timestamp::UNIX_EPOCH }
    }
}

impl Section {
    /// The next packet; `block` becomes where in the stream the last block begins.
    pub(super) fn next<'a, R: Read>(
        &mut self,
        input: &'a mut Input<R>,
        block: &mut u64,
    ) -> Result<Option<Record<'a>>, Problem> {
        loop {
            *block = input.offset();
            let Some(head) = input.take(HEAD)?.first_chunk::<HEAD>().copied() else {
                return if input.offset() == *block { Ok(None) } else { Err(Problem::Ends) };
            };
            if head.starts_with(&MAGIC) {
                self.begin(input)?;
            }
            let (kind, length) = (self.order.u32(&head, 0), self.order.u32(&head, HEAD / 2));
            let (Some(kind), Some(length)) = (kind, length) else { return Err(Problem::Ends) };
            match kind {
                SECTION => pass(self.order, input, length)?,
                INTERFACE => {
                    if self.interfaces.len() == MAX_INTERFACES {
                        return Err(Problem::Interfaces);
                    }
                    self.interfaces.push(Interface::parse(self.order, body(self.order, input, length)?)?);
                }
                ENHANCED | PACKET => return self.packet(kind, body(self.order, input, length)?).map(Some),
                SIMPLE => return self.simple(body(self.order, input, length)?).map(Some),
                _ => pass(self.order, input, length)?,
            }
        }
    }

    /// Learns the byte order of a new section, which has interfaces of its own.
    fn begin<R: Read>(&mut self, input: &mut Input<R>) -> Result<(), Problem> {
        self.interfaces.clear();
        self.order = match input.peek(4)? {
            [0x4d, 0x3c, 0x2b, 0x1a] => Order::Little,
            [0x1a, 0x2b, 0x3c, 0x4d] => Order::Big,
            [_, _, _, _] => return Err(Problem::ByteOrder),
            _ => return Err(Problem::Ends),
        };
        Ok(())
    }

    fn packet<'a>(&mut self, kind: u32, body: &'a [u8]) -> Result<Record<'a>, Problem> {
        let field = |at| self.order.u32(body, at).ok_or(Problem::Fields);
        let index = match kind {
            PACKET => self.order.u16(body, 0).map(u32::from).ok_or(Problem::Fields)?,
            _ => field(0)?,
        };
        let (high, low, captured, original) = (field(4)?, field(8)?, field(12)?, field(16)?);
        let interface = self.interface(index)?;
        let ticks = u64::from(high) << 32 | u64::from(low);
        let bytes = take(body.get(PACKET_FIELDS..).unwrap_or_default(), captured)?;
        let (link, time) = (interface.link, interface.time(ticks).ok_or(Problem::Time)?);
        self.time = time;
        Ok(Record { time, link, interface: index, bytes, original })
    }

    /// A packet of the first interface, without a time, and cut where that interface cuts.
    fn simple<'a>(&self, body: &'a [u8]) -> Result<Record<'a>, Problem> {
        let original = self.order.u32(body, 0).ok_or(Problem::Fields)?;
        let interface = self.interface(0)?;
        let captured = match interface.snap_length {
            0 => original,
            limit => original.min(limit),
        };
        let bytes = take(body.get(4..).unwrap_or_default(), captured)?;
        Ok(Record { time: self.time, link: interface.link, interface: 0, bytes, original })
    }

    fn interface(&self, index: u32) -> Result<&Interface, Problem> {
        let known = usize::try_from(index).ok().and_then(|index| self.interfaces.get(index));
        known.ok_or(Problem::Interface { index, known: self.interfaces.len() })
    }
}

/// The first `captured` of `bytes`.
fn take(bytes: &[u8], captured: u32) -> Result<&[u8], Problem> {
    match usize::try_from(captured) {
        Ok(length) if length <= MAX_PACKET => bytes.get(..length).ok_or(Problem::Fields),
        _ => Err(Problem::Captured(captured)),
    }
}

/// What is between type and trailing length of a block.
fn body<R: Read>(order: Order, input: &mut Input<R>, length: u32) -> Result<&[u8], Problem> {
    let rest = rest(length)?;
    if rest > MAX_BLOCK {
        return Err(Problem::Block(length));
    }
    let block = input.take(rest)?;
    if block.len() < rest {
        return Err(Problem::Ends);
    }
    let (body, tail) = block.split_at_checked(rest - TAIL).ok_or(Problem::Block(length))?;
    if order.u32(tail, 0) == Some(length) { Ok(body) } else { Err(Problem::Block(length)) }
}

/// Passes a block that is of no use here, however long.
fn pass<R: Read>(order: Order, input: &mut Input<R>, length: u32) -> Result<(), Problem> {
    if !input.skip(rest(length)? - TAIL)? {
        return Err(Problem::Ends);
    }
    match order.u32(input.take(TAIL)?, 0) {
        Some(tail) if tail == length => Ok(()),
        Some(_) => Err(Problem::Block(length)),
        None => Err(Problem::Ends),
    }
}

/// How many bytes of a block are behind its head; at least its tail is.
fn rest(length: u32) -> Result<usize, Problem> {
    let rest = usize::try_from(length).ok().and_then(|length| length.checked_sub(HEAD));
    rest.filter(|rest| *rest >= TAIL && rest.is_multiple_of(4)).ok_or(Problem::Block(length))
}
