//! target/bpf-toolchain.json: how the agent's build script builds the BPF object.

use std::env::consts::ARCH;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::toolchain::{Core, TARGET, Toolchain};
use crate::{linker, workspace};

/// Writes the recipe; returns whether it is new. The build script runs again whenever the
/// file is touched, so a recipe that says the same is left alone.
pub(crate) fn record(toolchain: &Toolchain) -> Result<bool> {
    let path = workspace::target().join("bpf-toolchain.json");
    let text = format!("{:#}\n", recipe(toolchain, workspace::root()));
    if fs::read_to_string(&path).is_ok_and(|held| held == text) {
        return Ok(false);
    }
    fs::create_dir_all(workspace::target()).context("create target")?;
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(true)
}

fn recipe(toolchain: &Toolchain, root: &Path) -> Value {
    // The outer cargo has brought Cargo.lock up to date before it runs a build script.
    let mut args = vec!["build", "--release", "--locked", "--target", TARGET];
    args.extend(["-p", "smbwatch-ebpf", "--bin", "smbwatch-ebpf"]);
    let mut env = json!({
        // No part of the user's PATH: the recipe must not depend on who wrote it.
        "PATH": format!("{}:/usr/local/bin:/usr/bin:/bin", linker::folder().display()),
        "RUSTC": toolchain.rustc,
        "CARGO_ENCODED_RUSTFLAGS": rustflags().join("\x1f"),
        "CARGO_TARGET_DIR": root.join("target/ebpf"),
    });
    match toolchain.core {
        // aya-ebpf uses `asm_experimental_arch`, which a release compiler only takes this way.
        Core::Packaged => env["RUSTC_BOOTSTRAP"] = json!("1"),
        Core::BuildStd => args.extend(["-Z", "build-std=core"]),
    }
    json!({
        "program": toolchain.cargo,
        "args": args,
        "env": env,
        "object": format!("target/ebpf/{TARGET}/release/smbwatch-ebpf"),
    })
}

fn rustflags() -> Vec<String> {
    let arch = format!("bpf_target_arch=\"{ARCH}\"");
    let flags =
        ["--cfg", &arch, "-Clinker=bpf-linker", "-Clink-arg=--btf", "-Cdebuginfo=2", "-Ctarget-cpu=v3"];
    flags.map(str::to_owned).into()
}
