//! IPv4 (RFC 791).

use crate::packet::PacketBytes;
use crate::parse::tcp;
use crate::skip::Skip;

const MIN_HEADER: usize = 20;
const TOTAL_LENGTH: usize = 2;
const FRAGMENT: usize = 6;
const PROTOCOL: usize = 9;
const SOURCE: usize = 12;
const DESTINATION: usize = 16;
const FRAGMENT_OFFSET: u16 = 0x1fff;

/// An IPv4 header that carries the beginning of a TCP segment.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4<P> {
    header: P,
    header_length: usize,
    /// The TCP header and all that follows.
    pub payload: P,
}

/// Reads a header with any options.
#[inline(always)]
pub fn parse<P: PacketBytes>(header: P) -> Result<Ipv4<P>, Skip> {
    if header.u8(PROTOCOL).ok_or(Skip::Truncated)? != tcp::PROTOCOL {
        return Err(Skip::NotTcp);
    }
    let version_and_length = header.u8(0).ok_or(Skip::Truncated)?;
    let header_length = usize::from(version_and_length & 0x0f) * 4;
    if version_and_length >> 4 != 4 || header_length < MIN_HEADER {
        return Err(Skip::BadHeader);
    }
    if header.u16(FRAGMENT).ok_or(Skip::Truncated)? & FRAGMENT_OFFSET != 0 {
        return Err(Skip::LaterFragment);
    }
    Ok(Ipv4 { header, header_length, payload: header.advance(header_length) })
}

impl<P: PacketBytes> Ipv4<P> {
    /// The source address.
    #[inline(always)]
    pub fn source(&self) -> Result<u32, Skip> {
        self.header.u32(SOURCE).ok_or(Skip::Truncated)
    }

    /// The destination address.
    #[inline(always)]
    pub fn destination(&self) -> Result<u32, Skip> {
        self.header.u32(DESTINATION).ok_or(Skip::Truncated)
    }

    /// The bytes of payload that the header announces; none where it announces nothing, as the kernel
    /// has it for segments past 64 KiB that the device will cut (BIG TCP).
    #[inline(always)]
    pub fn payload_length(&self) -> Option<i64> {
        match self.header.u16(TOTAL_LENGTH) {
            None | Some(0) => None,
            Some(length) => Some(i64::from(length) - self.header_length as i64),
        }
    }
}
