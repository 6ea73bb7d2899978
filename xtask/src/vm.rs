//! `vm`: the agent on kernels that this machine does not run, in QEMU's software emulation.

use std::fs;
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::say::{more, say};
use crate::{build, packages, setup, workspace};

mod kernel;

mod cpio;
mod modules;

mod image;
mod machine;

use kernel::Kernel;
use machine::Verdict;

/// The last lines of a guest's log that are shown when its test fails.
const SHOWN: usize = 40;
/// How many guests run at a time. Much of a test is waiting.
const AT_ONCE: usize = 2;

/// Test the agent on other kernels, in virtual machines without a network.
///
/// Takes Debian's kernels from the mirror that apt uses (some 30 MB each, unpacked into
/// target/vm and never installed; remove that folder to have newer ones), and boots each with
/// the release build of the agent and a test of what it attaches to and tells: each grade, NAT,
/// connections older than the agent, and mounts by the kernel's SMB client from a Samba server.
/// Needs a Debian system on x86-64; no acceleration, and no root but for installing packages.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The kernels; none: all of them.
    #[arg(value_enum)]
    kernels: Vec<Series>,
    /// Also compare the programs with the oracle, packet by packet; another minute for each kernel.
    #[arg(long)]
    packets: bool,
}

/// A kernel series that a Debian suite has as its cloud kernel.
#[derive(Clone, Copy, ValueEnum)]
enum Series {
    #[value(name = "5.10")]
    Bullseye,
    #[value(name = "6.1")]
    Bookworm,
    #[value(name = "6.12")]
    Trixie,
    /// What is newest.
    #[value(name = "newest")]
    Backports,
}

impl Series {
    fn suite(self) -> &'static str {
        match self {
            Self::Bullseye => "bullseye",
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::Backports => "trixie-backports",
        }
    }
}

pub(crate) fn main(args: &Args) -> Result<()> {
    setup::toolchain()?;
    prepare(&args.kernels)?.test(args.packets)
}

/// Everything that the guests are made of, but for what is built here.
pub(crate) struct Machines {
    kernels: Vec<Kernel>,
}

/// Has QEMU and all kernels here; an error says why this machine cannot.
pub(crate) fn prepare_all() -> Result<Machines> {
    prepare(&[])
}

fn prepare(series: &[Series]) -> Result<Machines> {
    if std::env::consts::ARCH != "x86_64" {
        bail!("the guests are x86-64, and so must this machine be");
    }
    packages::ensure_vm()?;
    let series = if series.is_empty() { Series::value_variants() } else { series };
    let fetch =
        |series: &Series| Kernel::of(series.suite()).with_context(|| format!("fetch {}", series.suite()));
    Ok(Machines { kernels: series.iter().map(fetch).collect::<Result<_>>()? })
}

impl Machines {
    /// Builds the agent and tests it on each kernel.
    pub(crate) fn test(&self, packets: bool) -> Result<()> {
        build::agent(true)?;
        let mut programs = vec![workspace::binaries(true).join("smbwatch")];
        if packets {
            programs.push(build::test("classifier")?);
        }
        let (count, passed) = (self.kernels.len(), test_all(&self.kernels, &image::system(&programs)?)?);
        if passed < count {
            bail!("the test failed on {} of {count} kernels", count - passed);
        }
        Ok(())
    }
}

/// Tests the kernels, a few at a time; returns how many passed.
fn test_all(kernels: &[Kernel], system: &[u8]) -> Result<usize> {
    let waiting = Mutex::new(kernels.iter());
    let next = || waiting.lock().ok()?.next();
    let work = || {
        let mut passed = 0;
        while let Some(kernel) = next() {
            passed +=
                usize::from(test(kernel, system).with_context(|| format!("test {}", kernel.release()))?);
        }
        Ok(passed)
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic))).sum()
    })
}

/// Boots a kernel with the test; says how it ended, and returns whether it passed.
fn test(kernel: &Kernel, system: &[u8]) -> Result<bool> {
    let initrd = kernel.folder().join("initrd");
    let image = [system, &image::modules(kernel)?].concat();
    fs::write(&initrd, image).with_context(|| format!("write {}", initrd.display()))?;

    let log = kernel.folder().join("log");
    let start = Instant::now();
    let verdict = machine::run(&kernel.image(), &initrd, &log)?;
    let (name, seconds) = (kernel.release(), start.elapsed().as_secs());
    match verdict {
        Verdict::Passed { back_end } => {
            say("vm", &format!("{name} ok ({back_end}) {seconds} s"));
            Ok(true)
        }
        Verdict::Failed { output } => {
            say("vm", &format!("{name} FAILED after {seconds} s; all of its output is in {}", log.display()));
            let lines: Vec<_> = output.lines().collect();
            more(&lines[lines.len().saturating_sub(SHOWN)..].join("\n"));
            Ok(false)
        }
    }
}
