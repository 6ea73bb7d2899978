//! Memory that the start needed, and the time after it does not.

use std::fs;

use procfs::process::{MMPermissions, MMapPath, Process};

/// Gives back what was freed: loading parses the kernel's type information, megabytes of it, which the allocator
/// would keep.
pub(super) fn trim() {
    // SAFETY: malloc_trim touches free memory alone.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Lets go of the pages of our own code. Those that are still needed come back from the page cache; the others, most
/// of them, were for the start, and would be counted as ours until the kernel runs short of memory.
pub fn let_go_of_code() {
    let Ok(program) = fs::read_link("/proc/self/exe") else { return };
    let Ok(maps) = Process::myself().and_then(|process| process.maps()) else { return };
    let is_code = |path: &MMapPath, permissions: MMPermissions| {
        *path == MMapPath::Path(program.clone())
            && permissions == MMPermissions::READ | MMPermissions::EXECUTE | MMPermissions::PRIVATE
    };
    for map in maps.iter().filter(|map| is_code(&map.pathname, map.perms)) {
        let (start, end) = map.address;
        let (Ok(address), Ok(length)) = (usize::try_from(start), usize::try_from(end - start)) else {
            continue;
        };
        // SAFETY: the range is one mapping of a file, never writable, so every page of it can be read again as it is.
        unsafe { libc::madvise(std::ptr::with_exposed_provenance_mut(address), length, libc::MADV_DONTNEED) };
    }
}
