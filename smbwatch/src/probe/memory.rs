//! Memory that the start needed, and the time after it does not.

use std::fs;

use procfs::process::{MMPermissions, MMapPath, MemoryMap, Process};

/// Gives back what was freed: loading parses the kernel's type information, megabytes of it, which the allocator
/// would keep.
pub(super) fn trim() {
    // SAFETY: malloc_trim touches free memory alone.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Lets go of the pages of our own program that are as they are in its file. Those that are still needed come back from
/// the page cache; the others, most of them, were for the start, and would be counted as ours until the kernel runs
/// short of memory.
pub fn let_go_of_program() {
    let Ok(program) = fs::read_link("/proc/self/exe") else { return };
    let Ok(maps) = Process::myself().and_then(|process| process.smaps()) else { return };
    let is_as_in_file = |map: &MemoryMap| {
        let count = |name: &str| map.extension.map.get(name).copied();
        map.pathname == MMapPath::Path(program.clone())
            && !map.perms.contains(MMPermissions::WRITE)
            // What the loader has filled in before it took away the right to write is not in the file.
            && (count("Anonymous"), count("Swap")) == (Some(0), Some(0))
    };
    for map in maps.iter().filter(|map| is_as_in_file(map)) {
        let (start, end) = map.address;
        let (Ok(address), Ok(length)) = (usize::try_from(start), usize::try_from(end - start)) else {
            continue;
        };
        // SAFETY: the range is one mapping of a file, not writable and without a page of its own, so every page of it can
        // be read again as it is.
        unsafe { libc::madvise(std::ptr::with_exposed_provenance_mut(address), length, libc::MADV_DONTNEED) };
    }
}
