//! `build`: the agent, with its BPF object inside.

use anyhow::Result;

use crate::{process, setup};

/// Build the agent: one binary, target/debug/smbwatch, with the BPF object inside.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Optimise: target/release/smbwatch.
    #[arg(long)]
    release: bool,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    setup::toolchain()?;
    agent(args.release)
}

/// Builds the agent as the invoking user.
pub(crate) fn agent(release: bool) -> Result<()> {
    let mut cargo = process::cargo();
    cargo.args(["build", "--package", "smbwatch"]);
    if release {
        cargo.arg("--release");
    }
    process::run(&mut cargo)
}
