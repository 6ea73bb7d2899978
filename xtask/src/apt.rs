//! Debian packages: what apt offers, and installing it without side effects on the machine.

use std::fs::{self, File};
use std::sync::Once;

use anyhow::{Context, Result, bail};

use crate::say::{more, say};
use crate::{process, root, workspace};

/// Installs `$2…` while no package may start a service, and masks the units named in `$1` for good.
/// It undoes the mask if the installation fails, and the rest always.
const INSTALL: &str = r#"
set -eu
units=$1; shift
policy=/usr/sbin/policy-rc.d
made= masked=
undo() {
    status=$?
    [ -z "$made" ] || rm -f "$policy"
    [ "$status" = 0 ] || rm -f $masked
}
trap undo EXIT
trap 'exit 130' HUP INT TERM
if [ ! -e "$policy" ]; then
    made=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
for unit in $units; do
    link=/etc/systemd/system/$unit.service
    if [ -d /etc/systemd/system ] && [ ! -e "$link" ]; then
        ln -s /dev/null "$link"
        masked="$masked $link"
    fi
done
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -q --no-install-recommends --no-remove \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
"#;

/// The newest version of a package that apt knows, and the suite it is in.
pub(crate) struct Candidate {
    pub(crate) version: String,
    suite: String,
}

impl Candidate {
    /// The suite to name to apt, which takes nothing from backports unasked.
    pub(crate) fn backports(&self) -> Option<&str> {
        self.suite.ends_with("-backports").then_some(&self.suite)
    }
}

/// Whether this system has apt.
pub(crate) fn is_here() -> bool {
    process::which("apt-get").is_some() && process::which("apt-cache").is_some()
}

/// Refreshes apt's lists, once per run; old lists are better than none.
pub(crate) fn update() -> Result<()> {
    if !is_here() {
        bail!("this system has no apt-get, and xtask knows no other way to install packages");
    }
    static ONCE: Once = Once::new();
    let mut command = root::command("apt-get")?;
    ONCE.call_once(|| {
        say("setup", "apt-get update");
        command.args(["update", "-qq", "-o", "DPkg::Lock::Timeout=300"]);
        if let Err(error) = process::run(&mut command) {
            more(&format!("{error}; goes on with the lists that are here"));
        }
    });
    Ok(())
}

/// The newest version of `package`, from any suite.
pub(crate) fn newest(package: &str) -> Option<Candidate> {
    let versions = process::output(process::command("apt-cache").args(["madison", package])).ok()?;
    candidate(versions.lines().next()?)
}

/// Reads a row such as `rustc | 1.85.0-1 | http://host/debian trixie/main amd64 Packages`.
fn candidate(row: &str) -> Option<Candidate> {
    let mut columns = row.split('|').map(str::trim);
    let (_, version, source) = (columns.next()?, columns.next()?, columns.next()?);
    let suite = source.split_whitespace().nth(1)?.split('/').next()?;
    Some(Candidate { version: version.to_owned(), suite: suite.to_owned() })
}

/// Installs packages and says why; nothing that is installed gets removed for them.
pub(crate) fn install(packages: &[&str], suite: Option<&str>, why: &str) -> Result<()> {
    install_masked(packages, suite, why, &[])
}

/// Installs packages whose services, `units`, must not run on this machine.
pub(crate) fn install_masked(
    packages: &[&str],
    suite: Option<&str>,
    why: &str,
    units: &[&str],
) -> Result<()> {
    say("setup", &format!("apt-get install {}", packages.join(" ")));
    more(why);
    let path = workspace::target().join("setup.log");
    fs::create_dir_all(workspace::target()).context("create target")?;
    let log = File::create(&path).with_context(|| format!("create {}", path.display()))?;

    let mut command = root::command("sh")?;
    command.args(["-c", INSTALL, "install", &units.join(" ")]);
    if let Some(suite) = suite {
        command.args(["-t", suite]);
    }
    let stderr = log.try_clone().context("share the log")?;
    let status = command.args(packages).stdout(log).stderr(stderr).status().context("start apt-get")?;
    if !status.success() {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        more(&lines[lines.len().saturating_sub(12)..].join("\n"));
        bail!("apt-get install {} failed; all of its output is in target/setup.log", packages.join(" "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::candidate;

    #[test]
    fn rows_of_madison_are_read() {
        let row = " rustc | 1.90.0+dfsg1-1~bpo13+1 | http://deb.example/debian trixie-backports/main amd64 Packages";
        let found = candidate(row).map(|c| (c.version.clone(), c.backports().map(str::to_owned)));
        assert_eq!(found, Some(("1.90.0+dfsg1-1~bpo13+1".to_owned(), Some("trixie-backports".to_owned()))));
        let row = " rustc-web | 1.96.0+dfsg1-1~deb12u2 | http://deb.example/debian-security bookworm-security/main amd64 Packages";
        assert!(candidate(row).is_some_and(|c| c.backports().is_none()));
        assert!(candidate("N: Unable to locate package rustc").is_none());
    }
}
