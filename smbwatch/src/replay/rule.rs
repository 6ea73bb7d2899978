//! The rule for packets that are judged on the host, as the programs have it in their maps.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smbwatch_ebpf::rule::{Destination, Rule};
use smbwatch_ebpf::settings::Settings;

use crate::config::Config;
use crate::ranges::{Kind, longest};

/// A configuration, asked as the parser asks.
pub(super) struct Lists<'a> {
    config: &'a Config,
    settings: Settings,
    /// A flow was recognised by its content.
    pub(super) content_flows: Cell<bool>,
}

impl<'a> Lists<'a> {
    pub(super) fn new(config: &'a Config) -> Self {
        Self { config, settings: crate::probe::settings(config), content_flows: Cell::new(false) }
    }

    pub(super) fn payload_limit(&self) -> u32 {
        self.settings.payload
    }

    pub(super) fn transfer(&self) -> u64 {
        u64::from(self.settings.transfer) << 10
    }

    fn source(&self, address: IpAddr) -> bool {
        self.config.sources.iter().any(|prefix| prefix.contains(&address))
    }

    fn destination(&self, address: IpAddr) -> Option<Destination> {
        longest(&self.config.destinations, address).and_then(|range| match range.kind {
            Kind::Public => None,
            Kind::Reserved => Some(Destination::Reserved),
            Kind::Exception => Some(Destination::Exception),
        })
    }
}

impl Rule for Lists<'_> {
    fn watches(&self, port: u16) -> bool {
        self.config.ports.contains(&port)
    }

    fn any_port(&self) -> bool {
        self.config.any_port
    }

    fn content_flows(&self) -> bool {
        self.config.any_port && self.content_flows.get()
    }

    fn takes_payload(&self) -> bool {
        self.settings.payload != 0
    }

    fn lan4(&self, address: u32) -> bool {
        self.settings.lan4.iter().any(|range| range.contains(address))
    }

    fn lan6(&self, [first, ..]: [u32; 4]) -> bool {
        self.settings.lan6.iter().any(|range| range.contains(first))
    }

    fn any_source6(&self) -> bool {
        self.settings.any_source6 != 0
    }

    fn source4(&self, address: u32) -> bool {
        self.source(Ipv4Addr::from_bits(address).into())
    }

    fn source6(&self, address: [u32; 4]) -> bool {
        self.source(v6(address))
    }

    fn destination4(&self, address: u32) -> Option<Destination> {
        self.destination(Ipv4Addr::from_bits(address).into())
    }

    fn destination6(&self, address: [u32; 4]) -> Option<Destination> {
        self.destination(v6(address))
    }

    fn embedded_ipv4(&self) -> bool {
        self.config.embedded_ipv4
    }
}

pub(super) fn v6([a, b, c, d]: [u32; 4]) -> IpAddr {
    let bits = u128::from(a) << 96 | u128::from(b) << 64 | u128::from(c) << 32 | u128::from(d);
    Ipv6Addr::from_bits(bits).into()
}
