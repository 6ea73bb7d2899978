//! The interfaces of this network namespace and where its default routes leave, kept up to date by rtnetlink.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enums of netlink grow, and a few of their values matter"
)]

use std::collections::{BTreeMap, HashSet};

use futures_util::TryStreamExt as _;
use rtnetlink::Handle;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use super::error::Error;
use super::routes;

/// Where an interface's packets begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// With an Ethernet header.
    Ethernet,
    /// With an IP header.
    Ip,
    /// With something else.
    Other,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its link layer.
    pub link_type: LinkLayerType,
    /// The kernel's name for its kind (IFLA_INFO_KIND); a physical one has none.
    pub kind: Option<String>,
    /// What it is a port of, by index.
    pub master: Option<u32>,
    /// The kind of that (IFLA_INFO_SLAVE_KIND).
    pub port_kind: Option<String>,
    /// Whether it is administratively up.
    pub up: bool,
    /// Tells it from one that had the same index, went away, and lost what was attached.
    pub generation: u64,
}

/// What is known of this network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Every interface, by index.
    pub interfaces: BTreeMap<u32, Interface>,
    /// Indexes of those that a default route of either family leaves by.
    pub default_routes: HashSet<u32>,
    generation: u64,
}

/// What a message of the kernel did to a snapshot; the later, the more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Nothing.
    None,
    /// Interfaces have changed.
    Changed,
    /// Default routes have to be read again.
    RoutesStale,
    /// Messages were lost: everything has to be read again.
    AllStale,
}

impl Snapshot {
    /// Reads everything.
    pub async fn take(handle: &Handle) -> Result<Self, Error> {
        let links: Vec<LinkMessage> = handle.link().get().execute().try_collect().await?;
        let interfaces = links.iter().map(|link| (link.header.index, interface(link, 0))).collect();
        Ok(Self { interfaces, default_routes: routes::default_routes(handle).await?, generation: 0 })
    }

    /// Takes the place of `earlier`, some of whose interfaces it still holds.
    pub fn succeed(&mut self, earlier: &Self) {
        self.generation = earlier.generation + 1;
        for (index, interface) in &mut self.interfaces {
            interface.generation =
                earlier.interfaces.get(index).map_or(self.generation, |known| known.generation);
        }
    }

    /// Learns from a message that the kernel sent by itself.
    pub fn learn(&mut self, message: &NetlinkMessage<RouteNetlinkMessage>) -> Effect {
        match &message.payload {
            NetlinkPayload::Overrun(_) => Effect::AllStale,
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) if is_whole(link) => {
                self.add(link)
            }
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(link)) if is_whole(link) => {
                self.default_routes.remove(&link.header.index);
                self.generation += 1;
                self.interfaces.remove(&link.header.index).map_or(Effect::None, |_| Effect::Changed)
            }
            NetlinkPayload::InnerMessage(
                RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route),
            ) if routes::is_default(route) => Effect::RoutesStale,
            _ => Effect::None,
        }
    }

    fn add(&mut self, link: &LinkMessage) -> Effect {
        let index = link.header.index;
        let known = self.interfaces.get(&index);
        let found = interface(link, known.map_or(self.generation, |known| known.generation));
        if known == Some(&found) {
            return Effect::None;
        }
        // IPv4 routes of an interface that is set down go without a message.
        let fell = !found.up && self.default_routes.contains(&index);
        self.interfaces.insert(index, found);
        if fell { Effect::RoutesStale } else { Effect::Changed }
    }
}

impl Interface {
    /// Stands for where a capture was made.
    pub fn of_capture() -> Self {
        Self {
            index: 1,
            name: "capture".to_owned(),
            link_type: LinkLayerType::Ether,
            kind: None,
            master: None,
            port_kind: None,
            up: true,
            generation: 0,
        }
    }

    /// Whether a process holds its other end, and sends frames by it.
    pub fn is_tap(&self) -> bool {
        match self.kind.as_deref() {
            Some("tun") => self.layer() == Layer::Ethernet,
            Some("macvtap" | "ipvtap") => true,
            Some(_) | None => false,
        }
    }

    /// Where its packets begin.
    pub fn layer(&self) -> Layer {
        match self.link_type {
            LinkLayerType::Ether | LinkLayerType::Loopback => Layer::Ethernet,
            LinkLayerType::None
            | LinkLayerType::Ppp
            | LinkLayerType::Tunnel
            | LinkLayerType::Tunnel6
            | LinkLayerType::Sit
            | LinkLayerType::Ipgre
            | LinkLayerType::Ip6gre
            | LinkLayerType::Rawip => Layer::Ip,
            _ => Layer::Other,
        }
    }
}

/// Whether a message is about the interface itself: not its place in a bridge, not a wireless event, both of
/// which leave out most of it.
fn is_whole(link: &LinkMessage) -> bool {
    link.header.interface_family == AddressFamily::Unspec
        && !link.attributes.iter().any(|attribute| matches!(attribute, LinkAttribute::Wireless(_)))
}

fn interface(link: &LinkMessage, generation: u64) -> Interface {
    let mut interface = Interface {
        index: link.header.index,
        name: link.header.index.to_string(),
        link_type: link.header.link_layer_type,
        kind: None,
        master: None,
        port_kind: None,
        up: link.header.flags.contains(LinkFlags::Up),
        generation,
    };
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => interface.name.clone_from(name),
            LinkAttribute::Controller(master) => interface.master = Some(*master),
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    match info {
                        LinkInfo::Kind(kind) => interface.kind = Some(kind.to_string()),
                        LinkInfo::PortKind(kind) => interface.port_kind = Some(kind.to_string()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    interface
}
