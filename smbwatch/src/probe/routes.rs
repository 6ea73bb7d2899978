//! Where default routes leave, and which addresses this host has, by rtnetlink.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enums of netlink grow, and a few of their values matter"
)]

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage, RouteType};
use rtnetlink::{Handle, RouteMessageBuilder};

use super::error::Error;

/// The interfaces that a default route of either family leaves by, in whichever table.
pub async fn default_routes(handle: &Handle) -> Result<HashSet<u32>, Error> {
    let mut found = HashSet::new();
    for filter in
        [RouteMessageBuilder::<Ipv4Addr>::new().build(), RouteMessageBuilder::<Ipv6Addr>::new().build()]
    {
        let mut routes = std::pin::pin!(handle.route().get(filter).execute());
        while let Some(route) = routes.try_next().await? {
            found.extend(default_route_interfaces(&route));
        }
    }
    Ok(found)
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

/// Whether a route is one to everywhere that packets leave by.
pub(super) fn is_default(route: &RouteMessage) -> bool {
    route.header.destination_prefix_length == 0
        && route.header.kind == RouteType::Unicast
        && matches!(route.header.address_family, AddressFamily::Inet | AddressFamily::Inet6)
}

/// The interfaces of a default route, each of its next hops included; none for any other route.
fn default_route_interfaces(route: &RouteMessage) -> Vec<u32> {
    if !is_default(route) {
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
