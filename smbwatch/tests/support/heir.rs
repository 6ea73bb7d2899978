//! Another process that holds a file.

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::guard::Guard;

/// A process that holds a file as its standard input; dropping it ends it.
pub struct Heir(Guard);

impl Heir {
    /// Starts a copy of sleep(1).
    pub fn start(program: &Path, file: OwnedFd) -> Self {
        let mut command = Command::new(program);
        command.arg("600");
        Self::spawn(&mut command, file)
    }

    /// Starts a command.
    pub fn spawn(command: &mut Command, file: OwnedFd) -> Self {
        let process =
            command.arg0("heir").stdin(file).stdout(Stdio::null()).spawn().expect("start a process");
        // A command keeps what it was given.
        command.stdin(Stdio::null());
        Self(Guard(process))
    }

    /// Its process identifier.
    pub fn pid(&self) -> u32 {
        self.0.0.id()
    }
}
