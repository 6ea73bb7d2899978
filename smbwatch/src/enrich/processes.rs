//! The processes that connected, while they live and for a while after.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use smbwatch_ebpf::event;

use super::cgroup::{self, Cgroups};
use super::container::Place;
use super::process::{self, Process};
use super::users::Users;
use crate::observation::{Owner, ProcessObservation};

/// Processes that are remembered by their identifier.
const PROCESSES: NonZeroUsize = NonZeroUsize::new(event::IMAGES as usize).expect("not zero");
/// How long a process of which the kernel does not say more is believed to be the same by its identifier,
/// name and user alone, in nanoseconds.
const SAME_PROCESS: u64 = 1_000_000_000;

/// Processes by their identifier.
pub(super) struct Processes {
    known: LruCache<u32, (Owner, Arc<Process>)>,
    /// What they run, from the kernel's own memory.
    images: LruCache<u32, ProcessObservation>,
    pub(super) users: Users,
}

impl Processes {
    pub(super) fn new() -> Self {
        Self { known: LruCache::new(PROCESSES), images: LruCache::new(PROCESSES), users: Users::default() }
    }

    /// Learns what a process runs; what was known of an earlier one of that number is no longer true.
    pub(super) fn running(&mut self, image: ProcessObservation) {
        self.known.pop(&image.pid);
        self.images.put(image.pid, image);
    }

    /// The process that called `connect`.
    pub(super) fn of(&mut self, owner: &Owner, cgroups: &mut Cgroups) -> Arc<Process> {
        if let Some((seen, process)) = self.known.get(&owner.pid)
            && is_same(seen, owner)
        {
            return Arc::clone(process);
        }
        let image = self.images.get(&owner.pid).filter(|image| Some(image.version) == owner.version);
        let mut process = process::look(owner, image, &mut self.users);
        process.cgroup = cgroup_of(owner, &process, cgroups);
        let process = Arc::new(process);
        self.known.put(owner.pid, (owner.clone(), Arc::clone(&process)));
        process
    }
}

/// Where version 2 alone does not say which container it is, version 1 may, for as long as the process lives.
fn cgroup_of(owner: &Owner, process: &Process, cgroups: &mut Cgroups) -> Option<Arc<str>> {
    let path = cgroups.path(owner.cgroup);
    if path.as_deref().is_some_and(|path| Place::of(path) != Place::default()) {
        return path;
    }
    let of_process = || process::is_still(process).then(|| cgroup::of_process(process.pid)).flatten();
    of_process().map(Into::into).or(path)
}

/// Whether two callers are one thread that runs one program.
fn is_same(seen: &Owner, owner: &Owner) -> bool {
    let same = (&seen.comm, seen.tid, seen.uid, seen.gid, seen.cgroup, seen.version)
        == (&owner.comm, owner.tid, owner.uid, owner.gid, owner.cgroup, owner.version);
    same && (owner.version.is_some() || owner.monotonic.abs_diff(seen.monotonic) < SAME_PROCESS)
}
