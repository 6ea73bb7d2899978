//! Where alerts leave the stages.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::running::{Closing, Running, start_after};
use super::stdout::{Format, Stdout};
use super::tally::Counts;
use crate::alert::Document;
use crate::config::sinks::SinkConfig;

/// Where alerts leave the stages.
pub enum Outlet {
    /// Each sink has its threads.
    Sinks(Sinks),
    /// Standard output, which is waited for.
    Here(Box<Stdout>),
}

/// Sinks, and those that are no longer named and empty their queues.
pub struct Sinks {
    running: Vec<Running>,
    closing: Vec<Closing>,
}

impl Outlet {
    /// Sinks that run.
    pub const fn to(running: Vec<Running>) -> Self {
        Self::Sinks(Sinks { running, closing: Vec::new() })
    }

    /// Standard output, which is waited for.
    pub fn here(format: Format) -> Self {
        Self::Here(Box::new(Stdout::new(format)))
    }

    /// Hands over an alert.
    pub fn send(&mut self, document: Document) {
        match self {
            Self::Sinks(sinks) => {
                let document = Arc::new(document);
                sinks.running.iter().for_each(|sink| sink.send(&document));
            }
            Self::Here(stdout) => {
                if let Err(error) = stdout.tell(&document) {
                    // Who reads no more, as head(1) does, wants no more.
                    if error.kind() != io::ErrorKind::BrokenPipe {
                        tracing::error!("standard output: {error}");
                    }
                    std::process::exit(1);
                }
            }
        }
    }

    /// Starts those of a configuration's sinks that do not run yet.
    pub fn start_missing(
        &self,
        sinks: &[SinkConfig],
        folder: &Path,
        format: Format,
    ) -> anyhow::Result<Vec<Running>> {
        let Self::Sinks(Sinks { running, closing }) = self else { return Ok(Vec::new()) };
        let missing = sinks.iter().filter(|config| running.iter().all(|sink| sink.config != **config));
        missing
            .map(|config| {
                let runs = running.iter().find(|sink| sink.name == config.name).map(Running::legacy);
                let ends = || closing.iter().find(|sink| sink.name == config.name).map(Closing::legacy);
                start_after(runs.or_else(ends), config, folder, format)
            })
            .collect()
    }

    /// Sends to these sinks from now on: of those before, to the ones that a configuration names. The others give way to
    /// those of the same name, or empty their queues.
    pub fn adapt(&mut self, sinks: &[SinkConfig], mut started: Vec<Running>) {
        let Self::Sinks(Sinks { running, closing }) = self else { return };
        for before in std::mem::take(closing) {
            match started.iter_mut().find(|next| next.name == before.name) {
                Some(next) => before.give_way(next),
                None => closing.push(before),
            }
        }
        for before in std::mem::take(running) {
            if sinks.contains(&before.config) {
                running.push(before);
            } else if let Some(next) = started.iter_mut().find(|next| next.name == before.name) {
                before.give_way(next);
            } else {
                closing.push(before.close());
            }
        }
        running.extend(started);
    }

    /// Each sink's name, and what has become of its alerts.
    pub fn counts(&self) -> Vec<(String, Counts)> {
        let Self::Sinks(Sinks { running, closing }) = self else { return Vec::new() };
        let running = running.iter().map(|sink| (&sink.name, &sink.tally));
        let all = running.chain(closing.iter().map(|sink| (&sink.name, &sink.tally)));
        all.map(|(name, tally)| (name.clone(), tally.counts())).collect()
    }

    /// Lets every sink begin anew.
    pub fn reopen(&self) {
        if let Self::Sinks(sinks) = self {
            sinks.running.iter().for_each(Running::reopen);
        }
    }

    /// Takes no more alerts.
    pub fn close(self) -> Vec<Closing> {
        let Self::Sinks(Sinks { running, mut closing }) = self else { return Vec::new() };
        closing.extend(running.into_iter().map(Running::close));
        closing
    }
}
