//! A running agent, whose alerts are read, checked and kept.

use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::ecs;
use super::lab::{End, Lab};

/// How long anything may take that must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_smbwatch");

/// A running agent; dropping it kills it.
pub struct Agent {
    child: Child,
    /// What it has alerted of so far, all of it checked against ECS.
    pub documents: Vec<Value>,
    /// What it has said on standard error so far.
    pub said: Vec<String>,
    out: Receiver<String>,
    err: Receiver<String>,
}

/// What an agent left behind.
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// Everything that it alerted of.
    pub documents: Vec<Value>,
    /// Everything that it said on standard error.
    pub said: Vec<String>,
}

/// The agent's account at its end: seen = alerted + suppressed + excepted + lost.
#[derive(Debug, PartialEq, Eq)]
pub struct Account {
    pub seen: u64,
    pub alerted: u64,
    pub suppressed: u64,
    pub excepted: u64,
    pub lost: u64,
}

impl Agent {
    /// Starts an agent on the lab's private host, and waits until it watches eth0.
    pub fn start(lab: &Lab) -> Self {
        Self::start_with(lab, "", &[])
    }

    /// The same with a configuration and further arguments.
    pub fn start_with(lab: &Lab, config: &str, args: &[&str]) -> Self {
        let mut agent = Self::spawn(command(lab, config, args));
        agent.wait_until_said("attached to ");
        agent
    }

