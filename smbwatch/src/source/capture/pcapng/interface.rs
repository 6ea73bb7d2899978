//! The interface description block, and the times of its packets.

use jiff::Timestamp;

use crate::source::capture::error::Problem;
use crate::source::capture::link::{LinkType, Unsupported};
use crate::source::capture::order::{Order, time};

const SNAP_LENGTH: usize = 4;
const OPTIONS: usize = 8;

const END_OF_OPTIONS: u16 = 0;
const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;

#[derive(Debug)]
pub(super) struct Interface {
    /// Told when a packet comes: an interface without packets is no obstacle.
    pub(super) link: Result<LinkType, Unsupported>,
    /// Where packets are cut; 0 where they are not.
    pub(super) snap_length: u32,
    /// Ticks of its clock.
    per_second: u64,
    /// What its clock starts from, in seconds.
    offset: i64,
}

impl Interface {
    pub(super) fn parse(order: Order, body: &[u8]) -> Result<Self, Problem> {
        let link = order.u16(body, 0).ok_or(Problem::Fields)?;
        let snap_length = order.u32(body, SNAP_LENGTH).ok_or(Problem::Fields)?;
        let link = LinkType::from_number(link.into());
        let mut interface = Self { link, snap_length, per_second: 1_000_000, offset: 0 };
        let mut options = body.get(OPTIONS..).unwrap_or_default();
        while !options.is_empty() {
            let code = order.u16(options, 0).ok_or(Problem::Fields)?;
            let length = usize::from(order.u16(options, 2).ok_or(Problem::Fields)?);
            let value = options.get(4..4 + length).ok_or(Problem::Fields)?;
            match code {
                END_OF_OPTIONS => break,
                IF_TSRESOL => interface.per_second = per_second(value)?,
                IF_TSOFFSET => interface.offset = order.i64(value).ok_or(Problem::Fields)?,
                _ => {}
            }
            options = options.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(interface)
    }

    pub(super) fn time(&self, ticks: u64) -> Option<Timestamp> {
        time(self.offset, ticks, self.per_second)
    }
}

/// A negative power of ten, or of two where the highest bit is set.
fn per_second(value: &[u8]) -> Result<u64, Problem> {
    let exponent = *value.first().ok_or(Problem::Fields)?;
    match exponent & 0x80 {
        0 => 10_u64.checked_pow(exponent.into()),
        _ => 2_u64.checked_pow((exponent & 0x7f).into()),
    }
    .ok_or(Problem::Resolution(exponent))
}
