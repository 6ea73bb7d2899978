//! `build`: the agent, with its BPF object inside.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

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

/// Builds one of the agent's tests; returns its program.
pub(crate) fn test(name: &str) -> Result<PathBuf> {
    let mut cargo = process::cargo();
    cargo.args(["test", "--package", "smbwatch", "--test", name, "--no-run", "--message-format=json"]);
    let messages = process::output(&mut cargo)?;
    let mut programs = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        (message["target"]["name"] == name).then(|| message["executable"].as_str().map(PathBuf::from))?
    });
    programs.next_back().with_context(|| format!("cargo names no program for the test `{name}`"))
}
