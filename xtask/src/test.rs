//! `test`: the lints, then every test, then a look at what was skipped or left behind.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::{env, process::id};

use anyhow::{Context, Result, bail};

use crate::say::{more, say};
use crate::{lint, packages, process, root, setup, vm, workspace};

/// The test that a machine skips where QEMU cannot be installed.
const VM: &str = "vm";

/// Run the lints and every test, on other kernels too; what CI runs.
///
/// Tests that attach BPF programs or make network namespaces run as root. A test that
/// cannot run on this machine is skipped, and its reason listed at the end; with CI=true
/// in the environment a skip is a failure.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only the tests.
    #[arg(long)]
    no_lint: bool,
    /// Nothing in virtual machines.
    #[arg(long)]
    no_vm: bool,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    setup::toolchain()?;
    setup::lab();
    packages::ensure_containers();
    packages::ensure_monitoring();
    packages::ensure_sinks();
    packages::ensure_impacket();
    if !args.no_lint {
        lint::all()?;
    }
    say("test", "cargo test --workspace");
    let before = namespaces();
    let skips = workspace::target().join(format!("skips-{}.tsv", id()));
    fs::write(&skips, "").with_context(|| format!("create {}", skips.display()))?;
    let tested = cargo_test(&skips);
    let tested_elsewhere = if args.no_vm { Ok(()) } else { other_kernels(&skips) };
    let skipped = fs::read_to_string(&skips).with_context(|| format!("read {}", skips.display()));
    fs::remove_file(&skips).with_context(|| format!("remove {}", skips.display()))?;
    let unexpected = report(&skipped?);
    let left: Vec<_> = namespaces().difference(&before).cloned().collect();

    tested?;
    tested_elsewhere?;
    if !left.is_empty() {
        let names = left.join(" ");
        bail!("the tests left network namespaces behind: {names} (remove: ip netns delete NAME)");
    }
    if unexpected > 0 && env::var("CI").is_ok_and(|ci| ci == "true") {
        bail!("tests were skipped, and CI=true takes no skips");
    }
    Ok(())
}

fn cargo_test(skips: &Path) -> Result<()> {
    let mut cargo = process::cargo();
    cargo.args(["test", "--workspace", "--no-fail-fast"]).env("SMBWATCH_SKIPS", skips);
    if !root::is_root() {
        if process::which("sudo").is_some() {
            cargo.env(process::runner_variable()?, "sudo -E");
        } else {
            say("test", "not root, and no sudo: tests that need root will be skipped");
        }
    }
    process::run(&mut cargo)
}

/// The test in virtual machines; where there can be none it is skipped.
fn other_kernels(skips: &Path) -> Result<()> {
    say("test", "cargo xtask vm");
    match vm::prepare_all() {
        Ok(machines) => machines.test(false),
        Err(reason) => {
            let line = format!("{reason:#}").replace(['\n', '\t'], " ");
            let mut skips = File::options().append(true).open(skips).context("open the list of skips")?;
            writeln!(skips, "{VM}\t{line}").context("note a skip")
        }
    }
}

/// Lists the skipped tests, one `name<TAB>reason` per line, and counts those that every machine can run.
fn report(skipped: &str) -> usize {
    let lines: BTreeSet<_> = skipped.lines().filter(|line| !line.trim().is_empty()).collect();
    say("test", &format!("skipped: {}", lines.len()));
    for line in &lines {
        let (name, reason) = line.split_once('\t').unwrap_or((line, "no reason given"));
        more(&format!("{name}: {reason}"));
    }
    lines.iter().filter(|line| !line.starts_with(VM)).count()
}

/// The lab namespaces that exist now.
fn namespaces() -> BTreeSet<String> {
    let entries = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("smbw")).collect()
}
