//! Tests that this machine cannot run say so, and are counted.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::OnceLock;

use nix::sched::{CloneFlags, unshare};
use smbwatch::config::Config;
use smbwatch::probe::Probe;

/// Whether tests that load programs and make namespaces can run here; if not, `test` is noted as skipped.
pub fn can_attach(test: &str) -> bool {
    static REASON: OnceLock<Option<String>> = OnceLock::new();
    match REASON.get_or_init(obstacle) {
        None => true,
        Some(reason) => {
            skip(test, reason);
            false
        }
    }
}

/// Notes that `test` does not run, where people and `cargo xtask test` see it.
pub fn skip(test: &str, reason: &str) {
    eprintln!("skipped {test}: {reason}");
    let Some(path) = std::env::var_os("SMBWATCH_SKIPS") else { return };
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("open SMBWATCH_SKIPS");
    // One write, so that lines of tests that run at the same time do not mix.
    file.write_all(format!("{test}\t{reason}\n").as_bytes()).expect("write SMBWATCH_SKIPS");
}

fn obstacle() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("needs root".to_owned());
    }
    // On a thread of its own, which ends with its namespace.
    let unshared = std::thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET)).join().expect("join");
    if let Err(error) = unshared {
        return Some(format!("cannot make network namespaces: {error}"));
    }
    let folder = std::env::temp_dir().join(format!("smbw-t-{}-gate", std::process::id()));
    let loaded = Probe::load(&Config::default(), &folder);
    match loaded {
        Ok(_) => None,
        // A program that the verifier refuses is a failure of the tests, not a reason to skip them.
        Err(smbwatch::probe::Error::Permission) => Some("cannot load BPF programs".to_owned()),
        Err(error) => panic!("{error}"),
    }
}
