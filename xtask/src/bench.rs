//! `bench`: what watching costs, measured in a lab.

use anyhow::Result;

use crate::{build, packages, process, root, setup};

/// Measure what watching costs.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write the results as JSON to stdout.
    #[arg(long)]
    json: bool,
    /// What to measure: program, reading, throughput, latency, flood, footprint, interfaces, sinks, absence; nothing: all of it.
    parts: Vec<String>,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    setup::toolchain()?;
    setup::lab();
    packages::ensure_bench();
    build::agent(true)?;
    let mut cargo = process::cargo();
    cargo.args(["bench", "--package", "smbwatch", "--bench", "bench", "--"]).args(&args.parts);
    if !root::is_root() {
        cargo.env(process::runner_variable()?, "sudo -E");
    }
    if args.json {
        cargo.arg("--json");
    }
    process::run(&mut cargo)
}
