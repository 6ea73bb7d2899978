//! Builds the BPF object with the toolchain that `cargo xtask setup` recorded, for `include_bytes!`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// How to build the BPF side on this machine, as `cargo xtask setup` found it.
#[derive(serde::Deserialize)]
struct Recipe {
    /// The cargo that has a `core` for BPF.
    program: PathBuf,
    /// Its whole argument list.
    args: Vec<String>,
    /// Variables to set, after every inherited cargo and rustc variable is dropped.
    env: BTreeMap<String, String>,
    /// The finished object, relative to the workspace.
    object: PathBuf,
}

fn main() {
    if let Err(message) = build() {
        println!("cargo::error={message}");
    }
}

fn build() -> Result<(), String> {
    let workspace = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("not run by cargo")?)
        .parent()
        .ok_or("the package has no workspace around it")?
        .to_owned();
    let recipe_path = workspace.join("target/bpf-toolchain.json");
    for input in ["smbwatch-ebpf/src", "smbwatch-ebpf/Cargo.toml", "Cargo.lock", "target/bpf-toolchain.json"]
    {
        println!("cargo::rerun-if-changed={}", workspace.join(input).display());
    }

    let recipe = fs::read(&recipe_path)
        .map_err(|_| "no BPF toolchain is set up; run `cargo xtask setup` once".to_owned())?;
    let recipe: Recipe = serde_json::from_slice(&recipe)
        .map_err(|error| format!("{}: {error}; run `cargo xtask setup`", recipe_path.display()))?;
    run(&recipe, &workspace)?;

    let object = workspace.join(&recipe.object);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("not run by cargo")?).join("smbwatch.bpf.o");
    fs::copy(&object, &out).map_err(|error| format!("copy {}: {error}", object.display()))?;
    Ok(())
}

fn run(recipe: &Recipe, workspace: &Path) -> Result<(), String> {
    let mut command = Command::new(&recipe.program);
    command.args(&recipe.args).current_dir(workspace);
    for (name, _) in env::vars_os() {
        let inherited = name.to_string_lossy();
        if ["CARGO", "RUST", "CLIPPY", "TARGET", "HOST", "DEP_"]
            .iter()
            .any(|prefix| inherited.starts_with(prefix))
            && inherited != "CARGO_HOME"
            && inherited != "RUSTUP_HOME"
        {
            command.env_remove(&name);
        }
    }
    let output = command
        .envs(&recipe.env)
        .output()
        .map_err(|error| format!("{}: {error}; run `cargo xtask setup`", recipe.program.display()))?;
    if output.status.success() {
        return Ok(());
    }
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    Err("the BPF object did not build (compiler output above); if the toolchain moved, run `cargo xtask setup`".to_owned())
}
