//! What /proc says of a process, as long as it is still the one that connected.

use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use procfs::process::{Process as ProcEntry, Stat};

use super::holders::Holder;
use super::redact::redact;
use super::users::Users;
use super::{cgroup, mounts};
use crate::decode::{CUT, printable};
use crate::observation::{Owner, ProcessObservation};

/// Bytes of a command line that are read.
const MAX_COMMAND_LINE: u64 = 4096;
/// Arguments that are kept.
const MAX_ARGUMENTS: usize = 64;
/// Parents that are followed.
const MAX_ANCESTORS: usize = 8;

/// A process. What could not be read any more is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Its identifier in the initial PID namespace.
    pub pid: u32,
    /// The thread that connected.
    pub tid: u32,
    /// Name of the thread that connected.
    pub name: String,
    /// Path of the executable, ending in ` (deleted)` where the file is gone.
    pub executable: Option<String>,
    /// Arguments without passwords.
    pub arguments: Vec<String>,
    /// More arguments than are kept.
    pub arguments_cut: bool,
    /// When it started.
    pub start: Option<Timestamp>,
    /// Ticks since boot at its start; with `pid` this tells it from every other process of this boot.
    pub start_ticks: Option<u64>,
    /// User identifier at the time of the connect.
    pub uid: u32,
    /// Group identifier at the time of the connect.
    pub gid: u32,
    /// The user's name.
    pub user: Option<String>,
    /// Parent, its parent, and so on.
    pub ancestors: Vec<Ancestor>,
    /// It is a thread of the kernel.
    pub kernel: bool,
    /// Path of its cgroup.
    pub cgroup: Option<Arc<str>>,
}

/// A process further up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ancestor {
    /// Its identifier.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// Path of the executable.
    pub executable: Option<String>,
}

/// Looks at the process that connected. `image` is what the kernel said of it, before it could end.
pub(super) fn look(owner: &Owner, image: Option<&ProcessObservation>, users: &mut Users) -> Process {
    let mut process = connected(owner, image, users);
    process.kernel = process.executable.is_none() && mounts::is_kernel_thread(owner.pid);
    process
}

/// Looks at a process that holds what packets came from, unless its identifier is another's by now.
pub(super) fn held(holder: &Holder, users: &mut Users) -> Option<Process> {
    let entry = entry(holder.pid)?;
    let status = entry.status().ok()?;
    let (arguments, arguments_cut) = command_line(&entry);
    let mut process = Process {
        pid: holder.pid,
        tid: holder.pid,
        name: holder.name.clone(),
        executable: executable(&entry),
        arguments,
        arguments_cut,
        uid: status.ruid,
        gid: status.rgid,
        user: users.name(status.ruid),
        cgroup: cgroup::of_process(holder.pid).map(Into::into),
        ..Process::default()
    };
    let stat = entry.stat().ok().filter(|stat| stat.starttime == holder.start_ticks)?;
    process.started(stat.starttime);
    process.ancestors = ancestors(stat.ppid);
    Some(process)
}

/// Whether the identifier of a process is still its own.
pub(super) fn is_still(process: &Process) -> bool {
    let stat = entry(process.pid).and_then(|entry| entry.stat().ok());
    stat.is_some_and(|stat| process.start_ticks.is_none_or(|ticks| ticks == stat.starttime))
}

fn connected(owner: &Owner, image: Option<&ProcessObservation>, users: &mut Users) -> Process {
    let mut process = Process {
        pid: owner.pid,
        tid: owner.tid,
        name: owner.comm.clone(),
        uid: owner.uid,
        gid: owner.gid,
        user: users.name(owner.uid),
        ..Process::default()
    };
    if let Some(image) = image {
        process.executable = image.executable.clone();
        (process.arguments, process.arguments_cut) = arguments(&image.command_line, image.cut);
        process.started(image.version.started / tick());
        process.ancestors = ancestors(i32::try_from(image.parent).unwrap_or(0));
        if !image.cut && !is_cut(process.executable.as_deref()) {
            return process;
        }
    }
    // What vanishes first is read first: the executable and the arguments go at exit, before the entry.
    let Some(entry) = entry(owner.pid) else { return process };
    let executable = executable(&entry);
    let (arguments, cut) = command_line(&entry);
    let Ok(stat) = entry.stat() else { return process };
    if is_another(&stat, owner) {
        // The identifier belongs to another process by now.
        return process;
    }
    if image.is_none() || is_cut(process.executable.as_deref()) && executable.is_some() {
        process.executable = executable;
    }
    if image.is_none() {
        process.started(stat.starttime);
        process.ancestors = ancestors(stat.ppid);
    }
    if arguments.len() >= process.arguments.len() {
        process.arguments = arguments;
        process.arguments_cut = cut;
    }
    process
}

/// Whether the kernel's copy of a path lacks its front.
fn is_cut(path: Option<&str>) -> bool {
    path.is_some_and(|path| path.starts_with(CUT))
}

impl Process {
    fn started(&mut self, ticks: u64) {
        self.start = start(ticks);
        self.start_ticks = Some(ticks);
    }
}

fn entry(pid: u32) -> Option<ProcEntry> {
    ProcEntry::new(i32::try_from(pid).ok()?).ok()
}

fn executable(entry: &ProcEntry) -> Option<String> {
    entry.exe().ok().map(|path| printable(path.as_os_str().as_bytes()))
}

