//! `setup`: finds or installs what a task needs, and records how to build the BPF side.

use anyhow::Result;

use crate::packages::{self, Lab};
use crate::say::say;
use crate::{linker, recipe, toolchain};

/// Find or install the BPF toolchain, once per machine.
///
/// The BPF side needs a Rust compiler with a `core` library for BPF, which stable Rust from
/// rustup lacks. Looked for in this order: Debian's packaged compiler with its prebuilt
/// `core`; a rustup nightly with rust-src; else Debian's packages are installed with
/// apt-get. Your own Rust stays as it is. The linker, bpf-linker, is built into
/// target/tools. How to build is then written to target/bpf-toolchain.json, which the
/// agent's build script reads, so that plain `cargo build` works from there on.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also install what the demo and the tests need: iproute2, util-linux, Samba, Podman, containerd, promtool,
    /// rsyslog, a Kafka broker, an OpenTelemetry collector, impacket.
    #[arg(long)]
    lab: bool,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    toolchain()?;
    if args.lab {
        lab();
        packages::ensure_containers();
        packages::ensure_monitoring();
        packages::ensure_sinks();
        packages::ensure_impacket();
    }
    Ok(())
}

/// Makes sure that the BPF side can be built.
pub(crate) fn toolchain() -> Result<()> {
    packages::ensure_compilers();
    let toolchain = toolchain::ensure()?;
    let llvm = linker::ensure(&toolchain)?;
    let recorded = if recipe::record(&toolchain)? { ", recorded in target/bpf-toolchain.json" } else { "" };
    say("setup", &format!("{toolchain}; bpf-linker {} with LLVM {llvm}{recorded}", linker::VERSION));
    Ok(())
}

/// Makes sure, as far as this system lets us, that labs can be made.
pub(crate) fn lab() -> Lab {
    let lab = packages::ensure_lab();
    say("setup", &lab.to_string());
    lab
}
