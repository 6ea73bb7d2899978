//! What an interface is to this host, and so at which hook its clients are seen.

use std::fmt;

use rtnetlink::packet_route::link::LinkLayerType;
use serde::Serialize;

use super::interfaces::{Interface, Layer, Snapshot};
use crate::config::interfaces::{Choice, Interfaces};

/// What an interface is to this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It leads out of the host.
    Uplink,
    /// It is the host's side of a container's or a virtual machine's link.
    Workload,
}

/// Where, seen from the host, clients' packets pass an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Where packets leave by it.
    Egress,
    /// Where packets come in by it.
    Ingress,
}

/// How an interface is to be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// What it is.
    pub role: Role,
    /// Where its clients are seen.
    pub direction: Direction,
}

/// Whether an interface is to be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is, in this way.
    Watched(Watch),
    /// It is not, for a reason in words.
    NotWatched(String),
}

/// What leaves the host.
pub const UPLINK: Watch = Watch { role: Role::Uplink, direction: Direction::Egress };
pub(super) const WORKLOAD: Watch = Watch { role: Role::Workload, direction: Direction::Ingress };
/// What a virtual machine writes into a macvtap is sent by that interface (`tap_get_user`).
const MACVTAP: Watch = Watch { role: Role::Workload, direction: Direction::Egress };

impl Role {
    /// The role's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uplink => "uplink",
            Self::Workload => "workload",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Egress => "egress",
            Self::Ingress => "ingress",
        })
    }
}

/// Whether `interface` is to be watched, and how.
pub fn verdict(interface: &Interface, snapshot: &Snapshot, interfaces: &Interfaces) -> Verdict {
    if interface.layer() == Layer::Other {
        return not(format!("link type {:?} carries neither Ethernet nor plain IP", interface.link_type));
    }
    match interfaces.choose(&interface.name) {
        Choice::Excluded => not("excluded by the configuration"),
        Choice::NotIncluded => not("not among the interfaces that are asked for"),
        Choice::ByRole => by_role(interface, snapshot),
        Choice::Named => match by_role(interface, snapshot) {
            Verdict::NotWatched(_) => Verdict::Watched(UPLINK),
            watched @ Verdict::Watched(_) => watched,
        },
    }
}

fn by_role(interface: &Interface, snapshot: &Snapshot) -> Verdict {
    if snapshot.default_routes.contains(&interface.index) {
        return Verdict::Watched(UPLINK);
    }
    if let Some("bond" | "team") = interface.port_kind.as_deref() {
        let master = interface.master.and_then(|index| snapshot.interfaces.get(&index));
        let master = master.map_or("bond", |master| master.name.as_str());
        return not(format!("port of {master}, which carries the same packets"));
    }
    if interface.link_type == LinkLayerType::Loopback {
        return not("loopback: nothing leaves by it");
    }
    let Some(kind) = &interface.kind else { return Verdict::Watched(UPLINK) };
    match kind.as_str() {
        // Even while its other end is still here: that is about to become a container's.
        "veth" | "netkit" => Verdict::Watched(WORKLOAD),
        "macvtap" | "ipvtap" => Verdict::Watched(MACVTAP),
        _ if interface.is_tap() => Verdict::Watched(WORKLOAD),
        "bridge" => not("bridge without a default route: its ports are watched"),
        "vrf" => not("VRF: its ports are watched"),
        "macvlan" | "ipvlan" => not(format!("{kind}: its packets leave by its parent, which is watched")),
        "vxlan" | "geneve" => {
            not(format!("{kind} overlay: what it carries comes from links that are watched"))
        }
        "dummy" | "ifb" | "netdevsim" => not(format!("{kind}: nothing leaves by it")),
        // Bonds, VLANs and tunnels; and a kind that is not known may lead out.
        _ => Verdict::Watched(UPLINK),
    }
}