    /// Runs a command of this program, and reads what it writes.
    pub fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("start the agent");
        let out = lines(child.stdout.take().expect("a pipe"));
        let err = lines(child.stderr.take().expect("a pipe"));
        Self { child, documents: Vec::new(), said: Vec::new(), out, err }
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process identifier"))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("send a signal");
    }

    /// Waits for the first alert, of those that came and those to come, that `wanted` takes.
    pub fn wait_for(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut next = 0;
        loop {
            while let Some(document) = self.documents.get(next) {
                if wanted(document) {
                    return document.clone();
                }
                next += 1;
            }
            match self.out.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.documents.push(document(&line)),
                Err(_) => {
                    self.said.extend(self.err.try_iter());
                    panic!("no alert of {what}; there were:\n{}it said:\n{:#?}", self.list(), self.said)
                }
            }
        }
    }

    /// Waits for the next alert as it is written, but no longer than `limit`. It is neither checked nor kept.
    pub fn next_written(&mut self, limit: Duration) -> Option<String> {
        self.out.recv_timeout(limit).ok()
    }

    /// Waits for the next alert, but no longer than `limit`.
    pub fn next_within(&mut self, limit: Duration) -> Option<Value> {
        let line = self.next_written(limit)?;
        self.documents.push(document(&line));
        self.documents.last().cloned()
    }

    /// Waits for an alert of a connection to `destination` with this action.
    pub fn wait_for_action(&mut self, destination: &str, port: u16, action: &str) -> Value {
        self.wait_for(&format!("{action} to {destination} port {port}"), |document| {
            text(document, "destination.ip") == destination
                && number(document, "destination.port") == u64::from(port)
                && text(document, "event.action") == action
        })
    }

    /// Waits for a line on standard error that contains `part`.
    pub fn wait_until_said(&mut self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = self.said.iter().find(|line| line.contains(part)) {
                return line.clone();
            }
            match self.err.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.said.push(line),
                Err(_) => panic!("it did not say `{part}`, but {:#?}", self.said),
            }
        }
    }

    /// Waits for the next line on standard error.
    pub fn next_line(&mut self) -> String {
        match self.err.recv_timeout(PATIENCE) {
            Ok(line) => self.said.push(line),
            Err(_) => panic!("it says nothing more than {:#?}", self.said),
        }
        self.said.last().cloned().unwrap_or_default()
    }

    /// Has it read another configuration; says whether that is in force.
    pub fn reload(&mut self, lab: &Lab, config: &str) -> bool {
        configure(lab, config);
        self.reload_again()
    }

    /// Has it read its configuration again; says whether that is in force.
    pub fn reload_again(&mut self) -> bool {
        self.said.extend(self.err.try_iter());
        self.signal(Signal::SIGHUP);
        loop {
            let line = self.next_line();
            if line.contains("the new configuration is in force") || line.contains("is as it was") {
                return true;
            }
            if line.contains("the configuration before stays in force") {
                return false;
            }
        }
    }

    /// Stops it as Ctrl-C would.
    pub fn stop(self) -> Ended {
        self.stop_by(Signal::SIGINT)
    }

    /// Stops it by a signal, and takes all that it still has to tell.
    pub fn stop_by(self, signal: Signal) -> Ended {
        self.signal(signal);
        self.wait()
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match self.child.try_wait().expect("wait for the agent") {
                Some(status) => break status,
                None if Instant::now() > deadline => {
                    panic!("the agent did not end; it said {:#?}", self.said)
                }
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        self.documents.extend(self.out.iter().map(|line| document(&line)));
        self.said.extend(self.err.iter());
        Ended { status, documents: std::mem::take(&mut self.documents), said: std::mem::take(&mut self.said) }
    }

    fn list(&self) -> String {
        self.documents.iter().map(|document| format!("  {}\n", text(document, "event.reason"))).collect()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// The account, which must add up.
    pub fn account(&self) -> Account {
        let line = self.said.iter().find_map(|line| line.find("seen ").and_then(|at| line.get(at..)));
        let line = line.unwrap_or_else(|| panic!("no account; it said {:#?}", self.said));
        let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [seen, alerted, suppressed, excepted, lost] = numbers[..] else { panic!("no account: {line}") };
        assert_eq!(seen, alerted + suppressed + excepted + lost, "{line}");
        Account { seen, alerted, suppressed, excepted, lost }
    }

    /// Packets that were not judged for `reason`, as the account says.
    pub fn not_judged(&self, reason: &str) -> u64 {
        let line = self.said.iter().find(|line| line.contains("not judged") && line.ends_with(reason));
        let count = line.and_then(|line| line.split(' ').find_map(|word| word.parse().ok()));
        count.unwrap_or(0)
    }
}

/// `smbwatch run` on the lab's private host.
pub fn command(lab: &Lab, config: &str, args: &[&str]) -> Command {
    let path = configure(lab, config);
    let mut command = lab.at(End::Host, PROGRAM);
    command.args(["run", "--format", "json", "--config"]).arg(path);
    command.arg("--run-dir").arg(lab.folder().join("run")).args(args);
    command
}

/// Writes a configuration, at once. Tests do the same again and again, so each connection is an incident unless they
/// say otherwise.
pub fn configure(lab: &Lab, config: &str) -> PathBuf {
    let (path, new) = (lab.folder().join("smbwatch.toml"), lab.folder().join("smbwatch.toml.new"));
    let each = if config.contains("incident_seconds") { "" } else { "incident_seconds = 0\n" };
    // What this machine remembers is no business of a test.
    let folder = lab.folder().join("state");
    let state = format!("\n[state]\ndir = {folder:?}\ndestinations = 0\n");
    let state = if config.contains("[state]") { "" } else { &state };
    fs::write(&new, format!("{each}{config}{state}")).expect("write the configuration");
    fs::rename(new, &path).expect("rename the configuration");
    path
}

/// Reads one alert, which must keep to ECS.
pub fn document(line: &str) -> Value {
    let document = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
    let complaints = ecs::complaints(&document);
    assert!(complaints.is_empty(), "{complaints:#?} in {document:#}");
    document
}

/// A field that is text, or empty text.
pub fn text<'a>(document: &'a Value, path: &str) -> &'a str {
    document.pointer(&ecs::pointer(path)).and_then(Value::as_str).unwrap_or("")
}

/// A field that is a number.
pub fn number(document: &Value, path: &str) -> u64 {
    let value = document.pointer(&ecs::pointer(path)).and_then(Value::as_u64);
    value.unwrap_or_else(|| panic!("no number {path} in {document:#}"))
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}
