//! The connect hooks: they remember who opens a socket, and let every call pass.

use aya_ebpf::bindings::bpf_sock_addr;
use aya_ebpf::helpers::{
    bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_current_uid_gid,
    bpf_get_netns_cookie, bpf_get_socket_cookie, bpf_ktime_get_ns,
};
use aya_ebpf::macros::cgroup_sock_addr;
use aya_ebpf::programs::SockAddrContext;
use smbwatch_ebpf::event::{self, ConnectEvent};
use smbwatch_ebpf::owner::Owner;
use smbwatch_ebpf::parse::tcp;
use smbwatch_ebpf::rule::{Rule, embedded_ipv4, judge_destination4, judge_destination6};
use smbwatch_ebpf::settings::counter;
use smbwatch_ebpf::wire::{Be16, Be32, Be64};

use crate::image::{self, Version};
use crate::maps::{Counters, EVENTS, Kernel, OWNERS};
use crate::sighting::record;

const ALLOW: i32 = 1;
const SOCK_STREAM: u32 = 1;
const IPPROTO_MPTCP: u32 = 262;

/// A process calls `connect` with an IPv4 address.
#[cgroup_sock_addr(connect4)]
pub(crate) fn smbwatch_connect4(context: SockAddrContext) -> i32 {
    // SAFETY: the kernel hands a valid context to the program; the verifier rewrites each field access.
    let address = u32::from_be(unsafe { (*context.sock_addr).user_ip4 });
    remember4(&context, address);
    ALLOW
}

/// A process calls `connect` with an IPv6 address, or with an IPv4 address on a dual-stack socket.
#[cgroup_sock_addr(connect6)]
pub(crate) fn smbwatch_connect6(context: SockAddrContext) -> i32 {
    // SAFETY: as in `smbwatch_connect4`.
    let address = unsafe { (*context.sock_addr).user_ip6 }.map(u32::from_be);
    match (address, embedded_ipv4(address)) {
        ([0, ..], Some(inside)) => remember4(&context, inside),
        _ if !Kernel.any_source6() || Kernel.lan6(address) => {}
        _ => {
            if judge_destination6(&Kernel, address).is_ok() {
                remember(&context, event::IPV6, record(address));
            }
        }
    }
    ALLOW
}

#[inline(always)]
fn remember4(context: &SockAddrContext, address: u32) {
    if !Kernel.lan4(address) && judge_destination4(&Kernel, address).is_ok() {
        remember(context, event::IPV4, record([address, 0, 0, 0]));
    }
}

/// Keeps the caller by the socket's cookie; tells the agent at once where the port clause will match, so
/// that it can look at the process before that ends.
#[inline(always)]
fn remember(context: &SockAddrContext, family: u8, destination: [Be32; 4]) {
    let raw: *mut bpf_sock_addr = context.sock_addr;
    // SAFETY: as in `smbwatch_connect4`.
    let (kind, protocol, port) = unsafe { ((*raw).type_, (*raw).protocol, (*raw).user_port) };
    if kind != SOCK_STREAM || !(protocol == u32::from(tcp::PROTOCOL) || protocol == IPPROTO_MPTCP) {
        return;
    }
    let [high, low, ..] = port.to_ne_bytes();
    let port = u16::from_be_bytes([high, low]);
    let watched = Kernel.watches(port);
    if !watched && !Kernel.any_port() {
        return;
    }
    let version = Version::current();
    let owner = caller(raw, &version);
    // SAFETY: a helper on a valid context.
    let cookie = unsafe { bpf_get_socket_cookie(raw.cast()) };
    // A table that takes no more costs the name of one process, which the agent then says is unknown.
    let _ = OWNERS.insert(cookie, owner, 0);
    if !watched {
        return;
    }
    let Some(counters) = Counters::get() else { return };
    let slot = if image::tell(owner.pid.get(), &version) { EVENTS.reserve::<ConnectEvent>(0) } else { None };
    let Some(mut slot) = slot else {
        counters.add(counter::CONNECT_LOST, 1);
        return;
    };
    slot.write(ConnectEvent {
        kind: event::CONNECT,
        family,
        destination_port: Be16::new(port),
        padding: Be32::new(0),
        cookie: Be64::new(cookie),
        destination,
        owner,
    });
    counters.add(counter::CONNECT_SENT, 1);
    slot.submit(0);
}

#[inline(always)]
fn caller(context: *mut bpf_sock_addr, version: &Version) -> Owner {
    let [pid, tid] = halves(bpf_get_current_pid_tgid());
    let [gid, uid] = halves(bpf_get_current_uid_gid());
    Owner {
        // SAFETY: helpers on a valid context, or without arguments.
        time: Be64::new(unsafe { bpf_ktime_get_ns() }),
        // SAFETY: as above.
        cgroup: Be64::new(unsafe { bpf_get_current_cgroup_id() }),
        // SAFETY: as above.
        netns: Be64::new(unsafe { bpf_get_netns_cookie(context.cast()) }),
        started: Be64::new(version.started),
        execs: Be64::new(version.execs),
        pid: Be32::new(pid),
        tid: Be32::new(tid),
        uid: Be32::new(uid),
        gid: Be32::new(gid),
        comm: bpf_get_current_comm().unwrap_or_default(),
    }
}

/// The upper and the lower half of what a helper packs into one word.
#[inline(always)]
const fn halves(word: u64) -> [u32; 2] {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    [(word >> 32) as u32, word as u32]
}
