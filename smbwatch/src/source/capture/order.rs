//! Numbers in the byte order of whoever wrote the capture, and what its clock counts.

use jiff::Timestamp;

const NANOSECONDS: u128 = 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = bytes.get(at..)?.first_chunk().copied()?;
        Some(match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        })
    }

    pub(super) fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = bytes.get(at..)?.first_chunk().copied()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        })
    }

    pub(super) fn i64(self, bytes: &[u8]) -> Option<i64> {
        let bytes = bytes.first_chunk().copied()?;
        Some(match self {
            Self::Little => i64::from_le_bytes(bytes),
            Self::Big => i64::from_be_bytes(bytes),
        })
    }
}

/// The time that is `ticks` of a clock with `per_second` of them behind `seconds`.
pub(super) fn time(seconds: i64, ticks: u64, per_second: u64) -> Option<Timestamp> {
    let whole = i64::try_from(ticks.checked_div(per_second)?).ok()?;
    let nanoseconds = u128::from(ticks % per_second) * NANOSECONDS / u128::from(per_second);
    Timestamp::new(seconds.checked_add(whole)?, i32::try_from(nanoseconds).ok()?).ok()
}
