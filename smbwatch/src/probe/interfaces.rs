//! Interfaces, routes and addresses of this network namespace, by rtnetlink.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enums of netlink grow, and a few of their values matter"
)]

use std::net::IpAddr;

use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::{LinkAttribute, LinkLayerType, LinkMessage};
use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage, RouteType};
use rtnetlink::{Handle, RouteMessageBuilder};

use super::error::Error;

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
    /// Where its packets begin.
    pub layer: Layer,
    /// The kernel's name for its link layer.
    pub kind: String,
}

/// Every interface.
pub async fn all(handle: &Handle) -> Result<Vec<Interface>, Error> {
    let links: Vec<LinkMessage> = handle.link().get().execute().try_collect().await?;
    Ok(links.iter().map(interface).collect())
}

/// The interfaces of that name, or an error that lists the names that exist.
pub async fn named(handle: &Handle, names: &[String]) -> Result<Vec<Interface>, Error> {
    let all = all(handle).await?;
    let find = |name: &String| {
        all.iter().find(|interface| interface.name == *name).cloned().ok_or_else(|| Error::NoInterface {
            name: name.clone(),
            available: all.iter().map(|interface| interface.name.clone()).collect(),
        })
    };
    // A name that is given twice would have each packet judged twice.
    let mut named: Vec<Interface> = Vec::new();
    for name in names {
        let interface = find(name)?;
        if !named.contains(&interface) {
            named.push(interface);
        }
    }
    Ok(named)
}

/// The interfaces that a default route of either family leaves by.
pub async fn with_default_route(handle: &Handle) -> Result<Vec<Interface>, Error> {
    let mut routes = routes(handle, RouteMessageBuilder::<std::net::Ipv4Addr>::new().build()).await?;
    routes.extend(self::routes(handle, RouteMessageBuilder::<std::net::Ipv6Addr>::new().build()).await?);
    let uplinks: Vec<u32> = routes.iter().flat_map(default_route_interfaces).collect();
    Ok(all(handle).await?.into_iter().filter(|interface| uplinks.contains(&interface.index)).collect())
}

/// Every address of this host, with its interface's scope left aside.
pub async fn addresses(handle: &Handle) -> Result<Vec<IpAddr>, Error> {
    let messages: Vec<AddressMessage> = handle.address().get().execute().try_collect().await?;
    let address = |message: &AddressMessage| {
        let local = message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Local(address) => Some(*address),
            _ => None,
        });
        local.or_else(|| {
            message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Address(address) => Some(*address),
                _ => None,
            })
        })
    };
    Ok(messages.iter().filter_map(address).collect())
}

async fn routes(handle: &Handle, filter: RouteMessage) -> Result<Vec<RouteMessage>, Error> {
    Ok(handle.route().get(filter).execute().try_collect().await?)
}

fn interface(link: &LinkMessage) -> Interface {
    let name = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    });
    Interface {
        index: link.header.index,
        name: name.unwrap_or_else(|| link.header.index.to_string()),
        layer: layer(link.header.link_layer_type),
        kind: format!("{:?}", link.header.link_layer_type),
    }
}

fn layer(kind: LinkLayerType) -> Layer {
    match kind {
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

/// The interfaces of a default route, each of its next hops included; none for any other route.
fn default_route_interfaces(route: &RouteMessage) -> Vec<u32> {
    let is_default = route.header.destination_prefix_length == 0
        && route.header.kind == RouteType::Unicast
        && matches!(route.header.address_family, AddressFamily::Inet | AddressFamily::Inet6);
    if !is_default {
        return Vec::new();
    }
    route
        .attributes
        .iter()
        .flat_map(|attribute| match attribute {
            RouteAttribute::Oif(index) => vec![*index],
            RouteAttribute::MultiPath(hops) => hops.iter().map(|hop| hop.interface_index).collect(),
            _ => Vec::new(),
        })
        .collect()
}
