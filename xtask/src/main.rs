//! The project's own commands: `cargo xtask --help`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod wheels;
mod workspace;

mod process;
mod root;
mod say;

mod setup;

mod apt;
mod linker;
mod packages;
mod recipe;
mod toolchain;

mod bench;
mod build;
mod lint;
mod run;
mod test;
mod vm;

mod demo;

mod document;
mod interrupt;
mod lab;
mod peer;
mod samba;
mod service;

/// Builds, tests, measures and shows smbwatch.
///
/// Every task first makes sure that this machine has what it needs, and says what it
/// installs and why; when everything is there this takes a moment. Building runs as you.
/// Only what needs privileges (attaching BPF programs, network namespaces, installing
/// packages) runs as root: through sudo when you are not root.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask demo                       see an alert, from nothing, in a lab of its own
  cargo xtask run -- --interface eth0    build the agent and run it here, as root
  cargo xtask test                       what CI runs: lints, then every test
  cargo xtask build --release            the agent alone: target/release/smbwatch

After one `cargo xtask setup`, plain `cargo build` and `cargo test` work as well.";

#[derive(Subcommand)]
enum Task {
    Setup(setup::Args),
    Build(build::Args),
    Run(run::Args),
    /// Check the formatting, the lints, the documentation and the dependencies.
    Lint,
    Test(test::Args),
    Demo(demo::Args),
    Bench(bench::Args),
    Vm(vm::Args),
    #[command(hide = true)]
    Peer(peer::Args),
}

fn main() -> ExitCode {
    match start(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::say("error", &format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn start(task: Task) -> Result<()> {
    match task {
        Task::Setup(args) => setup::main(&args),
        Task::Build(args) => build::main(&args),
        Task::Run(args) => run::main(&args),
        Task::Lint => lint::main(),
        Task::Test(args) => test::main(&args),
        Task::Demo(args) => demo::main(&args),
        Task::Bench(args) => bench::main(&args),
        Task::Vm(args) => vm::main(&args),
        Task::Peer(args) => peer::main(&args),
    }
}
