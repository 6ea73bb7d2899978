//! `lint`: formatting, clippy, documentation, dependencies, and the shape of the files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::say::{more, say};
use crate::{process, setup, workspace};

/// No file gets longer than one can hold in mind.
const MAX_LINES: usize = 500;

/// Makes sure that the workspace compiles, then runs every check.
pub(crate) fn main() -> Result<()> {
    setup::toolchain()?;
    all()
}

/// Runs every check; the first that fails ends it.
pub(crate) fn all() -> Result<()> {
    say("lint", "every .rs file says first what it is for, and has at most 500 lines");
    shapes()?;
    say("lint", "cargo fmt --all --check");
    process::run(process::cargo().args(["fmt", "--all", "--check"]))?;
    say("lint", "cargo clippy --workspace --all-targets -- -D warnings");
    process::run(process::cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ]))?;
    say("lint", "cargo doc --workspace --no-deps, with -D warnings");
    let mut doc = process::cargo();
    doc.args(["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings");
    process::run(&mut doc)?;
    if process::which("cargo-deny").is_none() {
        say("lint", "cargo deny: skipped, cargo-deny is not installed");
        more("to have it: cargo install cargo-deny (takes minutes)");
        return Ok(());
    }
    say("lint", "cargo deny check");
    process::run(process::cargo().args(["deny", "--log-level", "error", "check"]))
}

fn shapes() -> Result<()> {
    let mut wrong = Vec::new();
    for path in sources(workspace::root())? {
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let shown = path.strip_prefix(workspace::root()).unwrap_or(&path).display();
        if !text.starts_with("//!") {
            wrong.push(format!("{shown}: the first line is not a `//!` sentence"));
        }
        let lines = text.lines().count();
        if lines > MAX_LINES {
            wrong.push(format!("{shown}: {lines} lines, more than {MAX_LINES}"));
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

/// All .rs files below `dir`, without build output and hidden folders.
fn sources(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
        let entry = entry.with_context(|| format!("list {}", dir.display()))?;
        let (path, name) = (entry.path(), entry.file_name());
        let kind = entry.file_type().with_context(|| format!("look at {}", path.display()))?;
        if kind.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            found.extend(sources(&path)?);
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(found)
}
