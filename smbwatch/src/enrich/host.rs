//! This host, as every alert names it.

use std::fs;

/// What does not change while the agent runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// The host's name.
    pub name: String,
    /// The machine identifier, machine-id(5), or empty.
    pub id: String,
    /// The kernel's release.
    pub kernel: String,
    /// The machine's architecture, as uname(2) has it.
    pub architecture: String,
}

impl Host {
    /// Looks at this host.
    pub fn look() -> Self {
        let id = fs::read_to_string("/etc/machine-id").unwrap_or_default().trim().to_owned();
        let Ok(uname) = nix::sys::utsname::uname() else {
            return Self { id, ..Self::default() };
        };
        Self {
            name: uname.nodename().to_string_lossy().into_owned(),
            id,
            kernel: uname.release().to_string_lossy().into_owned(),
            architecture: uname.machine().to_string_lossy().into_owned(),
        }
    }

    /// Stands for the host of a capture, of which nothing is known.
    pub fn of_replay() -> Self {
        Self { name: "replay".to_owned(), ..Self::default() }
    }

    /// What tells this host from others: its identifier, or its name where it has none.
    pub fn machine(&self) -> &str {
        if self.id.is_empty() { &self.name } else { &self.id }
    }
}
