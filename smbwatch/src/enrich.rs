//! Who did it: processes by cookie and identifier, users by number, interfaces by index.
//!
//! The only stage that reads files. What it reads is bounded and cached.

pub mod cgroup;
pub mod container;
pub mod host;
pub mod process;
pub mod redact;
pub mod users;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use serde::Serialize;

use crate::observation::{ConnectObservation, FlowObservation, Owner, ProcessObservation};
use process::Process;
use users::Users;

/// Processes that are remembered by the socket they opened.
const SOCKETS: NonZeroUsize = NonZeroUsize::new(1 << 13).expect("not zero");
/// Processes that are remembered by their identifier.
const PROCESSES: NonZeroUsize = NonZeroUsize::new(1 << 10).expect("not zero");
/// How long a process is believed to be the same by its identifier, name and user alone, in nanoseconds.
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
    /// Name of the interface, or its index where the name is not known.
    pub interface: String,
}

/// Finds out who is behind a flow.
pub struct Enricher {
    by_socket: LruCache<u64, Arc<Process>>,
    by_pid: LruCache<u32, (Owner, Arc<Process>)>,
    /// What processes run, from the kernel's own memory.
    images: LruCache<u32, ProcessObservation>,
    users: Users,
    interfaces: HashMap<u32, String>,
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

    /// Learns an interface's name.
    pub fn interface(&mut self, index: u32, name: &str) {
        self.interfaces.insert(index, name.to_owned());
    }

    /// Learns what a process runs; what was known of an earlier one of that number is no longer true.
    pub fn running(&mut self, image: ProcessObservation) {
        self.by_pid.pop(&image.pid);
        self.images.put(image.pid, image);
    }

    /// Looks at a process that is about to connect, while it still lives.
    pub fn connecting(&mut self, connect: &ConnectObservation) {
        let image = self.images.get(&connect.owner.pid).cloned();
        let process = self.process(&connect.owner, image.as_ref());
        self.by_socket.put(connect.cookie, process);
    }

    /// Says who is behind a flow.
    pub fn who(&mut self, flow: &FlowObservation) -> Who {
        let known = flow.cookie.and_then(|cookie| self.by_socket.get(&cookie).cloned());
        // No image: it comes with a connect to a watched port alone, and this may be another program by now.
        let process = known.or_else(|| flow.owner.as_ref().map(|owner| self.process(owner, None)));
        let interface = self.interfaces.get(&flow.interface).cloned();
        Who {
            method: if process.is_some() { Method::Owner } else { Method::None },
            process,
            interface: interface.unwrap_or_else(|| flow.interface.to_string()),
        }
    }

    fn process(&mut self, owner: &Owner, image: Option<&ProcessObservation>) -> Arc<Process> {
        if let Some((seen, process)) = self.by_pid.get(&owner.pid)
            && (&seen.comm, seen.tid, seen.uid, seen.gid, seen.cgroup)
                == (&owner.comm, owner.tid, owner.uid, owner.gid, owner.cgroup)
            && owner.monotonic.abs_diff(seen.monotonic) < SAME_PROCESS
        {
            return Arc::clone(process);
        }
        let process = Arc::new(process::look(owner, image, &mut self.users));
        self.by_pid.put(owner.pid, (owner.clone(), Arc::clone(&process)));
        process
    }
}

impl Default for Enricher {
    fn default() -> Self {
        Self::new()
    }
}
