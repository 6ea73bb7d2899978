//! IPv6 (RFC 8200) and the extension headers that may stand before TCP.

use crate::packet::PacketBytes;
use crate::parse::tcp;
use crate::skip::Skip;

/// Extension headers that are read before the search for TCP is given up.
pub const MAX_EXTENSIONS: usize = 8;

const HEADER: usize = 40;
const PAYLOAD_LENGTH: usize = 4;
const NEXT_HEADER: usize = 6;
const SOURCE: usize = 8;
const DESTINATION: usize = 24;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
const HIP: u8 = 139;
const SHIM6: u8 = 140;

/// An IPv6 header that carries the beginning of a TCP segment.
#[derive(Clone, Copy, Debug)]
pub struct Ipv6<P> {
    header: P,
    /// The TCP header and all that follows.
    pub payload: P,
}

/// Reads a header and its extension headers.
#[inline(always)]
pub fn parse<P: PacketBytes>(header: P) -> Result<Ipv6<P>, Skip> {
    let mut next = header.u8(NEXT_HEADER).ok_or(Skip::Truncated)?;
    let mut payload = header.advance(HEADER);
    let mut passed = 0;
    while next != tcp::PROTOCOL {
        if passed == MAX_EXTENSIONS {
            return Err(if is_extension(next) { Skip::TooManyExtensions } else { Skip::NotTcp });
        }
        passed += 1;
        (next, payload) = extension(next, payload)?;
    }
    if header.u8(0).ok_or(Skip::Truncated)? >> 4 != 6 {
        return Err(Skip::BadHeader);
    }
    Ok(Ipv6 { header, payload })
}

#[inline(always)]
const fn is_extension(kind: u8) -> bool {
    matches!(
        kind,
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS | MOBILITY | HIP | SHIM6
    )
}

/// Reads one extension header of the kind `kind`: what follows it, and where.
#[inline(always)]
fn extension<P: PacketBytes>(kind: u8, header: P) -> Result<(u8, P), Skip> {
    let length = match kind {
        // RFC 8200 section 4.5.
        FRAGMENT => {
            let offset = header.u16(2).ok_or(Skip::Truncated)? & 0xfff8;
            if offset != 0 {
                let next = header.u8(0).ok_or(Skip::Truncated)?;
                let may_be_tcp = next == tcp::PROTOCOL || is_extension(next);
                return Err(if may_be_tcp { Skip::LaterFragment } else { Skip::NotTcp });
            }
            8
        }
        // RFC 4302 section 2.2: in units of four bytes, less two.
        AUTHENTICATION => (usize::from(header.u8(1).ok_or(Skip::Truncated)?) + 2) * 4,
        // RFC 8200 section 4.2: in units of eight bytes, less one.
        HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | MOBILITY | HIP | SHIM6 => {
            (usize::from(header.u8(1).ok_or(Skip::Truncated)?) + 1) * 8
        }
        _ => return Err(Skip::NotTcp),
    };
    let next = header.u8(0).ok_or(Skip::Truncated)?;
    Ok((next, header.advance(length).settle()))
}

impl<P: PacketBytes> Ipv6<P> {
    /// The source address, as four words, first word first.
    #[inline(always)]
    pub fn source(&self) -> Result<[u32; 4], Skip> {
        self.address(SOURCE)
    }

    /// The destination address, as four words, first word first.
    #[inline(always)]
    pub fn destination(&self) -> Result<[u32; 4], Skip> {
        self.address(DESTINATION)
    }

    /// The bytes of TCP that the header announces; none where it announces nothing (jumbograms).
    #[inline(always)]
    pub fn payload_length(&self) -> Option<i64> {
        match self.header.u16(PAYLOAD_LENGTH) {
            None | Some(0) => None,
            Some(length) => {
                let extensions = self.header.remaining() - self.payload.remaining() - HEADER as i64;
                Some(i64::from(length) - extensions)
            }
        }
    }

    #[inline(always)]
    fn address(&self, offset: usize) -> Result<[u32; 4], Skip> {
        let word = |index: usize| self.header.u32(offset + index * 4).ok_or(Skip::Truncated);
        Ok([word(0)?, word(1)?, word(2)?, word(3)?])
    }
}
