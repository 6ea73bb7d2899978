//! Finds a Rust toolchain that can compile for BPF, or installs Debian's.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::say::{more, say};
use crate::{apt, linker, process, workspace};

/// The BPF target that fits the byte order of this machine.
pub(crate) const TARGET: &str =
    if cfg!(target_endian = "big") { "bpfeb-unknown-none" } else { "bpfel-unknown-none" };

/// A compiler that has, or can build, `core` for BPF.
pub(crate) struct Toolchain {
    pub(crate) core: Core,
    pub(crate) cargo: PathBuf,
    pub(crate) rustc: PathBuf,
    /// Its release, such as `1.96.0`.
    release: String,
    /// The major version of its LLVM, which the linker's must not be older than.
    pub(crate) llvm: u32,
}

/// Where `core` for BPF comes from.
#[derive(Clone, Copy)]
pub(crate) enum Core {
    /// Prebuilt, in a distribution's package.
    Packaged,
    /// Built along with the program, from nightly's rust-src.
    BuildStd,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { release, .. } = self;
        match self.core {
            Core::Packaged => write!(f, "BPF core: prebuilt, from the system's rustc {release}"),
            Core::BuildStd => write!(f, "BPF core: rustup's rustc {release} builds it from rust-src"),
        }
    }
}

/// Finds a toolchain that the linker can follow; installs Debian's packages where there is none.
pub(crate) fn ensure() -> Result<Toolchain> {
    if let Some(found) = packaged() {
        return Ok(found);
    }
    let nightly = match nightly() {
        Some(found) if linker::has_llvm(found.llvm) => return Ok(found),
        other => other,
    };
    match &nightly {
        Some(Toolchain { llvm, .. }) => say(
            "setup",
            &format!("nightly could compile for BPF, but LLVM {llvm}, which it needs, is not here"),
        ),
        None => say("setup", "no Rust here can compile for BPF: rustup's stable has no `core` for it"),
    }
    match (install(), nightly) {
        (Ok(()), _) => packaged().context("the packages were installed, but /usr/bin/rustc has no BPF core"),
        (Err(error), Some(nightly)) => {
            more(&format!("{error:#}; goes on with nightly"));
            Ok(nightly)
        }
        (Err(error), None) => {
            more(&by_hand());
            Err(error)
        }
    }
}

/// The system's own compiler, beside rustup's: full paths, because rustup's proxies shadow it.
fn packaged() -> Option<Toolchain> {
    let rustc = Path::new("/usr/bin/rustc");
    let cargo = Path::new("/usr/bin/cargo");
    if !rustc.exists() || !cargo.exists() {
        return None;
    }
    let sysroot = process::output(process::command(rustc).args(["--print", "sysroot"])).ok()?;
    let library = Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).join("lib");
    let core = fs::read_dir(library).ok()?.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libcore-") && name.ends_with(".rlib")
    });
    if !core {
        return None;
    }
    inspect(Core::Packaged, cargo.into(), rustc.into())
}

/// Nightly by its own binaries, not the proxies, so that no `RUSTUP_TOOLCHAIN` can redirect them.
fn nightly() -> Option<Toolchain> {
    let mut which = process::command("rustup");
    which.args(["which", "--toolchain", "nightly", "rustc"]).env("RUSTUP_AUTO_INSTALL", "0");
    let rustc = PathBuf::from(process::output(&mut which).ok()?.trim());
    let bin = rustc.parent()?;
    if !bin.parent()?.join("lib/rustlib/src/rust/library/core").is_dir() {
        return None;
    }
    inspect(Core::BuildStd, bin.join("cargo"), rustc)
}

fn inspect(core: Core, cargo: PathBuf, rustc: PathBuf) -> Option<Toolchain> {
    let about = process::output(process::command(&rustc).arg("-vV")).ok()?;
    let field = |name: &str| about.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let release = field("release:")?.to_owned();
    let (llvm, _) = workspace::version(field("LLVM version:")?)?;
    if workspace::version(&release)? < workspace::minimum_rust() {
        return None;
    }
    Some(Toolchain { core, cargo, rustc, release, llvm })
}

/// The packages of one Debian compiler: rustc, cargo and `core` for BPF, of one version.
type Family = [&'static str; 3];

/// Debian 12 and 13 carry a newer compiler beside their own one, under names of its own.
const FAMILIES: [Family; 2] =
    [["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"], ["rustc", "cargo", "libstd-rust-dev-bpf"]];

fn install() -> Result<()> {
    apt::update()?;
    let mut best: Option<((u32, u32), Family, apt::Candidate)> = None;
    for family in FAMILIES {
        let [_, _, core] = family;
        let Some(candidate) = apt::newest(core) else {
            continue;
        };
        let Some(version) = workspace::version(&candidate.version) else {
            continue;
        };
        if version >= workspace::minimum_rust() && best.as_ref().is_none_or(|(held, ..)| version > *held) {
            best = Some((version, family, candidate));
        }
    }
    let Some((_, family, candidate)) = best else {
        let (major, minor) = workspace::minimum_rust();
        bail!("apt has no compiler with `core` for BPF that is Rust {major}.{minor} or newer");
    };
    apt::install(
        &family,
        candidate.backports(),
        "a compiler with a prebuilt BPF core; it sits beside your own Rust in /usr/bin",
    )
}

fn by_hand() -> String {
    let (major, minor) = workspace::minimum_rust();
    format!(
        "By hand, one of these, then `cargo xtask setup` again:\n\
         - Debian 12 and 13: apt-get install rustc-web cargo-web libstd-rust-web-dev-bpf\n\
         - later Debian: apt-get install rustc cargo libstd-rust-dev-bpf ({major}.{minor} or newer)\n\
         - elsewhere: rustup toolchain install nightly --profile minimal --component rust-src\n\
         and LLVM with its headers (21, 22 or 23; not older than the LLVM that `rustc -vV` names)."
    )
}
