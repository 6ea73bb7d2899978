//! Packets with every kind of header.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::build::{Extension, IPV4, IPV6, Ipv4, Ipv6, Tcp, ethernet, smb};
use crate::parse::Link;

/// Packets that all match under `strict`, each of a flow of its own: source ports begin behind `port`.
pub fn matching(port: u16) -> Vec<(Link, Vec<u8>)> {
    let inside = Ipv4Addr::new(10, 1, 2, 3);
    let outside = Ipv4Addr::new(8, 8, 8, 8);
    let inside6 = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
    let outside6 = Ipv6Addr::new(0x2a00, 0, 0, 0, 0, 0, 0, 1);
    let syn = Tcp { options: vec![1; 20], ..Tcp::syn(0, 445) };
    let data = Tcp { options: vec![1; 12], ..Tcp::data(0, 139, &smb(0xfe, 60)) };
    let other_port = Tcp::data(0, 4450, &smb(0xff, 30));
    let v4 = |payload: &[u8]| Ipv4::new(inside, outside).wrap(payload);
    let options = |payload: &[u8]| Ipv4 { options: vec![1; 24], ..Ipv4::new(inside, outside) }.wrap(payload);
    let v6 = |payload: &[u8]| Ipv6::new(inside6, outside6).wrap(payload);
    let chain = |payload: &[u8]| {
        let extensions = vec![
            Extension::eights(0, 0),
            Extension::eights(60, 1),
            Extension::eights(43, 2),
            Extension::fragment(0, true),
            Extension::authentication(4),
            Extension::eights(135, 0),
            Extension::eights(139, 1),
            Extension::eights(140, 0),
        ];
        Ipv6 { extensions, ..Ipv6::new(inside6, outside6) }.wrap(payload)
    };
    let mut packets = Vec::new();
    let mut port = port;
    for mut segment in [syn, data, other_port] {
        let mut next = |wrap: &dyn Fn(&[u8]) -> Vec<u8>| {
            port += 1;
            segment.source_port = port;
            wrap(&segment.bytes())
        };
        packets.push((Link::None, next(&v4)));
        packets.push((Link::None, next(&chain)));
        packets.push((Link::Ethernet, ethernet(&[], IPV4, &next(&options))));
        packets.push((Link::Ethernet, ethernet(&[(0x8100, 0x2007)], IPV6, &next(&v6))));
        packets.push((Link::Ethernet, ethernet(&[(0x88a8, 100), (0x8100, 0xf0ff)], IPV6, &next(&chain))));
    }
    packets
}
