//! A real systemd-journald, whose folders and network are its own.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use serde_json::Value;

use super::{Mood, Process, Receiver, syslog, wait_until, whole};
use crate::support::lab::{End, Lab, tool};

pub const JOURNALD: &str = "/lib/systemd/systemd-journald";
pub const MISSING: &str = "needs systemd-journald";

pub struct Journal<'a> {
    lab: &'a Lab,
    /// Its folders last as long as this process.
    holder: Process,
    process: Option<Process>,
    dying: bool,
}

impl<'a> Journal<'a> {
    pub fn new(lab: &'a Lab) -> Self {
        // Without the host's network it leaves auditing alone.
        let script = "mount -t tmpfs none /run && mount -t tmpfs none /var/log && \
                      mkdir -p /run/systemd/journal /run/log/journal /run/of-a-test && exec sleep infinity";
        let mut command = lab.at(End::Host, "unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", script]);
        let journal = Self { lab, holder: Process::start(&mut command), process: None, dying: false };
        wait_until("there are folders", || journal.inside("run/of-a-test").exists());
        journal
    }

    /// The fields of each entry, in order.
    pub fn entries(&self) -> Vec<Value> {
        let mut command = tool("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.holder.id())).arg("journalctl");
        command.args(["--directory=/run/log/journal", "--all", "-o", "json", "SYSLOG_IDENTIFIER=smbwatch"]);
        // It fails where there is no journal yet.
        let output = command.output().expect("start journalctl");
        let lines = String::from_utf8(output.stdout).expect("UTF-8");
        lines.lines().map(|line| serde_json::from_str(line).expect("an entry")).collect()
    }

    fn inside(&self, path: &str) -> PathBuf {
        format!("/proc/{}/root/{path}", self.holder.id()).into()
    }

    fn socket(&self) -> PathBuf {
        self.inside("run/systemd/journal/socket")
    }
}

impl Receiver for Journal<'_> {
    fn config(&self) -> String {
        format!("[[sinks]]\ntype = \"journald\"\nsocket = \"{}\"", self.socket().display())
    }

    fn start(&mut self, mood: Mood) {
        self.dying = matches!(mood, Mood::Dying);
        if matches!(mood, Mood::Busy) {
            return syslog::abandon(&self.socket());
        }
        let mut command = self.lab.at(End::Host, "nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.holder.id())).arg(JOURNALD);
        let process = Process::start(&mut command);
        let socket = self.socket();
        wait_until("journald listens", || {
            UnixDatagram::unbound().is_ok_and(|probe| probe.connect(&socket).is_ok())
        });
        self.process.insert(process).pause(matches!(mood, Mood::Slow | Mood::Dying));
    }

    fn stop(&mut self) {
        match self.process.take() {
            Some(process) if self.dying => process.kill_with_full_socket(&self.socket()),
            Some(_) | None => {}
        }
    }

    fn arrived(&mut self) -> Vec<String> {
        self.entries().iter().map(|entry| whole(entry["SMBWATCH_ALERT"].as_str().expect("text"))).collect()
    }

    fn has_refused(&self) -> bool {
        // The kernel refuses, and tells nobody.
        true
    }
}
