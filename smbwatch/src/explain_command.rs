//! `smbwatch explain`: asks the running agent, or a configuration.

use std::path::Path;

use jiff::Timestamp;

use crate::ask::{ask, socket};
use crate::config::Config;
use crate::enrich::files::Follower;
use crate::except::Exceptions;
use crate::explain::{Basis, Explanation, Packet, explain};

/// Whether a packet would match, and why, as the agent says that runs in `run_dir`; where none runs, by the
/// built-in defaults.
pub fn of_agent(run_dir: &Path, packet: Packet) -> anyhow::Result<(bool, String)> {
    let socket = socket(run_dir);
    if let Some(explanation) = ask::<Explanation>(&socket, &packet.target())? {
        return Ok((explanation.matches, explanation.text("as the running agent is configured")));
    }
    let by = format!("by the defaults; no agent answers at {}", socket.display());
    Ok(of_config(&Config::default(), packet, &by))
}

/// The same by a configuration, whose files are read.
pub fn of_config(config: &Config, packet: Packet, by: &str) -> (bool, String) {
    let exceptions = read(config);
    let basis = Basis { config, exceptions: &exceptions, is_running: false };
    let explanation = explain(basis, packet, Timestamp::now());
    (explanation.matches, explanation.text(by))
}

/// The exceptions that the agent would decide, with what their files hold now.
pub(crate) fn read(config: &Config) -> Exceptions {
    let mut exceptions = Exceptions::new(&config.exceptions);
    for fresh in Follower::of_exceptions(config).look() {
        exceptions.refresh(&fresh);
    }
    exceptions
}