fn not(reason: impl Into<String>) -> Verdict {
    Verdict::NotWatched(reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETHER: LinkLayerType = LinkLayerType::Ether;
    const NONE: LinkLayerType = LinkLayerType::None;
    const INDEX: u32 = 7;

    fn interface(name: &str, link_type: LinkLayerType, kind: &str) -> Interface {
        Interface {
            index: INDEX,
            name: name.to_owned(),
            link_type,
            kind: (!kind.is_empty()).then(|| kind.to_owned()),
            master: None,
            port_kind: None,
            up: true,
            generation: 0,
        }
    }

    fn words(verdict: &Verdict) -> String {
        match verdict {
            Verdict::Watched(Watch { role, direction }) => format!("{role} {direction}"),
            Verdict::NotWatched(reason) => reason.clone(),
        }
    }

    #[test]
    fn each_kind_has_its_role() {
        let overlay = "overlay: what it carries comes from links that are watched";
        for (link_type, kind, expected) in [
            (ETHER, "", "uplink egress"),
            (ETHER, "bond", "uplink egress"),
            (ETHER, "team", "uplink egress"),
            (ETHER, "vlan", "uplink egress"),
            (ETHER, "macsec", "uplink egress"),
            (ETHER, "gretap", "uplink egress"),
            (ETHER, "openvswitch", "uplink egress"),
            (NONE, "wireguard", "uplink egress"),
            (NONE, "tun", "uplink egress"),
            (NONE, "xfrm", "uplink egress"),
            (LinkLayerType::Tunnel, "ipip", "uplink egress"),
            (LinkLayerType::Ipgre, "gre", "uplink egress"),
            (LinkLayerType::Ppp, "", "uplink egress"),
            (ETHER, "veth", "workload ingress"),
            (ETHER, "netkit", "workload ingress"),
            (ETHER, "tun", "workload ingress"),
            (ETHER, "macvtap", "workload egress"),
            (ETHER, "ipvtap", "workload egress"),
            (LinkLayerType::Loopback, "", "loopback: nothing leaves by it"),
            (ETHER, "bridge", "bridge without a default route: its ports are watched"),
            (ETHER, "vrf", "VRF: its ports are watched"),
            (ETHER, "macvlan", "macvlan: its packets leave by its parent, which is watched"),
            (ETHER, "ipvlan", "ipvlan: its packets leave by its parent, which is watched"),
            (ETHER, "vxlan", &format!("vxlan {overlay}")),
            (ETHER, "geneve", &format!("geneve {overlay}")),
            (ETHER, "dummy", "dummy: nothing leaves by it"),
            (ETHER, "ifb", "ifb: nothing leaves by it"),
            (LinkLayerType::Can, "vcan", "link type Can carries neither Ethernet nor plain IP"),
        ] {
            let interface = interface("x0", link_type, kind);
            let verdict = verdict(&interface, &Snapshot::default(), &Interfaces::default());
            assert_eq!(words(&verdict), expected, "{kind} on {link_type:?}");
        }
    }

    #[test]
    fn a_default_route_makes_an_uplink_of_every_kind() {
        let mut snapshot = Snapshot::default();
        snapshot.default_routes.insert(INDEX);
        for (link_type, kind) in [(ETHER, "veth"), (ETHER, "bridge"), (ETHER, "macvlan"), (NONE, "tun")] {
            let interface = interface("x0", link_type, kind);
            let verdict = verdict(&interface, &snapshot, &Interfaces::default());
            assert_eq!(words(&verdict), "uplink egress", "{kind}");
        }
    }

    #[test]
    fn a_port_of_a_bond_is_left_to_the_bond_and_one_of_a_bridge_is_not() {
        let mut snapshot = Snapshot::default();
        snapshot.interfaces.insert(2, interface("bond0", ETHER, "bond"));
        for (port_kind, expected) in
            [("bond", "port of bond0, which carries the same packets"), ("bridge", "uplink egress")]
        {
            let port = Interface {
                master: Some(2),
                port_kind: Some(port_kind.to_owned()),
                ..interface("eth0", ETHER, "")
            };
            assert_eq!(words(&verdict(&port, &snapshot, &Interfaces::default())), expected);
        }
    }

    #[test]
    fn the_configuration_has_its_way() {
        let choice = |include: &[&str], exclude: &[&str]| {
            let patterns =
                |texts: &[&str]| texts.iter().filter_map(|text| glob::Pattern::new(text).ok()).collect();
            Interfaces { include: patterns(include), exclude: patterns(exclude), names: Vec::new() }
        };
        let not_asked = "not among the interfaces that are asked for";
        for (interface, choice, expected) in [
            (interface("veth1", ETHER, "veth"), choice(&[], &["veth*"]), "excluded by the configuration"),
            (interface("veth1", ETHER, "veth"), choice(&["veth*"], &[]), "workload ingress"),
            (interface("veth1", ETHER, "veth"), choice(&["eth*"], &[]), not_asked),
            (interface("br0", ETHER, "bridge"), choice(&["br0"], &[]), "uplink egress"),
            (
                interface("br0", ETHER, "bridge"),
                choice(&["br*"], &[]),
                "bridge without a default route: its ports are watched",
            ),
            (
                interface("can0", LinkLayerType::Can, "vcan"),
                choice(&["can0"], &[]),
                "link type Can carries neither Ethernet nor plain IP",
            ),
        ] {
            assert_eq!(words(&verdict(&interface, &Snapshot::default(), &choice)), expected, "{choice:?}");
        }
    }
}
