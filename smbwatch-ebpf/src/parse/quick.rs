//! The packets that hosts send and get most, dismissed before the parser begins: untagged, with a plain IP
//! header, and no TCP, or TCP that is of no interest by its port, payload and flags.

use crate::packet::PacketBytes;
use crate::parse::Way;
use crate::parse::ethernet::{ETHERTYPE, IPV4, IPV6};
use crate::parse::smb;
use crate::parse::tcp::{self, FIN, RST, SYN};
use crate::rule::Rule;

// Offsets from the first byte of the frame.
const IP: usize = 14;
const IPV4_FRAGMENT: usize = IP + 6;
const IPV4_PROTOCOL: usize = IP + 9;
const IPV4_PAYLOAD: usize = IP + 20;
const IPV6_NEXT_HEADER: usize = IP + 6;
const IPV6_PAYLOAD: usize = IP + 40;

// Offsets from the first byte of the TCP header.
const DESTINATION_PORT: usize = 2;
const OFFSET_AND_FLAGS: usize = 12;

/// Version 4 and a header of five words.
const PLAIN_IPV4: u8 = 0x45;
const FRAGMENT_OFFSET: u16 = 0x1fff;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// Whether the parser would dismiss a frame without counting it. Says no where it is not sure.
#[inline(always)]
pub fn is_plainly_other<P: PacketBytes, R: Rule>(way: Way, frame: P, rule: &R) -> bool {
    match frame.u16(ETHERTYPE) {
        Some(IPV4) => ipv4(way, frame, rule),
        Some(IPV6) => !rule.any_source6() || ipv6(way, frame, rule),
        _ => false,
    }
}

#[inline(always)]
fn ipv4<P: PacketBytes, R: Rule>(way: Way, frame: P, rule: &R) -> bool {
    // The furthest read comes first, so that one bounds check serves for all.
    let Some(offset_and_flags) = frame.u16(IPV4_PAYLOAD + OFFSET_AND_FLAGS) else { return false };
    if frame.u8(IP) != Some(PLAIN_IPV4) {
        return false;
    }
    if frame.u8(IPV4_PROTOCOL) != Some(tcp::PROTOCOL) {
        return true;
    }
    frame.u16(IPV4_FRAGMENT).is_some_and(|fragment| fragment & FRAGMENT_OFFSET == 0)
        && other_segment(way, frame, IPV4_PAYLOAD, offset_and_flags, rule)
}

#[inline(always)]
fn ipv6<P: PacketBytes, R: Rule>(way: Way, frame: P, rule: &R) -> bool {
    match frame.u8(IPV6_NEXT_HEADER) {
        Some(UDP | ICMPV6) => true,
        Some(tcp::PROTOCOL) => {
            let Some(offset_and_flags) = frame.u16(IPV6_PAYLOAD + OFFSET_AND_FLAGS) else { return false };
            frame.u8(IP).is_some_and(|first| first >> 4 == 6)
                && other_segment(way, frame, IPV6_PAYLOAD, offset_and_flags, rule)
        }
        _ => false,
    }
}

/// Whether the segment whose header is at `header` fails the port clause.
#[inline(always)]
fn other_segment<P: PacketBytes, R: Rule>(
    way: Way,
    frame: P,
    header: usize,
    offset_and_flags: u16,
    rule: &R,
) -> bool {
    let flags = offset_and_flags.to_be_bytes()[1];
    match way {
        Way::Out => {
            if frame.u16(header + DESTINATION_PORT).is_none_or(|port| rule.watches(port)) {
                return false;
            }
            if !rule.any_port() {
                return true;
            }
            if flags & (FIN | RST) != 0 && rule.content_flows() {
                return false;
            }
            let payload = frame.advance(header + tcp::header_length(offset_and_flags));
            !payload.deep_u64().is_some_and(smb::begins_message)
        }
        Way::Back => {
            let is_watched = frame.u16(header).is_none_or(|port| rule.watches(port));
            flags & (SYN | FIN | RST) == 0 && !(rule.takes_payload() && is_watched)
        }
    }
}
