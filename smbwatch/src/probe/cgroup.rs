//! A cgroup's path from its identifier, without a walk through the tree.

use std::fs::File;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::PathBuf;

/// `FILEID_KERNFS` of linux/exportfs.h: the handle is the 64-bit identifier of a kernfs node, which is what
/// BPF programs know a cgroup by.
const FILEID_KERNFS: libc::c_int = 0xfe;

/// `struct file_handle` of name_to_handle_at(2), with the bytes of this one type.
#[repr(C)]
struct FileHandle {
    bytes: libc::c_uint,
    kind: libc::c_int,
    id: [u8; size_of::<u64>()],
}

/// Where the cgroup `id` of the hierarchy that `mount` belongs to is. ESTALE: it is gone. EPERM: the agent
/// lacks CAP_DAC_READ_SEARCH.
pub(crate) fn path(mount: &File, id: u64) -> io::Result<PathBuf> {
    let mut handle = FileHandle { bytes: 8, kind: FILEID_KERNFS, id: id.to_ne_bytes() };
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: the descriptor is open; `handle` has the kernel's layout, says how many bytes it holds, and
    // outlives the call.
    let opened =
        unsafe { libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), &raw mut handle, flags) };
    let descriptor = i32::try_from(opened).map_err(io::Error::other)?;
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
    let cgroup = unsafe { OwnedFd::from_raw_fd(descriptor) };
    std::fs::read_link(format!("/proc/self/fd/{}", cgroup.as_raw_fd()))
}
