//! Hundreds of links to containers, and an agent that says when it watches them all.

use std::fmt::Write as _;
use std::fs;

use super::agent::{Agent, command};
use super::lab::{End, Lab, output};

/// The group of the interfaces, which can be deleted together.
pub const GROUP: u32 = 7;
/// What the agent says when nothing waits to be attached.
pub const ALL: &str = "all interfaces that are to be watched are";

/// Adds that many pairs, v0 and so on at the host, with the other end of each in the lab's Internet.
pub fn add(lab: &Lab, count: usize) {
    let mut lines = String::new();
    for number in 0..count {
        let net = lab.name(End::Net);
        let _ = writeln!(lines, "link add v{number} group {GROUP} type veth peer name p{number} netns {net}");
    }
    let batch = lab.folder().join("batch");
    fs::write(&batch, lines).expect("write a batch");
    output(lab.at(End::Host, "ip").arg("-batch").arg(batch));
}

/// Starts an agent that attaches in this way.
pub fn start_with(lab: &Lab, back_end: &str) -> Agent {
    let config = format!("[interfaces]\nback_end = \"{back_end}\"\n[limits]\nalerts_per_second = 1000000\n");
    let mut command = command(lab, &config, &[]);
    command.env("RUST_LOG", "smbwatch=debug");
    Agent::spawn(command)
}
