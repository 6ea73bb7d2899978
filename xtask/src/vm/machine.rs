//! One run of QEMU: a kernel and a RAM disk, no disk, no network, and a serial line to a log.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::process;

const LIMIT: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(50);
const MACHINE: [&str; 18] = [
    "-nodefaults",
    "-no-user-config",
    "-no-reboot",
    "-display",
    "none",
    "-monitor",
    "none",
    "-machine",
    "pc",
    "-accel",
    "tcg,thread=multi",
    "-cpu",
    "max",
    "-smp",
    "2",
    "-m",
    "1024",
    "-append",
];
const COMMAND_LINE: &str = "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off nokaslr";

/// How a guest's test ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All of it passed.
    Passed {
        /// How the agent attached.
        back_end: String,
    },
    /// Something failed, or the guest came to no end.
    Failed {
        /// What the guest wrote.
        output: String,
    },
}

/// Boots the kernel and waits until the guest switches itself off.
pub(super) fn run(kernel: &Path, initrd: &Path, log: &Path) -> Result<Verdict> {
    File::create(log).with_context(|| format!("create {}", log.display()))?;
    let mut serial = std::ffi::OsString::from("file:");
    serial.push(log);
    let mut qemu = process::command("qemu-system-x86_64");
    qemu.args(MACHINE).arg(COMMAND_LINE).arg("-kernel").arg(kernel).arg("-initrd").arg(initrd);
    qemu.arg("-serial").arg(serial).stdin(Stdio::null());
    let mut guest = qemu.spawn().context("start qemu-system-x86_64")?;
    let deadline = Instant::now() + LIMIT;
    while guest.try_wait().context("wait for the guest")?.is_none() {
        if Instant::now() > deadline {
            guest.kill().context("stop the guest")?;
            guest.wait().context("wait for the guest")?;
            break;
        }
        thread::sleep(POLL);
    }
    let output = fs::read(log).with_context(|| format!("read {}", log.display()))?;
    Ok(verdict(&String::from_utf8_lossy(&output)))
}

/// Reads what the guest wrote; a serial line ends its lines with CR LF.
fn verdict(output: &str) -> Verdict {
    let output = output.replace(['\r', '\0'], "");
    let told = |what: &str| output.lines().find_map(|line| line.strip_prefix(what));
    match (told("guest: passed"), told("guest: back end ")) {
        (Some(_), Some(back_end)) => Verdict::Passed { back_end: back_end.to_owned() },
        _ => Verdict::Failed { output },
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, verdict};

    #[test]
    fn only_a_guest_that_says_so_has_passed() {
        let passed = "[    0.1] boot\r\nguest: back end tcx\r\nguest: passed\r\n";
        assert_eq!(verdict(passed), Verdict::Passed { back_end: "tcx".to_owned() });
        for output in ["", "guest: back end tcx\r\nguest: failed: x\r\n", "guest: passed"] {
            assert!(matches!(verdict(output), Verdict::Failed { .. }), "{output}");
        }
    }
}
