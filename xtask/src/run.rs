//! `run`: the agent on this machine, as root.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};

use crate::say::say;
use crate::{build, root, setup, workspace};

/// Build the agent and start `smbwatch run` on this machine, as root.
///
/// It watches this machine's interfaces until Ctrl-C and then detaches what it attached.
/// It only looks: no packet is changed, held or dropped.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Build with optimisations.
    #[arg(long)]
    release: bool,
    /// Arguments for `smbwatch run`, such as `--interface eth0`.
    #[arg(last = true)]
    args: Vec<OsString>,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    setup::toolchain()?;
    build::agent(args.release)?;
    let agent = workspace::binaries(args.release).join("smbwatch");
    let mut command = root::command(&agent)?;
    command.arg("run").args(&args.args);
    say("run", "smbwatch run, as root; Ctrl-C ends it");
    // In our place, so that signals reach it and its exit status is ours.
    Err(command.exec()).with_context(|| format!("start {}", agent.display()))
}
