//! What takes too long to find out while records wait, as questions and their answers.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::holders::Holder;
use super::process::{self, Process};
use super::sockets::{self, Found, Kind, Missed};
use super::users::Users;
use super::who::{Method, Mount};
use super::{mounts, taps};

/// Connections that are looked up at the start.
const MAX_CONNECTIONS: usize = 1 << 12;
/// Processes that are looked at where several could be meant.
const MAX_CANDIDATES: usize = 8;

/// A question that [`answer`] takes its time over; `Container` is for the runtimes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// Who holds the connections that are there already?
    Connections,
    /// Who holds this socket?
    Socket(Socket),
    /// Who holds the other end of this tap interface?
    Tap {
        /// Its index.
        index: u32,
        /// Its name.
        name: String,
    },
    /// What is mounted from this server?
    Mounts(SocketAddr),
    /// What is this container?
    Container(String),
}

/// A socket, which its cookie alone identifies: a raw one has many flows.
#[derive(Clone, Copy, Debug)]
pub struct Socket {
    /// Its cookie.
    pub cookie: u64,
    /// The own address of one of its flows.
    pub local: SocketAddr,
    /// Its peer's.
    pub remote: SocketAddr,
}

impl PartialEq for Socket {
    fn eq(&self, other: &Self) -> bool {
        self.cookie == other.cookie
    }
}

impl Eq for Socket {}

impl Hash for Socket {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.cookie.hash(hasher);
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Who holds sockets, by cookie.
    Sockets(Vec<(u64, Holders)>),
    /// Who holds a tap interface.
    Tap {
        /// The interface's index.
        index: u32,
        /// Who.
        holders: Holders,
    },
    /// What is mounted from a server.
    Mounts {
        /// The server.
        server: SocketAddr,
        /// Each mount, our own namespace's first.
        mounts: Vec<Mount>,
    },
    /// The runtimes have it now, or do not know it.
    Container,
}

/// Who holds a socket or an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holders {
    /// How it was found out.
    pub method: Method,
    /// Every process that holds it, the first few.
    pub processes: Vec<Arc<Process>>,
    /// There may be more of them.
    pub cut: bool,
    /// There is a socket, and no process holds it: it may be the kernel's.
    pub kernel: bool,
}

/// Which connections the agent would tell of.
pub type Wanted = dyn Fn(IpAddr, u16) -> bool + Send + Sync;

/// Finds an answer. Blocks, for seconds at worst. None is for others to answer.
pub fn answer(question: &Question, wanted: &Wanted, users: &mut Users) -> Option<Answer> {
    Some(match question {
        Question::Connections => {
            let survey = sockets::survey(|remote| wanted(remote.ip(), remote.port()), MAX_CONNECTIONS);
            let found = survey.map(|survey| survey.found).inspect_err(complain).unwrap_or_default();
            tracing::debug!("{} connections are older than the agent", found.len());
            Answer::Sockets(found.into_iter().map(|found| (found.cookie, held(found, users))).collect())
        }
        Question::Socket(Socket { cookie, local, remote }) => {
            let found = sockets::find(*cookie, *local, *remote).inspect_err(complain);
            let holders = found.map(|found| held(found, users)).unwrap_or_default();
            Answer::Sockets(vec![(*cookie, holders)])
        }
        Question::Tap { index, name } => {
            let holders = processes(&taps::holders(name), Method::Procfs, false, users);
            Answer::Tap { index: *index, holders }
        }
        Question::Mounts(server) => {
            let mounts = mounts::of(server.ip(), server.port());
            Answer::Mounts { server: *server, mounts: mounts.into_iter().map(Mount::from).collect() }
        }
        Question::Container(_) => return None,
    })
}

/// A socket that is gone is nothing to speak of.
fn complain(missed: &Missed) {
    match missed {
        Missed::Nowhere | Missed::Late => tracing::debug!("{missed}"),
        Missed::Unlisted(_) | Missed::Thread(_) => {
            tracing::warn!(
                "{missed}; the process behind a socket that is older than the agent stays unknown"
            );
        }
    }
}

fn held(found: Found, users: &mut Users) -> Holders {
    let method = match found.kind {
        Kind::Tcp => Method::SocketDiag,
        Kind::Packet | Kind::Raw => Method::Procfs,
    };
    let kernel = found.kind == Kind::Tcp && found.inode.is_some() && found.holders.is_empty() && !found.cut;
    Holders { kernel, ..processes(&found.holders, method, found.cut, users) }
}

fn processes(holders: &[Holder], method: Method, cut: bool, users: &mut Users) -> Holders {
    let looked_at = holders.iter().take(MAX_CANDIDATES);
    let processes = looked_at.filter_map(|holder| process::held(holder, users)).map(Arc::new).collect();
    Holders { method, processes, cut: cut || holders.len() > MAX_CANDIDATES, kernel: false }
}
