//! The packets that hosts send most, dismissed before the parser begins: untagged IPv4 without options that
//! is no TCP, or TCP to a port that is not watched and without an SMB message.

use crate::packet::PacketBytes;
use crate::parse::ethernet;
use crate::parse::smb;
use crate::parse::tcp::{self, FIN, RST};
use crate::rule::Rule;

// Offsets from the first byte of the frame.
const VERSION_AND_LENGTH: usize = 14;
const FRAGMENT: usize = 20;
const PROTOCOL: usize = 23;
const DESTINATION_PORT: usize = 36;
const OFFSET_AND_FLAGS: usize = 46;
const TCP: usize = 34;

/// Version 4 and a header of five words.
const PLAIN: u8 = 0x45;
const FRAGMENT_OFFSET: u16 = 0x1fff;

/// Whether the parser would dismiss a frame without counting it. Says no where it is not sure.
#[inline(always)]
pub fn is_plainly_other<P: PacketBytes, R: Rule>(frame: P, rule: &R) -> bool {
    // The furthest read comes first, so that one bounds check serves for all.
    let Some(offset_and_flags) = frame.u16(OFFSET_AND_FLAGS) else { return false };
    if frame.u16(ethernet::ETHERTYPE) != Some(ethernet::IPV4) || frame.u8(VERSION_AND_LENGTH) != Some(PLAIN) {
        return false;
    }
    if frame.u8(PROTOCOL) != Some(tcp::PROTOCOL) {
        return true;
    }
    if frame.u16(FRAGMENT).is_none_or(|fragment| fragment & FRAGMENT_OFFSET != 0)
        || frame.u16(DESTINATION_PORT).is_none_or(|port| rule.watches(port))
    {
        return false;
    }
    if !rule.any_port() {
        return true;
    }
    if offset_and_flags.to_be_bytes()[1] & (FIN | RST) != 0 && rule.content_flows() {
        return false;
    }
    let payload = frame.advance(TCP + tcp::header_length(offset_and_flags));
    payload.remaining() < smb::MAGIC || payload.deep_u64().is_some_and(|first| !smb::begins_message(first))
}
