//! What a process runs, read from the kernel's own memory: a process may be gone before the agent looks.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "lengths are bounded by the buffers that they are of"
)]

use aya_ebpf::helpers::bpf_get_current_task;
use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str, bpf_probe_read_user};
use aya_ebpf::macros::map;
use aya_ebpf::maps::LruHashMap;
use smbwatch_ebpf::event::{
    ARGUMENTS, ARGUMENTS_CUT, EXECUTABLE_DELETED, IMAGES, PATH, PATH_CUT, PATH_PART, PROCESS, ProcessEvent,
};
use smbwatch_ebpf::layout::Layout;
use smbwatch_ebpf::wire::{Be16, Be32, Be64};

use crate::maps::EVENTS;
use crate::skb::opaque;

/// Directories and mounts that are passed on the way from an executable to the root.
const MAX_DEPTH: usize = 24;

#[unsafe(no_mangle)]
static LAYOUT: Layout = Layout {
    known: 0,
    task_group_leader: 0,
    task_real_parent: 0,
    task_tgid: 0,
    task_start_boottime: 0,
    task_self_exec_id: 0,
    task_mm: 0,
    mm_arg_start: 0,
    mm_arg_end: 0,
    mm_exe_file: 0,
    file_mount: 0,
    file_dentry: 0,
    dentry_parent: 0,
    dentry_name: 0,
    dentry_hashed: 0,
    vfsmount_root: 0,
    mount_vfsmount: 0,
    mount_parent: 0,
    mount_mountpoint: 0,
};

/// Which program a process runs: when it started, and how often it has called `execve`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Version {
    pub(crate) started: u64,
    pub(crate) execs: u64,
}

/// What each process ran when it was told. The agent remembers as many.
#[map]
static TOLD: LruHashMap<u32, Version> = LruHashMap::with_max_entries(IMAGES, 0);

/// Reads one offset; volatile, because its value is put in after compilation.
macro_rules! offset {
    ($field:ident) => {
        // SAFETY: an initialised, read-only global.
        unsafe { core::ptr::read_volatile(&raw const LAYOUT.$field) }
    };
}

impl Version {
    /// That of the calling process; zeros where the kernel's layout is not known.
    #[inline(always)]
    pub(crate) fn current() -> Self {
        if offset!(known) == 0 {
            return Self { started: 0, execs: 0 };
        }
        // SAFETY: a helper without arguments.
        let task = unsafe { bpf_get_current_task() };
        let started = word(word(task, offset!(task_group_leader)), offset!(task_start_boottime));
        Self { started, execs: word(task, offset!(task_self_exec_id)) }
    }
}

/// Tells what the calling process runs, if that has not been told; false where the ring is full.
#[inline(never)]
pub(crate) fn tell(pid: u32, version: &Version) -> bool {
    if offset!(known) == 0 {
        return true;
    }
    let version = *version;
    // SAFETY: a helper without arguments.
    let task = unsafe { bpf_get_current_task() };
    let mm = word(task, offset!(task_mm));
    if mm == 0 {
        // A kernel thread runs no program.
        return true;
    }
    // SAFETY: the value is copied before anything else can happen.
    if unsafe { TOLD.get(pid) }.is_some_and(|told| *told == version) {
        return true;
    }
    let Some(mut record) = EVENTS.reserve::<ProcessEvent>(0) else { return false };
    let event: *mut ProcessEvent = record.as_mut_ptr();
    let parent = half(word(task, offset!(task_real_parent)), offset!(task_tgid));
    // SAFETY: the record is reserved, and every field of it is written but for the ends of the buffers, whose
    // lengths say how far they hold.
    unsafe {
        (*event).kind = PROCESS;
        (*event).pid = Be32::new(pid);
        (*event).parent = Be32::new(parent);
        (*event).padding = Be16::new(0);
        (*event).started = Be64::new(version.started);
        (*event).execs = Be64::new(version.execs);
        let (length, cut) = arguments(mm, (&raw mut (*event).arguments).cast());
        (*event).arguments_length = Be16::new(length);
        let file = word(mm, offset!(mm_exe_file));
        let path = path(file, &raw mut (*event).path_length, (&raw mut (*event).path).cast());
        (*event).marks = cut | path;
    }
    record.submit(0);
    let _ = TOLD.insert(pid, version, 0);
    true
}

