//! What runs as root, and how a user who is not root gets there.

use std::ffi::OsStr;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;

/// Whether this process is root already.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A command that runs as root: through sudo when this process is not root.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Result<Command> {
    if is_root() {
        return Ok(process::command(program));
    }
    if process::which("sudo").is_none() {
        let program = program.as_ref().display();
        bail!("`{program}` needs root, and sudo is not installed: run this as root");
    }
    let mut sudo = process::command("sudo");
    sudo.arg("--").arg(program);
    Ok(sudo)
}
