//! Who holds a socket that nobody saw being opened, in whichever network namespace it is.
//!
//! These functions block, for seconds at worst: they are for a thread that may wait.

mod diag;
mod candidates;

use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use super::holders::{self, Holder};
use super::namespaces::{self, Namespace, Visit};
use diag::{Diag, Entry, Family};

/// How long one socket is looked for.
const FIND: Duration = Duration::from_secs(1);
/// How long a survey takes at most.
const SURVEY: Duration = Duration::from_secs(5);

/// What a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The kernel's TCP speaks through it.
    Tcp,
    /// It sends whole frames, packet(7).
    Packet,
    /// It sends whole IP packets, raw(7).
    Raw,
}

/// A socket, and who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub kind: Kind,
    /// The kernel lists it with the cookie that was asked for. Otherwise this kernel cannot say it, and the
    /// holders are those who could have sent the packets: who has a raw or packet socket in a namespace that
    /// has the flow's own address.
    pub certain: bool,
    /// Its cookie.
    pub cookie: u64,
    /// The user who owns it. None where there is no inode, and of packet sockets.
    pub uid: Option<u32>,
    /// Its number among open files. None of a connection that has outlived its socket, as in TIME_WAIT: no
    /// process holds that any more. None as well where there are several candidates.
    pub inode: Option<u64>,
    /// Inode number of its network namespace.
    pub netns: u64,
    /// Its own address; of a packet or raw socket, the flow's.
    pub local: SocketAddr,
    /// Its peer's address before any translation; of a packet or raw socket, the flow's.
    pub remote: SocketAddr,
    /// Every process that holds it, of which there are several after a fork. None where it has no inode, is
    /// the kernel's own, is on its way between processes, or is open where /proc does not show it.
    pub holders: Vec<Holder>,
    /// There was no time to look at every process.
    pub cut: bool,
}

/// The connected sockets of a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The sockets.
    pub found: Vec<Found>,
    /// There are more than could be listed within the limit or the time.
    pub cut: bool,
}

/// Why a socket was not found.
#[derive(Debug, thiserror::Error)]
pub enum Missed {
    /// No socket has this cookie any more, and nothing else can have sent the packets.
    #[error("no network namespace has a socket of that cookie")]
    Nowhere,
    /// Time was over.
    #[error("sockets could not be looked through within {} ms", FIND.as_millis())]
    Late,
    /// The kernel lists no TCP sockets.
    #[error("the kernel lists no TCP sockets, which needs CONFIG_INET_TCP_DIAG or the module tcp_diag: {0}")]
    Unlisted(io::Error),
    /// The thread that enters namespaces could not be started.
    #[error("start a thread: {0}")]
    Thread(io::Error),
}

/// The addresses of a flow, its own first.
type Flow = (SocketAddr, SocketAddr);

/// Kinds of sockets that this kernel lists with their cookies, besides TCP's.
#[derive(Clone, Copy, Debug)]
struct Listed {
    raw: bool,
    packet: bool,
}

/// The connected TCP sockets of all network namespaces whose peer's address is `wanted`, at most `limit`.
/// Those that closed on both sides and wait in TIME_WAIT are left out.
pub fn survey(wanted: impl Fn(SocketAddr) -> bool + Sync, limit: usize) -> Result<Survey, Missed> {
    let deadline = Instant::now() + SURVEY;
    let mut survey = Survey::default();
    let look = |namespace: &Namespace| {
        let mut each = |entry: Entry| match entry.flow {
            Some(flow) if wanted(flow.1) => {
                survey.cut |= survey.found.len() >= limit;
                if !survey.cut {
                    survey.found.push(found(Kind::Tcp, entry, namespace, flow));
                }
            }
            Some(_) | None => {}
        };
        let listed = Diag::open(deadline).and_then(|mut diag| {
            diag.open_connections(Family::V4, &mut each)?;
            diag.open_connections(Family::V6, &mut each)
        });
        unlisted(listed)
    };
    match namespaces::visit(&namespaces::network(deadline), deadline, look).map_err(Missed::Thread)? {
        Visit::Found(missed) => return Err(missed),
        Visit::Late => survey.cut = true,
        Visit::Nowhere => {}
    }
    hold(&mut survey.found, deadline);
    Ok(survey)
}

