//! Where a socket's or a process's cgroup is in its hierarchy.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lru::LruCache;
use procfs::process::Process;

use super::container::Place;
use crate::decode::printable;
use crate::probe::cgroup;

/// Paths that are remembered.
const PATHS: NonZeroUsize = NonZeroUsize::new(1 << 10).expect("not zero");
/// Folders that are looked into where the kernel does not let us open a cgroup by its identifier.
const MAX_FOLDERS: usize = 1 << 12;
/// Bytes of /proc/PID/cgroup that are read.
const MAX_CGROUP_FILE: u64 = 1 << 14;

/// Paths of cgroups by identifier. A boot uses no identifier twice, so that none goes stale, and a path is
/// still known when its cgroup is gone.
pub struct Cgroups {
    root: Option<Root>,
    paths: LruCache<u64, Option<Arc<str>>>,
}

/// The cgroup v2 hierarchy.
struct Root {
    folder: File,
    path: PathBuf,
}

impl Cgroups {
    /// Opens the hierarchy, where there is one.
    pub fn open() -> Self {
        Self { root: Root::open(), paths: LruCache::new(PATHS) }
    }

    /// The path of a cgroup v2 below the root of the hierarchy, `/` for the root itself; none where it is
    /// gone or is outside what this mount shows.
    pub fn path(&mut self, id: u64) -> Option<Arc<str>> {
        let root = self.root.as_ref()?;
        self.paths.get_or_insert(id, || root.find(id)).clone()
    }
}

impl Root {
    fn open() -> Option<Self> {
        let mounts = Process::myself().and_then(|process| process.mountinfo()).ok()?;
        let path = mounts.into_iter().find(|mount| mount.fs_type == "cgroup2")?.mount_point;
        Some(Self { folder: File::open(&path).ok()?, path })
    }

    fn find(&self, id: u64) -> Option<Arc<str>> {
        let found = match cgroup::path(&self.folder, id) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => self.walk(id)?,
            found => found.ok()?,
        };
        self.below(&found)
    }

    fn below(&self, path: &Path) -> Option<Arc<str>> {
        let below = path.strip_prefix(&self.path).ok()?;
        Some(format!("/{}", printable(below.as_os_str().as_bytes())).into())
    }

    /// The upper levels first: a service is found before what is nested in containers.
    fn walk(&self, id: u64) -> Option<PathBuf> {
        if self.folder.metadata().is_ok_and(|root| root.ino() == id) {
            return Some(self.path.clone());
        }
        let mut folders = VecDeque::from([self.path.clone()]);
        for _ in 0..MAX_FOLDERS {
            for entry in fs::read_dir(folders.pop_front()?).into_iter().flatten().flatten() {
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                if entry.ino() == id {
                    return Some(entry.path());
                }
                folders.push_back(entry.path());
            }
        }
        None
    }
}

/// The cgroup of a process: that of version 2, unless a hierarchy of version 1 alone says which container it
/// is in.
pub fn of_process(pid: u32) -> Option<String> {
    let file = File::open(format!("/proc/{pid}/cgroup")).ok()?;
    let mut bytes = Vec::new();
    file.take(MAX_CGROUP_FILE).read_to_end(&mut bytes).ok()?;
    best(&bytes)
}

/// Chooses among lines `hierarchy:controllers:path`, cgroups(7).
fn best(bytes: &[u8]) -> Option<String> {
    let mut version2 = None;
    let mut version1 = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let mut fields = line.splitn(3, |byte| *byte == b':');
        let hierarchy = (fields.next(), fields.next());
        let Some(path) = fields.next().map(printable) else { continue };
        if hierarchy == (Some(b"0"), Some(b"")) {
            version2 = Some(path);
        } else {
            version1.push(path);
        }
    }
    let in_container = |path: &String| Place::of(path).container.is_some();
    let longest = version1.into_iter().filter(in_container).max_by_key(String::len);
    if version2.as_ref().is_some_and(in_container) { version2 } else { longest.or(version2) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f2a9c0d5b7e81f64a2c9d0e8b7f6a5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a";

    #[test]
    fn the_line_that_names_the_container_is_chosen() {
        for (lines, path) in [
            ("0::/system.slice/ssh.service\n", Some("/system.slice/ssh.service".to_owned())),
            ("0::/a:b\n", Some("/a:b".to_owned())),
            (
                &format!(
                    "5:cpu,cpuacct:/\n4:memory:/docker/{ID}\n1:name=systemd:/docker/{ID}/x.slice\n0::/\n"
                ),
                Some(format!("/docker/{ID}/x.slice")),
            ),
            (
                &format!("4:memory:/docker/{ID}/more\n0::/system.slice/docker-{ID}.scope\n"),
                Some(format!("/system.slice/docker-{ID}.scope")),
            ),
            ("4:memory:/user.slice\n", None),
            ("0:\n::\n\n0", None),
            ("", None),
        ] {
            assert_eq!(best(lines.as_bytes()), path, "{lines}");
        }
    }

    #[test]
    fn this_process_has_a_cgroup() {
        assert!(of_process(std::process::id()).is_some());
        assert_eq!(of_process(u32::MAX), None);
    }

    /// Both ways find what is there.
    #[test]
    fn the_tree_is_walked_where_it_must_be() {
        let Some(root) = Root::open() else { return };
        let id = fs::metadata(&root.path).expect("the root").ino();
        assert_eq!(root.walk(id).as_ref(), Some(&root.path));
        assert_eq!(root.below(&root.path).as_deref(), Some("/"));
        assert_eq!(root.walk(u64::MAX), None);
        for entry in fs::read_dir(&root.path).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                assert_eq!(root.walk(entry.ino()), Some(entry.path()));
            }
        }
    }
}