fn command_line(entry: &ProcEntry) -> (Vec<String>, bool) {
    let mut bytes = Vec::new();
    let read = entry.open_relative("cmdline").map(|file| file.take(MAX_COMMAND_LINE).read_to_end(&mut bytes));
    if !matches!(read, Ok(Ok(_))) {
        return (Vec::new(), false);
    }
    arguments(&bytes, bytes.len() as u64 == MAX_COMMAND_LINE)
}

fn arguments(command_line: &[u8], cut: bool) -> (Vec<String>, bool) {
    let mut arguments = split(command_line);
    if cut {
        // Of the last one a part may be missing, and with it what marks a secret.
        arguments.pop();
    }
    redact(&mut arguments);
    let cut = cut || arguments.len() > MAX_ARGUMENTS;
    arguments.truncate(MAX_ARGUMENTS);
    (arguments, cut)
}

/// Splits a command line. Samba's programs overwrite `%PASSWORD` with zeros, which look like at least two
/// empty arguments in a row.
fn split(command_line: &[u8]) -> Vec<String> {
    let text = command_line.strip_suffix(&[0]).unwrap_or(command_line);
    if text.is_empty() {
        return Vec::new();
    }
    let arguments: Vec<&[u8]> = text.split(|byte| *byte == 0).collect();
    let runs = arguments.chunk_by(|before, after| before.is_empty() && after.is_empty());
    runs.filter(|run| run.len() == 1).flatten().map(|argument| printable(argument)).collect()
}

fn ancestors(parent: i32) -> Vec<Ancestor> {
    let mut ancestors = Vec::new();
    let mut pid = parent;
    while pid > 0 && ancestors.len() < MAX_ANCESTORS {
        let Ok(entry) = ProcEntry::new(pid) else { break };
        let Ok(stat) = entry.stat() else { break };
        ancestors.push(Ancestor {
            pid: u32::try_from(pid).unwrap_or(0),
            name: printable(stat.comm.as_bytes()),
            executable: executable(&entry),
        });
        pid = stat.ppid;
    }
    ancestors
}

/// Whether an entry of /proc is of another process than the one that called `connect`.
fn is_another(stat: &Stat, owner: &Owner) -> bool {
    match owner.version {
        Some(version) => stat.starttime != version.started / tick(),
        None => started_after(stat, owner.monotonic),
    }
}

/// Whether a process started after a moment of the monotonic clock. /proc counts from boot, suspension
/// included, and in ticks of 10 ms.
fn started_after(stat: &Stat, monotonic: u64) -> bool {
    let (Some(boot), Some(now)) = (clock(libc::CLOCK_BOOTTIME), clock(libc::CLOCK_MONOTONIC)) else {
        return false;
    };
    let started = stat.starttime.saturating_mul(tick());
    started > monotonic.saturating_add(boot.saturating_sub(now))
}

fn start(ticks: u64) -> Option<Timestamp> {
    let running = clock(libc::CLOCK_BOOTTIME)?.saturating_sub(ticks.saturating_mul(tick()));
    Timestamp::now().checked_sub(SignedDuration::from_nanos(i64::try_from(running).ok()?)).ok()
}

/// Nanoseconds in which /proc counts.
fn tick() -> u64 {
    1_000_000_000 / procfs::ticks_per_second().max(1)
}

fn clock(id: libc::clockid_t) -> Option<u64> {
    let time = nix::time::clock_gettime(id.into()).ok()?;
    u64::try_from(time.tv_sec())
        .ok()?
        .checked_mul(1_000_000_000)?
        .checked_add(u64::try_from(time.tv_nsec()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me(monotonic: u64) -> Owner {
        Owner {
            monotonic,
            version: None,
            pid: std::process::id(),
            tid: 7,
            uid: 0,
            gid: 0,
            comm: "me".to_owned(),
            cgroup: 1,
            netns: 1,
        }
    }

    #[test]
    fn this_process_is_known_with_its_parents() {
        let now = clock(libc::CLOCK_MONOTONIC).expect("a clock");
        let process = look(&me(now), None, &mut Users::default());
        let executable = std::env::current_exe().expect("an executable");
        assert_eq!(process.executable.as_deref(), executable.to_str());
        assert_eq!(process.arguments.first().map(String::as_str), std::env::args().next().as_deref());
        assert_eq!(
            process.ancestors.first().map(|parent| parent.pid),
            Some(std::os::unix::process::parent_id())
        );
    }

    #[test]
    fn passwords_that_were_overwritten_leave_no_empty_arguments() {
        assert_eq!(split(b"smbclient\0-U\0alice\0\0\0\0-c\0ls\0"), ["smbclient", "-U", "alice", "-c", "ls"]);
        assert_eq!(split(b"smbclient\0-U\0alice\0\0\0"), ["smbclient", "-U", "alice"]);
        assert_eq!(split(b"printf\0\0x\0"), ["printf", "", "x"]);
        assert_eq!(split(b"smbclient"), ["smbclient"]);
        assert_eq!(split(b""), [""; 0]);
    }

    #[test]
    fn the_last_argument_of_a_cut_command_line_is_left_out() {
        let line = b"curl\0-s\0smb://alice:pw";
        assert_eq!(arguments(line, true), (vec!["curl".to_owned(), "-s".to_owned()], true));
        assert_eq!(arguments(line, false).0.len(), 3);
        assert_eq!(arguments(b"smb://alice:pw", true), (Vec::new(), true));
    }

    #[test]
    fn a_process_that_started_later_is_not_taken_for_the_one_that_connected() {
        let process = look(&me(1), None, &mut Users::default());
        assert_eq!((process.executable, process.arguments.len()), (None, 0));
        assert_eq!(process.name, "me");
    }
}
