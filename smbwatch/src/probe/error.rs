//! What can go wrong between the agent and the kernel, and the way out of it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use aya::programs::ProgramError;
use aya::util::KernelVersion;

/// Ring buffers are the newest thing that smbwatch cannot do without.
const OLDEST: (u8, u8) = (5, 8);

/// The kernel refused something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A capability is missing.
    #[error(
        "no permission to load BPF programs: run as root, or grant CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON \
         (before Linux 5.8: CAP_SYS_ADMIN)"
    )]
    Permission,
    /// The kernel is too old.
    #[error("this is Linux {found}, but smbwatch needs {}.{} or later for BPF ring buffers", OLDEST.0, OLDEST.1)]
    Kernel {
        /// The release, as the kernel gives it.
        found: String,
    },
    /// The verifier or the loader refused a program.
    #[error("the kernel refused a BPF program; its reasons are in {}: {error}", log.display())]
    Refused {
        /// Where the verifier's log was written.
        log: PathBuf,
        /// The system call's error.
        error: std::io::Error,
    },
    /// There is no cgroup2 hierarchy.
    #[error(
        "no cgroup2 hierarchy is mounted, so connections cannot be traced to processes; mount one \
         (mount -t cgroup2 none /sys/fs/cgroup), or set `owners = false` to alert without processes"
    )]
    NoCgroup2,
    /// The connect hooks could not be attached.
    #[error("attach the connect hooks to {}: {error}", cgroup.display())]
    Owners {
        /// The root cgroup.
        cgroup: PathBuf,
        /// Why not.
        error: anyhow::Error,
    },
    /// No such interface.
    #[error("no interface `{name}`; there are: {}", available.join(", "))]
    NoInterface {
        /// The name that was asked for.
        name: String,
        /// The names that exist.
        available: Vec<String>,
    },
    /// An interface carries something other than Ethernet or IP.
    #[error("attach `{name}`: link type {kind} carries neither Ethernet nor plain IP")]
    LinkType {
        /// The interface.
        name: String,
        /// The kernel's name for its link layer.
        kind: String,
    },
    /// An interface refused the programs.
    #[error("attach `{name}`: {reason}")]
    Attach {
        /// The interface.
        name: String,
        /// What was tried, and how each failed.
        reason: String,
    },
    /// An interface went away, or got another name, while it was being attached to.
    #[error("attach `{name}`: the interface is gone, or has another name by now")]
    Gone {
        /// The name that it had.
        name: String,
    },
    /// The kernel's list of interfaces, routes or addresses could not be read.
    #[error("read interfaces and routes: {0}")]
    Netlink(#[from] rtnetlink::Error),
    /// Anything else that the loader says.
    #[error("BPF: {0:#}")]
    Bpf(anyhow::Error),
}

/// Refuses a kernel that cannot work, before it answers with a bare EINVAL.
pub(super) fn check_kernel() -> Result<(), Error> {
    if kernel_is_at_least(OLDEST) {
        return Ok(());
    }
    let found = nix::sys::utsname::uname();
    let found = found.map_or_else(|_| "?".to_owned(), |name| name.release().to_string_lossy().into_owned());
    Err(Error::Kernel { found })
}

pub(super) fn kernel_is_at_least((major, minor): (u8, u8)) -> bool {
    KernelVersion::current().is_ok_and(|current| current >= KernelVersion::new(major, minor, 0))
}

/// Whether a loader's error is about who asks.
pub(super) fn is_permission(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>()).any(is_denied)
}

/// Names what lies behind a loader's error, and keeps the verifier's log where there is one.
pub(super) fn refused(error: anyhow::Error, run_dir: &Path) -> Error {
    let denied = is_permission(&error);
    if denied && !nix::unistd::geteuid().is_root() {
        return Error::Permission;
    }
    let Some(ProgramError::LoadError { io_error, verifier_log }) = error.downcast_ref::<ProgramError>()
    else {
        return if denied { Error::Permission } else { Error::Bpf(error) };
    };
    if is_denied(io_error) {
        return Error::Permission;
    }
    let log = run_dir.join("verifier.log");
    let mut text = String::new();
    let _ = write!(text, "{verifier_log}");
    let io_error = std::io::Error::new(io_error.kind(), io_error.to_string());
    match std::fs::create_dir_all(run_dir).and_then(|()| std::fs::write(&log, text)) {
        Ok(()) => Error::Refused { log, error: io_error },
        Err(_) => Error::Bpf(error),
    }
}

/// The verifier refuses with EACCES; EPERM is about who asks.
fn is_denied(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(libc::EPERM)
}
