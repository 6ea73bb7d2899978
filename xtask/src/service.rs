//! A program that runs in the background and is watched by what it writes.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};

use crate::interrupt;

const STOP_LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

/// A line that a service wrote.
pub(crate) enum Line {
    Out(String),
    Err(String),
}

impl Line {
    pub(crate) fn text(&self) -> &str {
        let (Self::Out(text) | Self::Err(text)) = self;
        text
    }
}

/// A running program with a process group of its own; dropping it ends the whole group.
pub(crate) struct Service {
    name: &'static str,
    child: Child,
    group: Pid,
    lines: Receiver<Line>,
}

impl Service {
    /// Starts it. Its own group keeps a terminal's Ctrl-C away from it, and keeps us alive
    /// when it signals its group at exit, as smbd does.
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("start {name}"))?;
        let (sender, lines) = channel();
        if let Some(out) = child.stdout.take() {
            forward(out, Line::Out, sender.clone());
        }
        if let Some(err) = child.stderr.take() {
            forward(err, Line::Err, sender);
        }
        let group = Pid::from_child(&child);
        Ok(Self { name, child, group, lines })
    }

    /// Waits for the first line that `wanted` takes.
    pub(crate) fn wait_for(
        &self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Line) -> bool,
    ) -> Result<Line> {
        let deadline = Instant::now() + limit;
        let mut seen = Vec::new();
        while let Some(line) = self.next(deadline)? {
            if wanted(&line) {
                return Ok(line);
            }
            seen.push(line.text().to_owned());
        }
        let last = seen[seen.len().saturating_sub(8)..].join("\n");
        bail!("{}: no {what}; its last lines:\n{last}", self.name);
    }

    /// The next line; `None` after the deadline, or when the service has ended.
    pub(crate) fn next(&self, deadline: Instant) -> Result<Option<Line>> {
        loop {
            interrupt::check()?;
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left.min(POLL)) {
                Ok(line) => return Ok(Some(line)),
                Err(RecvTimeoutError::Timeout) if !left.is_zero() => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    /// Asks it to stop, as Ctrl-C would, and returns what it still wrote.
    pub(crate) fn interrupt(mut self) -> Result<Vec<Line>> {
        rustix::process::kill_process(self.group, Signal::INT)
            .with_context(|| format!("stop {}", self.name))?;
        match self.wait().with_context(|| format!("wait for {}", self.name))? {
            None => bail!("{} did not stop within {} s", self.name, STOP_LIMIT.as_secs()),
            Some(status) if status.success() => Ok(self.lines.iter().collect()),
            Some(status) => {
                let last: Vec<_> = self.lines.iter().map(|line| line.text().to_owned()).collect();
                bail!("{} ended with {status}: {}", self.name, last.join("\n"))
            }
        }
    }

    /// Waits for its end, but no longer than `STOP_LIMIT`.
    fn wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + STOP_LIMIT;
        loop {
            match self.child.try_wait()? {
                None if Instant::now() < deadline => thread::sleep(POLL),
                status => return Ok(status),
            }
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Once it is reaped, its number may belong to someone else.
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let _ = rustix::process::kill_process_group(self.group, Signal::TERM);
        let _ = self.wait();
        let _ = rustix::process::kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait();
    }
}

fn forward(stream: impl Read + Send + 'static, wrap: fn(String) -> Line, lines: Sender<Line>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { break };
            if lines.send(wrap(line)).is_err() {
                break;
            }
        }
    });
}
