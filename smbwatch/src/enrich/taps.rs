//! Who holds the other end of a tun, tap or macvtap interface: the virtual machine or the VPN behind it.
//!
//! It blocks while every process is looked at.

use std::fs;
use std::os::linux::fs::MetadataExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::holders::{self, Holder};

/// How long the processes are looked at.
const PATIENCE: Duration = Duration::from_secs(1);

/// The processes that hold the other end of an interface of our network namespace.
///
/// A descriptor tells the interface's name, and not in which namespace that is. So a process in our own
/// namespace goes before others; and of those, who has an interface of that name in its own is not counted.
/// The kernel's vhost threads hold nothing themselves: the process that set them up does.
pub fn holders(interface: &str) -> Vec<Holder> {
    let deadline = Instant::now() + PATIENCE;
    if let Some((device, name)) = macvtap(interface) {
        return scan(deadline, |path, target| {
            target.file_name().is_some_and(|found| found.as_bytes() == name.as_bytes())
                && fs::metadata(path).is_ok_and(|metadata| metadata.st_rdev() == device)
        });
    }
    let is_ours = |path: &Path| fs::read_to_string(fdinfo(path)).is_ok_and(|text| names(&text, interface));
    let mut holders = scan(deadline, |path, target| target.ends_with("tun") && is_ours(path));
    if holders.is_empty() {
        // The device can be made anew under any name.
        holders = scan(deadline, |path, target| target.is_absolute() && is_ours(path));
    }
    let (ours, others): (Vec<_>, Vec<_>) = holders.into_iter().partition(|holder| is_here(holder.pid));
    if ours.is_empty() {
        others.into_iter().filter(|other| !has(other.pid, interface)).collect()
    } else {
        ours
    }
}

fn scan(deadline: Instant, is_it: impl Fn(&Path, &Path) -> bool) -> Vec<Holder> {
    let mut held = holders::scan(deadline, |path, target| is_it(path, target).then_some(()));
    held.by.remove(&()).unwrap_or_default()
}

/// The device and the name of the file behind a macvtap or ipvtap interface.
fn macvtap(interface: &str) -> Option<(libc::dev_t, String)> {
    let folder = PathBuf::from("/sys/class/net").join(interface);
    let taps = ["macvtap", "ipvtap"].into_iter().filter_map(|kind| fs::read_dir(folder.join(kind)).ok());
    let tap = taps.flatten().flatten().next()?;
    let text = fs::read_to_string(tap.path().join("dev")).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    let device = libc::makedev(major.parse().ok()?, minor.parse().ok()?);
    Some((device, tap.file_name().into_string().ok()?))
}

/// `/proc/PID/fd/N` as `/proc/PID/fdinfo/N`.
fn fdinfo(descriptor: &Path) -> PathBuf {
    let folder = descriptor.parent().unwrap_or(descriptor).with_file_name("fdinfo");
    folder.join(descriptor.file_name().unwrap_or_default())
}

/// Whether a tun descriptor's fdinfo tells this interface (tun_chr_show_fdinfo).
fn names(fdinfo: &str, interface: &str) -> bool {
    fdinfo.lines().any(|line| line.strip_prefix("iff:\t") == Some(interface))
}

fn is_here(pid: u32) -> bool {
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).ok();
    namespace(&pid.to_string()) == namespace("thread-self")
}

/// Whether the namespace of a process has an interface of that name, /proc/PID/net/dev.
fn has(pid: u32, interface: &str) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default();
    text.lines().filter_map(|line| line.rsplit_once(':')).any(|(name, _)| name.trim() == interface)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_tells_its_interface() {
        let text = "pos:\t0\nflags:\t0104002\nmnt_id:\t25\nino:\t12\niff:\ttap0\n";
        assert!(names(text, "tap0"));
        assert!(!names(text, "tap") && !names(text, "tap00") && !names("iff:\t\n", "tap0"));
        assert_eq!(fdinfo(Path::new("/proc/7/fd/3")), Path::new("/proc/7/fdinfo/3"));
    }
}
