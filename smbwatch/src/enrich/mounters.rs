//! Who mounted a share, kept for when the kernel connects again by itself.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use lru::LruCache;

use super::mounts::of_arguments;
use super::process::Process;
use super::who::Mount;

/// Servers whose mounters are remembered.
const SERVERS: NonZeroUsize = NonZeroUsize::new(1 << 10).expect("not zero");
/// Mounters of one server that are remembered.
const MAX_MOUNTERS: usize = 16;

/// A process that mounted a share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mounter {
    pub(super) process: Arc<Process>,
    pub(super) mount: Mount,
}

/// Mounters by network namespace and server, and what is mounted from a server.
pub(super) struct Mounters {
    mounters: LruCache<(u64, IpAddr), Vec<Mounter>>,
    mounted: LruCache<SocketAddr, (Instant, Vec<Mount>)>,
}

impl Mounters {
    pub(super) fn new() -> Self {
        Self { mounters: LruCache::new(SERVERS), mounted: LruCache::new(SERVERS) }
    }

    /// Remembers a process that connects in order to mount something.
    pub(super) fn connecting(&mut self, netns: u64, server: IpAddr, process: &Arc<Process>) {
        let Some(mount) = mount(process) else { return };
        let mounters = self.mounters.get_or_insert_mut((netns, server), Vec::new);
        // Who mounts a share there again takes the place of who did it before.
        mounters.retain(|known| known.mount != mount);
        if mounters.len() == MAX_MOUNTERS {
            mounters.remove(0);
        }
        mounters.push(Mounter { process: Arc::clone(process), mount });
    }

    /// Learns what is mounted from a server.
    pub(super) fn learn(&mut self, server: SocketAddr, mounts: Vec<Mount>, now: Instant) {
        self.mounted.put(server, (now, mounts));
    }

    /// What is mounted from a server, and when that was learned.
    pub(super) fn mounted(&mut self, server: SocketAddr) -> (&[Mount], Option<Instant>) {
        match self.mounted.get(&server) {
            Some((learned, mounts)) => (mounts, Some(*learned)),
            None => (&[], None),
        }
    }

    /// Those who mounted what is still mounted; all of them if that is not known.
    pub(super) fn of(&mut self, netns: u64, server: SocketAddr) -> Vec<Mounter> {
        let mounted = self.mounted.get(&server).map(|(_, mounts)| mounts.as_slice()).unwrap_or_default();
        let mounters = self.mounters.get(&(netns, server.ip())).map(Vec::as_slice).unwrap_or_default();
        let is_mounted = |mounter: &&Mounter| {
            mounted.is_empty() || mounted.iter().any(|mount| is_same(mount, &mounter.mount))
        };
        mounters.iter().filter(is_mounted).cloned().collect()
    }
}

/// What a process is about to mount, by its arguments.
pub(super) fn mount(process: &Process) -> Option<Mount> {
    let (source, path) = of_arguments(&process.arguments)?;
    Some(Mount { source, path, user: None, version: None })
}

fn is_same(mounted: &Mount, asked_for: &Mount) -> bool {
    let share = |mount: &Mount| mount.source.trim_end_matches('/').to_ascii_lowercase();
    share(mounted) == share(asked_for)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETNS: u64 = 1;

    fn server() -> SocketAddr {
        ([8, 8, 8, 8], 445).into()
    }

    fn process(pid: u32, source: &str) -> Arc<Process> {
        let arguments = ["mount.cifs", source, "/mnt", "-o", "user=alice"].map(str::to_owned).into();
        Arc::new(Process { pid, arguments, ..Process::default() })
    }

    fn mounted(source: &str) -> Mount {
        Mount { source: source.to_owned(), path: "/mnt".into(), user: None, version: None }
    }

    fn pids(mounters: &[Mounter]) -> Vec<u32> {
        mounters.iter().map(|mounter| mounter.process.pid).collect()
    }

    #[test]
    fn those_who_mounted_what_is_still_mounted_are_meant() {
        let mut mounters = Mounters::new();
        for (pid, source) in [(1, "//files/a"), (2, "//files/b/"), (3, "//files/a"), (4, "not a share")] {
            mounters.connecting(NETNS, server().ip(), &process(pid, source));
        }
        assert_eq!(pids(&mounters.of(NETNS, server())), [2, 3], "who mounted last");
        assert_eq!(mounters.of(2, server()), [], "in another namespace");
        mounters.learn(server(), vec![mounted("//FILES/b")], Instant::now());
        assert_eq!(pids(&mounters.of(NETNS, server())), [2]);
    }
}
