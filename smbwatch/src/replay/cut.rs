//! Cuts segments that a network device has cut or put together, as captures of hosts are full of, into those
//! that were on the wire.

use smbwatch_ebpf::packet::{PacketBytes as _, Slice};
use smbwatch_ebpf::parse::tcp::{FIN, RST, SYN};
use smbwatch_ebpf::parse::{Candidate, Link, Way, parse};
use smbwatch_ebpf::rule::Rule;

/// The longest packet that is taken as it is: the kernel runs programs on packets of one page at most.
pub(super) const LONGEST: usize = 3000;
/// Payload of each piece.
const PIECE: usize = 1448;
/// The segment is to be delivered without delay.
const PSH: u8 = 0x08;

const IPV4_TOTAL_LENGTH: usize = 2;
const IPV6_PAYLOAD_LENGTH: usize = 4;
const IPV6_HEADER: usize = 40;
const TCP_SEQUENCE: usize = 4;
const TCP_FLAGS: usize = 13;

/// Hands `packet` to `take` in pieces; as it is, but no longer than the kernel takes, if it is no segment.
pub(super) fn cut<R: Rule>(
    link: Link,
    packet: &[u8],
    rule: &R,
    mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if packet.len() <= LONGEST {
        return take(packet);
    }
    let Some(layout) = Layout::of(link, packet, rule) else {
        return take(packet.get(..LONGEST).unwrap_or(packet));
    };
    let (header, payload) = packet.split_at(layout.payload);
    let payload = payload.get(..layout.length.min(payload.len())).unwrap_or(payload);
    let count = payload.len().div_ceil(PIECE);
    let mut piece = Vec::with_capacity(header.len() + PIECE);
    for (number, part) in payload.chunks(PIECE).enumerate() {
        piece.clear();
        piece.extend(header);
        piece.extend(part);
        layout.fit(&mut piece, number * PIECE, number == 0, number + 1 == count);
        take(&piece)?;
    }
    Ok(())
}

/// Where in a packet things are.
struct Layout {
    is_ipv4: bool,
    ip: usize,
    tcp: usize,
    payload: usize,
    /// Bytes of payload, without padding.
    length: usize,
}

impl Layout {
    fn of<R: Rule>(link: Link, packet: &[u8], rule: &R) -> Option<Self> {
        let candidate = [Way::Out, Way::Back]
            .into_iter()
            .find_map(|way| parse(link, way, Slice::new(packet), rule).ok())?;
        let (is_ipv4, segment) = match candidate {
            Candidate::V4 { segment, .. } => (true, segment),
            Candidate::V6 { segment, .. } => (false, segment),
        };
        let payload = packet.len().checked_sub(usize::try_from(segment.rest).ok()?)?;
        let ports = [segment.source_port.to_be_bytes(), segment.destination_port.to_be_bytes()].concat();
        // The header of a segment is at least 20 and at most 60 bytes before its payload, a multiple of four.
        let tcp = (5..=15).filter_map(|words: usize| payload.checked_sub(words * 4)).find(|at| {
            let words = Slice::new(packet).u8(at + 12).map(|byte| usize::from(byte >> 4));
            packet.get(*at..at + 4) == Some(&ports) && words == Some((payload - at) / 4)
        })?;
        let first = |at: &usize| packet.get(*at).map(|byte| byte >> 4) == Some(if is_ipv4 { 4 } else { 6 });
        let ip = match link {
            Link::None => 0,
            Link::Ethernet => (14..=22).step_by(4).find(first)?,
        };
        Some(Self { is_ipv4, ip, tcp, payload, length: usize::try_from(segment.payload_length).ok()? })
    }

    /// Makes the headers of a piece fit what it carries.
    fn fit(&self, piece: &mut [u8], offset: usize, is_first: bool, is_last: bool) {
        let length = piece.len() - self.ip;
        let (at, length) = if self.is_ipv4 {
            (self.ip + IPV4_TOTAL_LENGTH, length)
        } else {
            (self.ip + IPV6_PAYLOAD_LENGTH, length.saturating_sub(IPV6_HEADER))
        };
        put(piece, at, u16::try_from(length).unwrap_or(0).to_be_bytes());
        let sequence = Slice::new(piece).u32(self.tcp + TCP_SEQUENCE).unwrap_or(0);
        let offset = u32::try_from(offset).unwrap_or(0);
        put(piece, self.tcp + TCP_SEQUENCE, sequence.wrapping_add(offset).to_be_bytes());
        if let Some(flags) = piece.get_mut(self.tcp + TCP_FLAGS) {
            *flags &= if is_first { u8::MAX } else { !SYN };
            *flags &= if is_last { u8::MAX } else { !(FIN | RST | PSH) };
        }
    }
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(place) = bytes.get_mut(at..at + N) {
        place.copy_from_slice(&value);
    }
}

#[cfg(test)]
mod tests {
    use smbwatch_ebpf::testing::build::{IPV4, IPV6, Ipv4, Ipv6, Tcp, ethernet};

    use super::*;
    use crate::config::Config;
    use crate::replay::rule::Lists;

    #[test]
    fn pieces_carry_what_the_whole_did() {
        let config = Config::default();
        let rule = Lists::new(&config);
        let text: Vec<u8> = (0..=u8::MAX).cycle().take(10_000).collect();
        let segment = Tcp { flags: 0x19, options: vec![1; 12], ..Tcp::data(40000, 445, &text) };
        let v4 = Ipv4::new([10, 0, 0, 1].into(), [8, 8, 8, 8].into()).wrap(&segment.bytes());
        let source = "2001:db8::1".parse().expect("an address");
        let v6 = Ipv6::new(source, "2606:2800::1".parse().expect("an address")).wrap(&segment.bytes());
        let strict = Config::of(crate::config::Profile::Strict);
        let strict = Lists::new(&strict);
        for (link, packet, rule) in [
            (Link::Ethernet, ethernet(&[], IPV4, &v4), &rule),
            (Link::Ethernet, ethernet(&[(0x8100, 7)], IPV4, &v4), &rule),
            (Link::None, v4.clone(), &rule),
            (Link::Ethernet, ethernet(&[], IPV6, &v6), &strict),
        ] {
            let (mut said, mut next, mut flags) = (Vec::new(), segment.sequence, Vec::new());
            cut(link, &packet, rule, |piece| {
                assert!(piece.len() <= LONGEST);
                let candidate = parse(link, Way::Out, Slice::new(piece), rule).expect("a segment");
                let (Candidate::V4 { segment, .. } | Candidate::V6 { segment, .. }) = candidate;
                assert_eq!((segment.sequence, segment.rest), (next, segment.payload_length.into()));
                next += segment.payload_length;
                let start = piece.len() - usize::try_from(segment.rest).expect("a length");
                said.extend_from_slice(&piece[start..]);
                flags.push(segment.flags);
                Ok(())
            })
            .expect("pieces");
            assert_eq!(said, text);
            assert_eq!((flags[0], flags[flags.len() - 1], flags.len()), (0x10, 0x19, 7));
        }
    }

    #[test]
    fn what_is_no_segment_is_shortened() {
        let config = Config::default();
        let mut lengths = Vec::new();
        let taken = cut(Link::Ethernet, &[0; 9000], &Lists::new(&config), |piece| {
            lengths.push(piece.len());
            Ok(())
        });
        assert!(taken.is_ok());
        assert_eq!(lengths, [LONGEST]);
    }
}
