//! From what is watched and what should be, to what has to be done.

use std::collections::HashMap;

use super::interfaces::{Interface, Snapshot};
use super::roles::{Role, Verdict, Watch, verdict};
use crate::config::interfaces::Interfaces;

/// An interface that is to be watched, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The interface.
    pub interface: Interface,
    /// How.
    pub watch: Watch,
}

/// What has to be done, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Indexes of those that are gone, or to be watched no more.
    pub detach: Vec<u32>,
    /// Those that have another name now.
    pub rename: Vec<Target>,
    /// Those that are not watched yet, or not in the right way. The next one is taken from the end: uplinks,
    /// and then the newest workloads, which are the likeliest to open connections.
    pub attach: Vec<Target>,
}

/// Every interface that is to be watched.
pub fn targets(snapshot: &Snapshot, interfaces: &Interfaces) -> Vec<Target> {
    let target = |interface: &Interface| match verdict(interface, snapshot, interfaces) {
        Verdict::Watched(watch) => Some(Target { interface: interface.clone(), watch }),
        Verdict::NotWatched(_) => None,
    };
    snapshot.interfaces.values().filter_map(target).collect()
}

/// Compares what should be watched with what is, by index.
pub fn plan(wanted: Vec<Target>, watched: &HashMap<u32, Target>) -> Plan {
    let mut plan = Plan::default();
    let mut left: HashMap<u32, &Target> = watched.iter().map(|(index, target)| (*index, target)).collect();
    for target in wanted {
        match left.remove(&target.interface.index) {
            Some(known) if is_another(&known.interface, &target.interface) => {
                plan.detach.push(target.interface.index);
                plan.attach.push(target);
            }
            Some(known) if known.watch != target.watch => plan.attach.push(target),
            Some(known) if known.interface.name != target.interface.name => plan.rename.push(target),
            Some(_) => {}
            None => plan.attach.push(target),
        }
    }
    plan.detach.extend(left.into_keys());
    plan.attach.sort_by_key(|target| match target.watch.role {
        Role::Workload => (false, i64::from(target.interface.index)),
        Role::Uplink => (true, -i64::from(target.interface.index)),
    });
    plan
}

/// Whether what was attached to `known` is not attached to `found`.
fn is_another(known: &Interface, found: &Interface) -> bool {
    known.generation != found.generation || known.layer() != found.layer()
}

#[cfg(test)]
mod tests {
    use super::super::roles::{UPLINK, WORKLOAD};
    use super::*;
    use rtnetlink::packet_route::link::LinkLayerType;

    fn target(index: u32, name: &str, watch: Watch, generation: u64) -> Target {
        let interface = Interface {
            index,
            name: name.to_owned(),
            link_type: LinkLayerType::Ether,
            kind: None,
            master: None,
            port_kind: None,
            up: true,
            generation,
        };
        Target { interface, watch }
    }

    fn planned(wanted: &[Target], watched: &[Target]) -> Plan {
        let watched = watched.iter().map(|target| (target.interface.index, target.clone())).collect();
        plan(wanted.to_vec(), &watched)
    }

    #[test]
    fn what_is_as_it_should_be_is_left_alone() {
        let eth0 = target(2, "eth0", UPLINK, 0);
        assert_eq!(planned(std::slice::from_ref(&eth0), std::slice::from_ref(&eth0)), Plan::default());
        assert_eq!(planned(&[], &[]), Plan::default());
    }

    #[test]
    fn uplinks_are_attached_first_and_then_the_newest_workloads() {
        let mut wanted = vec![
            target(2, "eth0", UPLINK, 0),
            target(9, "veth9", WORKLOAD, 0),
            target(3, "eth1", UPLINK, 0),
            target(10, "veth10", WORKLOAD, 0),
        ];
        for name in ["eth0", "eth1", "veth10", "veth9"] {
            let next = planned(&wanted, &[]).attach.pop().expect("a target");
            assert_eq!(next.interface.name, name);
            wanted.retain(|target| *target != next);
        }
    }

    #[test]
    fn each_change_asks_for_what_it_needs() {
        let old = target(9, "veth", WORKLOAD, 0);
        let gone = Plan { detach: vec![9], ..Plan::default() };
        assert_eq!(planned(&[], std::slice::from_ref(&old)), gone);
        let new_name = target(9, "calico", WORKLOAD, 0);
        let renamed = Plan { rename: vec![new_name.clone()], ..Plan::default() };
        assert_eq!(planned(&[new_name], std::slice::from_ref(&old)), renamed);
        // The new way is attached before the old one ends.
        let new_role = target(9, "veth", UPLINK, 0);
        let changed = Plan { attach: vec![new_role.clone()], ..Plan::default() };
        assert_eq!(planned(&[new_role], std::slice::from_ref(&old)), changed);
        // Nothing of the old one is left, so that its end must not touch what comes after it.
        let came_back = target(9, "veth", WORKLOAD, 1);
        let again = Plan { detach: vec![9], attach: vec![came_back.clone()], ..Plan::default() };
        assert_eq!(planned(&[came_back], std::slice::from_ref(&old)), again);
    }
}
