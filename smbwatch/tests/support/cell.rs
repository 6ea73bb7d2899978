//! A place of its own for a container engine: its mounts, processes and network are gone when it is dropped.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::lab::{End, Lab, output, tool};
use super::skip::skip;

/// The image that is in every cell's /run/lab.tar: busybox alone.
pub const IMAGE: &str = "localhost/lab:1";

/// Namespaces whose /run and /dev/shm are empty, and whose /sys/fs/cgroup is a cgroup v2 hierarchy of their
/// own.
pub struct Cell {
    holder: Child,
    /// Of this machine, for sockets.
    folder: PathBuf,
    /// The cell's root cgroup, where this test sees it.
    cgroup: PathBuf,
}

const MAKE: &str = "set -e
umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mkdir /sys/fs/cgroup/init
mount -t tmpfs none /run
mount -t tmpfs none /dev/shm
mkdir -p /run/image/bin
cp \"$(command -v busybox)\" /run/image/bin/
ln -s busybox /run/image/bin/sleep
tar -C /run/image -c -f /run/lab.tar .
echo made
exec sleep infinity";

/// Only a cgroup without processes can give controllers to those below.
const ENTER: &str = "echo $$ > /sys/fs/cgroup/init/cgroup.procs && exec \"$@\"";

impl Cell {
    /// Makes a cell for `programs`; none where one of them is not installed, or where it cannot be, and
    /// `test` is noted as skipped.
    pub fn make(test: &str, programs: &[&str]) -> Option<Self> {
        Self::make_with(test, programs, "unshare --net")
    }

    /// The same on the private host of a lab, instead of a network of its own.
    pub fn make_on(lab: &Lab, test: &str, programs: &[&str]) -> Option<Self> {
        let host = lab.name(End::Host);
        Self::make_with(test, programs, &format!("nsenter --net=/run/netns/{host} unshare"))
    }

    fn make_with(test: &str, programs: &[&str], unshare: &str) -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let present = |name: &&&str| tool(name).arg("--version").output().is_err();
        if !nix::unistd::geteuid().is_root() {
            skip(test, "needs root");
            return None;
        }
        if let Some(missing) = programs.iter().chain(&["unshare", "busybox", "tar"]).find(present) {
            skip(test, &format!("{missing} is not installed"));
            return None;
        }
        let name = format!("smbw-t-{}-cell{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let Some(hierarchy) = hierarchy() else {
            skip(test, "there is no cgroup v2 hierarchy");
            return None;
        };
        let (folder, cgroup) = (std::env::temp_dir().join(&name), hierarchy.join(&name));
        fs::create_dir(&folder).expect("create the cell's folder");
        fs::create_dir(&cgroup).expect("create the cell's cgroup");
        let spaces = "--cgroup --mount --pid --fork --kill-child --mount-proc";
        let line =
            format!("echo $$ > {}/cgroup.procs && exec {unshare} {spaces} sh -c \"$1\"", cgroup.display());
        let mut shell = tool("sh");
        shell.args(["-c", &line, "sh", MAKE]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut holder = shell.spawn().expect("start a shell");
        let mut said = String::new();
        BufReader::new(holder.stdout.take().expect("a pipe")).read_line(&mut said).expect("read");
        let cell = Self { holder, folder, cgroup };
        if said != "made\n" {
            skip(test, "cannot make namespaces with a cgroup v2 hierarchy");
            return None;
        }
        let procs = cell.cgroup.join("init/cgroup.procs");
        fs::write(procs, cell.holder.id().to_string()).expect("move a process");
        Some(cell)
    }

    /// A cgroup of the cell, where this test sees it.
    pub fn cgroup(&self, path: &str) -> PathBuf {
        self.cgroup.join(path)
    }

    /// Where a socket can be that this test sees as well.
    pub fn socket(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A command that runs in the cell.
    pub fn at(&self, program: impl AsRef<OsStr>) -> Command {
        let holder = format!("/proc/{}/ns", self.holder.id());
        let mut command = tool("nsenter");
        command.args([
            format!("--cgroup={holder}/cgroup"),
            format!("--mount={holder}/mnt"),
            format!("--net={holder}/net"),
            format!("--pid={holder}/pid_for_children"),
        ]);
        command.args(["--", "sh", "-c", ENTER, "sh"]).arg(program);
        command
    }

    /// Runs a shell's command line in the cell; returns what it wrote, without the end of the line.
    pub fn run(&self, line: &str) -> String {
        output(self.at("sh").args(["-c", line])).trim_end().to_owned()
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        // The first process of the cell dies with `unshare`, and all others of the cell with the first.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        let mut left = vec![self.cgroup.clone()];
        while let Some(cgroup) = left.last().cloned() {
            let inner: Vec<_> = folders(&cgroup).collect();
            if inner.is_empty() {
                remove(&cgroup);
                left.pop();
            }
            left.extend(inner);
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{} is left behind: {error}", self.folder.display());
        }
    }
}

/// Where this test sees the cgroup v2 hierarchy.
fn hierarchy() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("read the mounts");
    let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    mounts.find(|fields| fields.get(2) == Some(&"cgroup2")).map(|fields| PathBuf::from(fields[1]))
}

fn folders(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
}

/// A cgroup is busy until the last of its processes, which was killed, is gone.
fn remove(cgroup: &Path) {
    let deadline = std::time::Instant::now() + super::agent::PATIENCE;
    while let Err(error) = fs::remove_dir(cgroup) {
        if error.kind() != std::io::ErrorKind::ResourceBusy || std::time::Instant::now() > deadline {
            break;
        }
        std::thread::yield_now();
    }
}
