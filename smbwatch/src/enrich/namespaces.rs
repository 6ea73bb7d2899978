//! The network and mount namespaces of this host, and what is seen from inside a network namespace.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use nix::sched::{CloneFlags, setns};

/// Namespaces of a kind that are looked at.
const MAX_NAMESPACES: usize = 4096;
/// Where namespaces stay that may have no process: iproute2's and Docker's.
const KEPT: [&str; 2] = ["/run/netns", "/run/docker/netns"];

/// A namespace.
#[derive(Clone, Debug)]
pub(super) struct Namespace {
    /// The inode number that is its name in /proc.
    pub(super) inode: u64,
    /// The folder of its first process in /proc, or the file that keeps it.
    pub(super) path: PathBuf,
}

/// What is told of namespaces that were visited.
#[derive(Debug)]
pub(super) enum Visit<T> {
    /// What was looked for.
    Found(T),
    /// It is in none of them.
    Nowhere,
    /// Time was over before the last.
    Late,
}

/// The mount namespaces of all processes, our own first.
pub(super) fn mount(deadline: Instant) -> Vec<Namespace> {
    of_processes("ns/mnt", deadline).into_values()
}

/// The network namespaces, our own first.
pub(super) fn network(deadline: Instant) -> Vec<Namespace> {
    let mut known = of_processes("ns/net", deadline);
    for folder in KEPT {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            known.add(entry.path(), &entry.path(), deadline);
        }
    }
    let mut namespaces = known.into_values();
    for namespace in &mut namespaces {
        if namespace.path.starts_with("/proc") {
            namespace.path.push("ns/net");
        }
    }
    namespaces
}

/// Looks into each network namespace until `look` finds something. The first must be our own.
pub(super) fn visit<T: Send>(
    namespaces: &[Namespace],
    deadline: Instant,
    mut look: impl FnMut(&Namespace) -> Option<T> + Send,
) -> io::Result<Visit<T>> {
    // A thread of its own, which ends in the namespace that it entered last.
    thread::scope(|scope| {
        let visit = move || {
            for (number, namespace) in namespaces.iter().enumerate() {
                // It may have gone since it was listed; and to be where we are needs no right.
                if number > 0 && enter(&namespace.path).is_err() {
                    continue;
                }
                if let Some(found) = look(namespace) {
                    return Visit::Found(found);
                }
                if Instant::now() > deadline {
                    return Visit::Late;
                }
            }
            Visit::Nowhere
        };
        let visitor = thread::Builder::new().name("namespaces".to_owned()).spawn_scoped(scope, visit)?;
        Ok(visitor.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

fn enter(path: &Path) -> io::Result<()> {
    Ok(setns(File::open(path)?, CloneFlags::CLONE_NEWNET)?)
}

#[derive(Default)]
struct Known {
    inodes: HashSet<u64>,
    namespaces: Vec<Namespace>,
}

impl Known {
    /// `path` is what is kept of the namespace that `file` is.
    fn add(&mut self, path: PathBuf, file: &Path, deadline: Instant) {
        if self.namespaces.len() == MAX_NAMESPACES || Instant::now() > deadline {
            return;
        }
        if let Ok(metadata) = fs::metadata(file)
            && self.inodes.insert(metadata.ino())
        {
            self.namespaces.push(Namespace { inode: metadata.ino(), path });
        }
    }

    fn into_values(self) -> Vec<Namespace> {
        self.namespaces
    }
}

fn of_processes(link: &str, deadline: Instant) -> Known {
    let mut known = Known::default();
    let own = Path::new("/proc/thread-self");
    known.add(own.to_owned(), &own.join(link), deadline);
    // In the order of /proc, which is by number: a container's first process sees all of its mounts.
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if pid(&entry).is_some() {
            known.add(entry.path(), &entry.path().join(link), deadline);
        }
    }
    known
}

/// The process whose folder in /proc this is.
pub(super) fn pid(entry: &fs::DirEntry) -> Option<u32> {
    entry.file_name().to_str()?.parse().ok()
}
