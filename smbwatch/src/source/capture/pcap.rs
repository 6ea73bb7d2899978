//! The pcap format: a header, then packets of one link type (draft-ietf-opsawg-pcap).

use std::io::Read;

use super::error::Problem;
use super::input::Input;
use super::link::LinkType;
use super::order::{Order, time};
use super::{MAX_PACKET, Record};

const HEADER: usize = 24;
const LINK: usize = 20;
const RECORD: usize = 16;

/// What the first four bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Variant {
    order: Order,
    per_second: u64,
}

pub(super) struct File {
    variant: Variant,
    link: LinkType,
}

impl Variant {
    pub(super) const fn of(magic: [u8; 4]) -> Option<Self> {
        let (order, per_second) = match magic {
            [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, 1_000_000),
            [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, 1_000_000),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, 1_000_000_000),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, 1_000_000_000),
            _ => return None,
        };
        Some(Self { order, per_second })
    }
}

impl File {
    pub(super) fn open<R: Read>(input: &mut Input<R>, variant: Variant) -> Result<Self, Problem> {
        let header = input.take(HEADER)?;
        // The upper half tells about the frame check sequence.
        let link = variant.order.u32(header, LINK).ok_or(Problem::Ends)? & 0xffff;
        let link = LinkType::from_number(link).map_err(|link| Problem::Link { link, interface: 0 })?;
        Ok(Self { variant, link })
    }

    pub(super) fn next<'a, R: Read>(&self, input: &'a mut Input<R>) -> Result<Option<Record<'a>>, Problem> {
        let start = input.offset();
        let Variant { order, per_second } = self.variant;
        let Some(header) = input.take(RECORD)?.first_chunk::<RECORD>().copied() else {
            return if input.offset() == start { Ok(None) } else { Err(Problem::Ends) };
        };
        let field = |at| order.u32(&header, at).ok_or(Problem::Ends);
        let (seconds, ticks, captured, original) = (field(0)?, field(4)?, field(8)?, field(12)?);
        let length = usize::try_from(captured).unwrap_or(usize::MAX);
        if length > MAX_PACKET {
            return Err(Problem::Captured(captured));
        }
        let bytes = input.take(length)?;
        if bytes.len() < length {
            return Err(Problem::Ends);
        }
        let time = time(i64::from(seconds), u64::from(ticks), per_second).ok_or(Problem::Time)?;
        Ok(Some(Record { time, link: Ok(self.link), interface: 0, bytes, original }))
    }
}
