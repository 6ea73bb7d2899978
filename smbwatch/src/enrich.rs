//! Who did it: processes by cookie and identifier, users by number, interfaces by index.
//!
//! The only stage that reads files. What it reads is bounded and cached.

pub mod cgroup;
pub mod container;
pub mod host;
pub mod process;
pub mod redact;
pub mod users;
mod namespaces;
pub mod holders;
pub mod sockets;
pub mod taps;
pub mod mounts;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use serde::Serialize;
use smbwatch_ebpf::event;

use crate::observation::{ConnectObservation, FlowObservation, Owner, ProcessObservation};
use crate::probe::roles::{UPLINK, Watch};
use process::Process;
use users::Users;

/// Processes that are remembered by the socket they opened.
const SOCKETS: NonZeroUsize = NonZeroUsize::new(1 << 13).expect("not zero");
/// Processes that are remembered by their identifier.
const PROCESSES: NonZeroUsize = NonZeroUsize::new(event::IMAGES as usize).expect("not zero");
/// How long a process of which the kernel does not say more is believed to be the same by its identifier,
/// name and user alone, in nanoseconds.
const SAME_PROCESS: u64 = 1_000_000_000;

/// How a process was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The connect hook saw it open the socket.
    Owner,
    /// Not at all.
    None,
}

/// Who is behind a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// How the process was found.
    pub method: Method,
    /// The process.
    pub process: Option<Arc<Process>>,
}

/// Finds out who is behind a flow.
pub struct Enricher {
    by_socket: LruCache<u64, Arc<Process>>,
    by_pid: LruCache<u32, (Owner, Arc<Process>)>,
    /// What processes run, from the kernel's own memory.
    images: LruCache<u32, ProcessObservation>,
    users: Users,
    interfaces: HashMap<u32, (String, Watch)>,
}

impl Enricher {
    /// Knows no process yet.
    pub fn new() -> Self {
        Self {
            by_socket: LruCache::new(SOCKETS),
            by_pid: LruCache::new(PROCESSES),
            images: LruCache::new(PROCESSES),
            users: Users::default(),
            interfaces: HashMap::new(),
        }
    }

    /// Learns an interface's name, and how it is watched.
    pub fn interface(&mut self, index: u32, name: &str, watch: Watch) {
        self.interfaces.insert(index, (name.to_owned(), watch));
    }

    /// Forgets an interface that is watched no more.
    pub fn forget_interface(&mut self, index: u32) {
        self.interfaces.remove(&index);
    }

    /// How an interface is watched; the records of one that is gone may still come.
    pub fn watch(&self, index: u32) -> Watch {
        self.interfaces.get(&index).map_or(UPLINK, |(_, watch)| *watch)
    }

    /// Name of an interface, or its index where the name is not known.
    pub fn interface_name(&self, index: u32) -> String {
        self.interfaces.get(&index).map_or_else(|| index.to_string(), |(name, _)| name.clone())
    }

    /// Learns what a process runs; what was known of an earlier one of that number is no longer true.
    pub fn running(&mut self, image: ProcessObservation) {
        self.by_pid.pop(&image.pid);
        self.images.put(image.pid, image);
    }

    /// Looks at a process that is about to connect, while it still lives.
    pub fn connecting(&mut self, connect: &ConnectObservation) {
        let process = self.process(&connect.owner);
        self.by_socket.put(connect.cookie, process);
    }

    /// Says who is behind a flow.
    pub fn who(&mut self, flow: &FlowObservation) -> Who {
        let known = flow.cookie.and_then(|cookie| self.by_socket.get(&cookie).cloned());
        let process = known.or_else(|| flow.owner.as_ref().map(|owner| self.process(owner)));
        Who { method: if process.is_some() { Method::Owner } else { Method::None }, process }
    }

    fn process(&mut self, owner: &Owner) -> Arc<Process> {
        if let Some((seen, process)) = self.by_pid.get(&owner.pid)
            && is_same(seen, owner)
        {
            return Arc::clone(process);
        }
        let image = self.images.get(&owner.pid).filter(|image| Some(image.version) == owner.version);
        let process = Arc::new(process::look(owner, image, &mut self.users));
        self.by_pid.put(owner.pid, (owner.clone(), Arc::clone(&process)));
        process
    }
}

/// Whether two callers are one thread that runs one program.
fn is_same(seen: &Owner, owner: &Owner) -> bool {
    let same = (&seen.comm, seen.tid, seen.uid, seen.gid, seen.cgroup, seen.version)
        == (&owner.comm, owner.tid, owner.uid, owner.gid, owner.cgroup, owner.version);
    same && (owner.version.is_some() || owner.monotonic.abs_diff(seen.monotonic) < SAME_PROCESS)
}

impl Default for Enricher {
    fn default() -> Self {
        Self::new()
    }
}
