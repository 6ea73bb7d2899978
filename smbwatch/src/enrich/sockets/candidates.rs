//! Who could have sent packets past TCP, where the kernel does not list such sockets with their cookies.

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::time::Instant;

use super::{Flow, Found, Kind, Listed, Missed, inode};
use crate::enrich::holders::{self, Holder};
use crate::enrich::namespaces::{self, Namespace, Visit};

/// A socket that is no more than listed.
struct Candidate {
    kind: Kind,
    inode: u64,
    netns: u64,
}

/// Everyone with a raw or packet socket in the namespaces that have the flow's own address.
pub(super) fn find(
    namespaces: &[Namespace],
    deadline: Instant,
    cookie: u64,
    (local, remote): Flow,
    listed: Listed,
) -> Result<Found, Missed> {
    if listed.raw && listed.packet {
        return Err(Missed::Nowhere);
    }
    let mut candidates = Vec::new();
    let visit = namespaces::visit(namespaces, deadline, |namespace| {
        if has(local.ip()) {
            candidates.extend(list(namespace, local.ip(), listed));
        }
        None::<()>
    });
    if let Visit::Late = visit.map_err(Missed::Thread)? {
        return Err(Missed::Late);
    }
    let inodes: HashSet<u64> = candidates.iter().map(|candidate| candidate.inode).collect();
    let pick = |inode: u64| inodes.contains(&inode).then_some(());
    let mut held = holders::scan(deadline, |_, target| inode(target).and_then(pick));
    let holders: Vec<Holder> = held.by.remove(&()).unwrap_or_default();
    let (Some(first), false) = (candidates.first(), holders.is_empty()) else { return Err(Missed::Nowhere) };
    Ok(Found {
        kind: first.kind,
        certain: false,
        cookie,
        uid: None,
        inode: (candidates.len() == 1).then_some(first.inode),
        netns: first.netns,
        local,
        remote,
        holders,
        cut: held.cut,
    })
}

/// Whether the namespace of the calling thread has this address.
fn has(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// The sockets of the calling thread's namespace that are not listed with their cookies. A raw socket sends
/// packets of its own family.
fn list(namespace: &Namespace, address: IpAddr, listed: Listed) -> Vec<Candidate> {
    let raw = if address.is_ipv4() { "raw" } else { "raw6" };
    let mut candidates = Vec::new();
    for (kind, listed, file, column) in
        [(Kind::Raw, listed.raw, raw, 9), (Kind::Packet, listed.packet, "packet", 8)]
    {
        if !listed {
            let table = fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default();
            let candidate = |inode| Candidate { kind, inode, netns: namespace.inode };
            candidates.extend(inodes(&table, column).map(candidate));
        }
    }
    candidates
}

/// A column of a table below its heading.
fn inodes(table: &str, column: usize) -> impl Iterator<Item = u64> {
    table.lines().skip(1).filter_map(move |line| line.split_whitespace().nth(column)?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inodes_are_read_from_the_tables_of_proc() {
        let raw = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n  \
                   255: 00000000:00FF 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 33027 2 0000000000000000 0\n";
        assert_eq!(inodes(raw, 9).collect::<Vec<_>>(), [33027]);
        let packet = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n\
                      0000000000000000 3      3    0003   2     1 0      0      33028 \n\nshort\n";
        assert_eq!(inodes(packet, 8).collect::<Vec<_>>(), [33028]);
    }
}
