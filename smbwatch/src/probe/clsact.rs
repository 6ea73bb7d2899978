//! Filters on clsact qdiscs, which outlive an agent that was killed; TCX links do not.

use std::collections::HashSet;

use aya::programs::{TcAttachType, tc};
use futures_util::TryStreamExt as _;
use rtnetlink::Handle;
use rtnetlink::packet_route::tc::{TcAttribute, TcFilterBpfOption, TcMessage, TcOption};

use super::error::Error;
use super::interfaces::Snapshot;

/// The interfaces that have a clsact qdisc, by index.
pub async fn interfaces(handle: &Handle) -> Result<HashSet<u32>, Error> {
    let qdiscs: Vec<TcMessage> = handle.qdisc().get().execute().try_collect().await?;
    let clsact = |qdisc: &&TcMessage| {
        qdisc
            .attributes
            .iter()
            .any(|attribute| matches!(attribute, TcAttribute::Kind(kind) if kind == "clsact"))
    };
    Ok(qdiscs.iter().filter(clsact).filter_map(|qdisc| u32::try_from(qdisc.header.index).ok()).collect())
}

/// Names of the BPF filters on the clsact qdisc of an interface: at egress, and at ingress.
pub async fn filters(handle: &Handle, index: u32) -> Result<[Vec<String>; 2], Error> {
    let Ok(index) = i32::try_from(index) else { return Ok([Vec::new(), Vec::new()]) };
    let get = || handle.traffic_filter(index).get();
    let egress: Vec<TcMessage> = get().egress().execute().try_collect().await?;
    let ingress: Vec<TcMessage> = get().ingress().execute().try_collect().await?;
    Ok([egress, ingress].map(|filters| filters.iter().flat_map(names).collect()))
}

/// Removes what an agent left behind that could not detach. No other may run.
pub fn remove_leftovers(snapshot: &Snapshot, clsact: &HashSet<u32>) {
    for interface in clsact.iter().filter_map(|index| snapshot.interfaces.get(index)) {
        for program in super::ETHERNET.iter().chain(&super::IP) {
            for way in [TcAttachType::Egress, TcAttachType::Ingress] {
                // Nothing to remove is the usual case, and told as an error.
                let _ = tc::qdisc_detach_program(&interface.name, way, program);
            }
        }
    }
}

fn names(filter: &TcMessage) -> Vec<String> {
    let mut names = Vec::new();
    for attribute in &filter.attributes {
        let TcAttribute::Options(options) = attribute else { continue };
        names.extend(options.iter().filter_map(|option| {
            if let TcOption::Bpf(TcFilterBpfOption::ProgName(name)) = option {
                Some(name.clone())
            } else {
                None
            }
        }));
    }
    names
}
