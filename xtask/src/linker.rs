//! bpf-linker: the linker for BPF, built into target/tools against the system's LLVM.

use std::env;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use crate::say::say;
use crate::toolchain::Toolchain;
use crate::{apt, process, workspace};

pub(crate) const VERSION: &str = "0.13.0";

/// The LLVM versions that this bpf-linker has a feature for.
const LLVM: RangeInclusive<u32> = 21..=23;

/// The folder that bpf-linker is in.
pub(crate) fn folder() -> PathBuf {
    workspace::target().join("tools/bin")
}

/// Makes sure that bpf-linker is there and reads what `toolchain` writes; returns its LLVM.
pub(crate) fn ensure(toolchain: &Toolchain) -> Result<u32> {
    if let Some(llvm) = installed() {
        if llvm >= toolchain.llvm {
            return Ok(llvm);
        }
        say("setup", &format!("bpf-linker has LLVM {llvm}, the compiler {}: builds it anew", toolchain.llvm));
    }
    let (llvm, prefix) = llvm(toolchain.llvm)?;
    build(llvm, &prefix)?;
    installed().ok_or_else(|| {
        anyhow!("bpf-linker was built, but `{}/bpf-linker --version` fails", folder().display())
    })
}

/// Whether a linker for what this LLVM writes is here, or can be built with what is here.
pub(crate) fn has_llvm(compiler: u32) -> bool {
    installed().is_some_and(|llvm| llvm >= compiler) || here(compiler).is_some()
}

/// The LLVM of a bpf-linker that is there, runs, and has the right version.
fn installed() -> Option<u32> {
    let version = process::output(process::command(folder().join("bpf-linker")).arg("--version")).ok()?;
    if version.trim() != format!("bpf-linker {VERSION}") {
        return None;
    }
    // The program does not tell its LLVM; cargo's list of what it installed does.
    let list = fs::read(workspace::target().join("tools/.crates2.json")).ok()?;
    let list: serde_json::Value = serde_json::from_slice(&list).ok()?;
    let (_, install) =
        list["installs"].as_object()?.iter().find(|(name, _)| name.starts_with("bpf-linker "))?;
    let features = install["features"].as_array()?.iter().filter_map(|feature| feature.as_str());
    features.filter_map(|feature| feature.strip_prefix("llvm-")?.parse().ok()).next()
}

/// An LLVM with headers that is not older than the compiler's, and where it is.
fn llvm(compiler: u32) -> Result<(u32, PathBuf)> {
    if let Some(found) = here(compiler) {
        return Ok(found);
    }
    if !apt::is_here() {
        bail!(
            "bpf-linker needs LLVM {compiler} or newer (up to {}) with its headers: install it",
            LLVM.end()
        );
    }
    apt::update()?;
    let (llvm, package, candidate) = fitting(compiler)
        .find_map(|llvm| {
            let package = format!("llvm-{llvm}-dev");
            let candidate = apt::newest(&package)?;
            Some((llvm, package, candidate))
        })
        .with_context(|| {
            format!("apt has no LLVM {compiler} that bpf-linker {VERSION} could be built with")
        })?;
    let mut packages = vec![package.as_str()];
    if process::which("cc").is_none() {
        packages.extend(["gcc", "libc6-dev"]);
    }
    apt::install(&packages, candidate.backports(), "bpf-linker is built against it")?;
    let prefix = prefix(llvm).with_context(|| format!("{package} was installed, but has no llvm-config"))?;
    Ok((llvm, prefix))
}

fn here(compiler: u32) -> Option<(u32, PathBuf)> {
    fitting(compiler).find_map(|llvm| Some((llvm, prefix(llvm)?)))
}

fn fitting(compiler: u32) -> impl Iterator<Item = u32> {
    LLVM.filter(move |llvm| *llvm >= compiler)
}

/// Where this LLVM is installed: Debian's folder first, then whatever llvm-config is on PATH.
fn prefix(llvm: u32) -> Option<PathBuf> {
    let debian = PathBuf::from(format!("/usr/lib/llvm-{llvm}"));
    if debian.join("bin/llvm-config").exists() && debian.join("include/llvm-c").exists() {
        return Some(debian);
    }
    [format!("llvm-config-{llvm}"), "llvm-config".to_owned()].iter().find_map(|name| {
        let about = process::output(process::command(name).args(["--version", "--prefix"])).ok()?;
        let (version, prefix) = about.trim().split_once('\n')?;
        (workspace::version(version)?.0 == llvm).then(|| prefix.into())
    })
}

fn build(llvm: u32, prefix: &Path) -> Result<()> {
    say(
        "setup",
        &format!("builds bpf-linker {VERSION} with LLVM {llvm} into target/tools (about a minute, once)"),
    );
    // bpf-linker's build script takes the first llvm-config on PATH, whatever the feature says.
    let mut path = prefix.join("bin").into_os_string();
    path.push(":");
    path.push(env::var_os("PATH").unwrap_or_default());

    let mut cargo = process::cargo();
    cargo
        .args(["install", "bpf-linker", "--quiet", "--locked", "--force", "--version", VERSION])
        .args(["--no-default-features", "--features", &format!("llvm-{llvm}"), "--root"])
        .arg(workspace::target().join("tools"))
        .env("PATH", path)
        .env("LLVM_PREFIX", prefix)
        .env("CARGO_TARGET_DIR", workspace::target().join("tools/build"));
    for flags in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        cargo.env_remove(flags);
    }
    process::run(&mut cargo).context("bpf-linker did not build")?;
    fs::remove_dir_all(workspace::target().join("tools/build")).context("remove target/tools/build")
}