/// The socket of this cookie, and who holds it. `local` and `remote` are the flow's addresses: the search is
/// short where nothing translates them.
pub fn find(cookie: u64, local: SocketAddr, remote: SocketAddr) -> Result<Found, Missed> {
    let deadline = Instant::now() + FIND;
    let flow = (local, remote);
    let namespaces = namespaces::network(deadline);
    let by_address = |namespace: &Namespace| {
        let entry = Diag::open(deadline).ok()?.exact(cookie, flow)?;
        Some(Ok(found(Kind::Tcp, entry, namespace, flow)))
    };
    let mut listed = Listed { raw: true, packet: true };
    let by_cookie = |namespace: &Namespace| by_cookie(namespace, deadline, cookie, flow, &mut listed);
    let mut visit = namespaces::visit(&namespaces, deadline, by_address);
    if let Ok(Visit::Nowhere) = visit {
        visit = namespaces::visit(&namespaces, deadline, by_cookie);
    }
    match visit.map_err(Missed::Thread)? {
        Visit::Found(found) => {
            let mut found = found?;
            hold(std::slice::from_mut(&mut found), deadline);
            Ok(found)
        }
        Visit::Nowhere => candidates::find(&namespaces, deadline, cookie, flow, listed),
        Visit::Late => Err(Missed::Late),
    }
}

/// Addresses are translated between a socket and the packets that we see, and not every socket has one.
fn by_cookie(
    namespace: &Namespace,
    deadline: Instant,
    cookie: u64,
    flow: Flow,
    listed: &mut Listed,
) -> Option<Result<Found, Missed>> {
    let mut diag = Diag::open(deadline).ok()?;
    let mut answer = None;
    let mut take = |kind, entry: Entry| {
        if entry.cookie == cookie {
            answer = Some(found(kind, entry, namespace, flow));
        }
    };
    let families = Family::that_speak(flow.1);
    for family in families {
        let connections = diag.connections(*family, |entry| take(Kind::Tcp, entry));
        if let Some(missed) = unlisted(connections) {
            return Some(Err(missed));
        }
    }
    // Each attempt at what the kernel does not know has it look for a module.
    if listed.raw {
        let raw = families.iter().try_for_each(|family| diag.raw(*family, |entry| take(Kind::Raw, entry)));
        listed.raw = unlisted(raw).is_none();
    }
    if listed.packet {
        listed.packet = unlisted(diag.packet(|entry| take(Kind::Packet, entry))).is_none();
    }
    answer.map(Ok)
}

/// Other errors are of one namespace, which may be about to go.
fn unlisted(listed: io::Result<()>) -> Option<Missed> {
    listed.err().filter(|error| error.kind() == ErrorKind::NotFound).map(Missed::Unlisted)
}

fn found(kind: Kind, entry: Entry, namespace: &Namespace, flow: Flow) -> Found {
    let (local, remote) = entry.flow.unwrap_or(flow);
    Found {
        kind,
        certain: true,
        cookie: entry.cookie,
        uid: entry.uid,
        inode: (entry.inode != 0).then_some(entry.inode),
        netns: namespace.inode,
        local,
        remote,
        holders: Vec::new(),
        cut: false,
    }
}

/// Says of all sockets who holds them.
fn hold(sockets: &mut [Found], deadline: Instant) {
    let inodes: HashSet<u64> = sockets.iter().filter_map(|found| found.inode).collect();
    if inodes.is_empty() {
        return;
    }
    let held = holders::scan(deadline, |_, target| inode(target).filter(|inode| inodes.contains(inode)));
    for found in sockets {
        // Several connections of MPTCP are one socket.
        found.holders = found.inode.and_then(|inode| held.by.get(&inode).cloned()).unwrap_or_default();
        found.cut = held.cut;
    }
}

/// `socket:[INODE]`, which is no path of a file: those begin with a slash.
fn inode(target: &Path) -> Option<u64> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_named_like_sockets_are_none() {
        assert_eq!(inode(Path::new("socket:[4711]")), Some(4711));
        for target in ["/tmp/socket:[4711]", "socket:[4711] (deleted)", "socket:[]", "pipe:[4711]", ""] {
            assert_eq!(inode(Path::new(target)), None, "{target}");
        }
    }
}
