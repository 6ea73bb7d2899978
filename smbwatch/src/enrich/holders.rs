//! Which processes hold an open file. It is found by reading what every descriptor in /proc points to.

use std::collections::HashMap;
use std::fs;
use std::hash::Hash;
use std::path::{Path, PathBuf};
use std::time::Instant;

use procfs::process::Process;

use super::namespaces::pid;
use crate::decode::printable;

/// A process that holds an open file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its identifier in the PID namespace of our /proc.
    pub pid: u32,
    /// Ticks since boot at its start; with `pid` this tells it from every other process of this boot.
    pub start_ticks: u64,
    /// Its name.
    pub name: String,
}

/// Who holds what was looked for.
pub(super) struct Held<K> {
    /// Each process once for each thing that it holds, however many of its descriptors point there.
    pub(super) by: HashMap<K, Vec<Holder>>,
    /// Time was over before the last process.
    pub(super) cut: bool,
}

/// Looks at every descriptor of every process. `pick` is given its path in /proc and what it points to, and
/// says which of the things that are looked for that is.
///
/// The threads of a process are taken to share its descriptors.
pub(super) fn scan<K: Copy + Eq + Hash>(
    deadline: Instant,
    pick: impl Fn(&Path, &Path) -> Option<K>,
) -> Held<K> {
    let mut held = Held { by: HashMap::new(), cut: false };
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = pid(&entry) else { continue };
        // Opened first and asked last: what still answers had this number all the while.
        let Some(process) = i32::try_from(pid).ok().and_then(|pid| Process::new(pid).ok()) else { continue };
        let mut keys = Vec::new();
        let mut read = |folder: &Path| {
            let count = read(folder, deadline, &pick, &mut keys);
            held.cut |= count.is_none();
            count
        };
        if read(&entry.path().join("fd")) == Some(0) {
            for folder in of_threads(&process, &entry.path()) {
                read(&folder);
            }
        }
        if !keys.is_empty()
            && let Ok(stat) = process.stat()
        {
            let name = printable(stat.comm.as_bytes());
            let holder = Holder { pid, start_ticks: stat.starttime, name };
            for key in keys {
                let holders = held.by.entry(key).or_default();
                if holders.last() != Some(&holder) {
                    holders.push(holder.clone());
                }
            }
        }
        if held.cut {
            break;
        }
    }
    held
}

/// Says how many there are, if there was time for all of them.
fn read<K>(
    folder: &Path,
    deadline: Instant,
    pick: impl Fn(&Path, &Path) -> Option<K>,
    keys: &mut Vec<K>,
) -> Option<usize> {
    let mut count = 0;
    for descriptor in fs::read_dir(folder).into_iter().flatten().flatten() {
        if Instant::now() > deadline {
            return None;
        }
        count += 1;
        let path = descriptor.path();
        keys.extend(fs::read_link(&path).ok().and_then(|target| pick(&path, &target)));
    }
    Some(count)
}

/// The descriptors of a process whose first thread has ended before the others: /proc/PID/fd is empty then.
fn of_threads(process: &Process, path: &Path) -> Vec<PathBuf> {
    let Ok(stat) = process.stat() else { return Vec::new() };
    if stat.state != 'Z' || stat.num_threads < 2 {
        return Vec::new();
    }
    let threads = fs::read_dir(path.join("task")).into_iter().flatten().flatten();
    threads.map(|thread| thread.path().join("fd")).collect()
}
