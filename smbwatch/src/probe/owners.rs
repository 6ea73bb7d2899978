//! The connect hooks on the root cgroup.

use std::fs::File;
use std::path::PathBuf;

use aya::Ebpf;
use aya::programs::{CgroupAttachMode, CgroupSockAddr};
use procfs::process::Process;

use super::error::Error;

pub(super) const HOOKS: [&str; 2] = ["smbwatch_connect4", "smbwatch_connect6"];

/// Loads both hooks and attaches them to the root of the cgroup2 hierarchy.
pub(super) fn attach(bpf: &mut Ebpf) -> Result<(), Error> {
    let path = root().ok_or(Error::NoCgroup2)?;
    let failed = |error: anyhow::Error| Error::Owners { cgroup: path.clone(), error };
    let cgroup = File::open(&path).map_err(|error| failed(error.into()))?;
    for name in HOOKS {
        let program = bpf
            .program_mut(name)
            .ok_or_else(|| failed(anyhow::anyhow!("no program `{name}` in the object")))?;
        let program: &mut CgroupSockAddr =
            program.try_into().map_err(|error: aya::programs::ProgramError| failed(error.into()))?;
        // Links always allow further programs; the flags that say so are refused for them.
        program.attach(&cgroup, CgroupAttachMode::Single).map_err(|error| failed(error.into()))?;
    }
    Ok(())
}

/// Where the cgroup2 hierarchy is mounted; in a hybrid layout that is not /sys/fs/cgroup itself.
fn root() -> Option<PathBuf> {
    let mounts = Process::myself().and_then(|process| process.mountinfo()).ok()?;
    mounts.into_iter().find(|mount| mount.fs_type == "cgroup2").map(|mount| mount.mount_point)
}