/// Copies the arguments to `buffer`; tells how many bytes, and whether there are more.
#[inline(always)]
fn arguments(mm: u64, buffer: *mut u8) -> (u16, u8) {
    let start = word(mm, offset!(mm_arg_start));
    let length = word(mm, offset!(mm_arg_end)).wrapping_sub(start);
    let (wanted, cut) =
        if length < ARGUMENTS as u64 { (length, 0) } else { (ARGUMENTS as u64 - 1, ARGUMENTS_CUT) };
    let wanted = opaque(wanted as usize) & (ARGUMENTS - 1);
    // SAFETY: `buffer` holds `ARGUMENTS` bytes; the helper checks the user's memory.
    let result = unsafe { bpf_probe_read_user(buffer.cast(), wanted as u32, start as *const _) };
    if result == 0 { (wanted as u16, cut) } else { (0, ARGUMENTS_CUT) }
}

/// Copies the parts of the path of `file` to the record, last part first, across mounts up to the root; tells
/// whether the file has been deleted, and whether the path goes on. As `prepend_path` in fs/d_path.c has it.
///
/// The length is kept in the record, whose contents the verifier does not follow: each round of the loop is
/// then the same to it.
#[inline(always)]
unsafe fn path(file: u64, length: *mut Be16, buffer: *mut u8) -> u8 {
    let vfsmount = offset!(mount_vfsmount);
    let mut mount = word(file, offset!(file_mount)).wrapping_sub(vfsmount.into());
    let mut dentry = word(file, offset!(file_dentry));
    let mut root = word(mount, vfsmount + offset!(vfsmount_root));
    let unhashed = word(dentry, offset!(dentry_hashed)) == 0;
    let mut cut = PATH_CUT;
    // SAFETY: the caller's record.
    unsafe { length.write_volatile(Be16::new(0)) };
    for _ in 0..MAX_DEPTH {
        // SAFETY: as above.
        let used = u64::from(unsafe { length.read_volatile() }.get());
        let above = word(dentry, offset!(dentry_parent));
        if dentry == root || dentry == above {
            let below = word(mount, offset!(mount_parent));
            if below != mount && below != 0 {
                dentry = word(mount, offset!(mount_mountpoint));
                mount = below;
                root = word(mount, vfsmount + offset!(vfsmount_root));
                continue;
            }
            // What was never anywhere (memfd_create) is its own root, and has a name all the same.
            if used != 0 {
                cut = 0;
                break;
            }
        }
        if used >= PATH as u64 {
            break;
        }
        let at = opaque(used as usize) & (PATH - 1);
        let name = word(dentry, offset!(dentry_name));
        // SAFETY: `buffer` holds PATH_PART bytes more than PATH; the helper checks the kernel's memory.
        let copied =
            unsafe { bpf_probe_read_kernel_str(buffer.add(at).cast(), PATH_PART as u32, name as *const _) };
        if copied <= 0 {
            break;
        }
        // SAFETY: as above.
        unsafe { length.write_volatile(Be16::new((used + copied as u64) as u16)) };
        dentry = above;
    }
    cut | if unhashed { EXECUTABLE_DELETED } else { 0 }
}

/// Eight bytes of the kernel's memory; 0 where there are none, as the helper then writes.
#[inline(always)]
fn word(base: u64, offset: u32) -> u64 {
    let mut word = 0;
    let from = base.wrapping_add(offset.into());
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_kernel((&raw mut word).cast(), 8, from as *const _) };
    word
}

/// The same for four bytes.
#[inline(always)]
fn half(base: u64, offset: u32) -> u32 {
    let mut half = 0;
    let from = base.wrapping_add(offset.into());
    // SAFETY: as in `word`.
    unsafe { bpf_probe_read_kernel((&raw mut half).cast(), 4, from as *const _) };
    half
}
