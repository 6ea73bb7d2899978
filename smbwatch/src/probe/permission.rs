//! Whether this process may do what the agent does.

use procfs::process::Process;

use super::error::Error;

// linux/capability.h
const CAP_NET_ADMIN: u64 = 1 << 12;
const CAP_SYS_ADMIN: u64 = 1 << 21;
const CAP_BPF: u64 = 1 << 39;

/// Refuses a process without the capabilities, before it fails at something that tells less. What cannot be
/// known is left to the kernel.
pub fn check_permission() -> Result<(), Error> {
    let status = Process::myself().and_then(|process| process.status());
    let has = |capabilities| status.as_ref().map_or(true, |status| status.capeff & capabilities != 0);
    if has(CAP_BPF | CAP_SYS_ADMIN) && has(CAP_NET_ADMIN) { Ok(()) } else { Err(Error::Permission) }
}
