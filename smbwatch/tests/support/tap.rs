//! The other end of tun, tap and macvtap interfaces, as a virtual machine monitor or a VPN holds it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

/// Makes a tun or tap interface of the calling thread's namespace, which lives as long as the file.
pub fn tun(name: &str, flags: libc::c_int) -> io::Result<File> {
    let file = open(Path::new("/dev/net/tun"))?;
    set_flags(&file, name, flags)?;
    Ok(file)
}

/// Opens a macvtap of the calling thread's namespace, by a device node in `folder`. The thread has mounts of
/// its own from then on, with a /sys that shows the interfaces of its namespace.
pub fn macvtap(folder: &Path, name: &str) -> File {
    unshare(CloneFlags::CLONE_NEWNS).expect("leave the mount namespace");
    let nothing = None::<&str>;
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing).expect("keep mounts here");
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), nothing).expect("mount /sys");
    let taps = Path::new("/sys/class/net").join(name).join("macvtap");
    let tap = fs::read_dir(taps).expect("list taps").next().expect("a tap").expect("a tap");
    let device = fs::read_to_string(tap.path().join("dev")).expect("read the device's number");
    let (major, minor) = device.trim().split_once(':').expect("two numbers");
    let number = |text: &str| text.parse().expect("a number");
    let node = folder.join(tap.file_name());
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    mknod(&node, SFlag::S_IFCHR, mode, makedev(number(major), number(minor))).expect("make a device node");
    open(&node).expect("open the tap")
}

/// Says what kind of a device, and which interface, a file is to be.
pub fn set_flags(file: &File, name: &str, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: all fields of the structure may be zero.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = i16::try_from(flags).expect("flags");
    // SAFETY: the request takes this structure, which outlives the call.
    match unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}
