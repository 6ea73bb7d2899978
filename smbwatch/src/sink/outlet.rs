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
    Sinks(Vec<Running>),
    /// Standard output, which is waited for.
    Here(Box<Stdout>),
}

impl Outlet {
    /// Standard output, which is waited for.
    pub fn here(format: Format) -> Self {
        Self::Here(Box::new(Stdout::new(format)))
    }

    /// Hands over an alert.
    pub fn send(&mut self, document: Document) {
        match self {
            Self::Sinks(sinks) => {
                let document = Arc::new(document);
                sinks.iter().for_each(|sink| sink.send(&document));
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
        let Self::Sinks(running) = self else { return Ok(Vec::new()) };
        let missing = sinks.iter().filter(|config| running.iter().all(|sink| sink.config != **config));
        missing
            .map(|config| {
                let before = running.iter().find(|sink| sink.name == config.name);
                start_after(before, config, folder, format)
            })
            .collect()
    }

    /// Sends to these sinks from now on: of those before, to the ones that a configuration names. Gives back those
    /// that end, and in whose place there is no other.
    pub fn adapt(&mut self, sinks: &[SinkConfig], mut started: Vec<Running>) -> Vec<Closing> {
        let Self::Sinks(running) = self else { return Vec::new() };
        let is_named = |sink: &Running| sinks.contains(&sink.config);
        let (keep, close): (Vec<_>, Vec<_>) = std::mem::take(running).into_iter().partition(is_named);
        let closing = close
            .into_iter()
            .filter_map(|sink| started.iter_mut().try_fold(sink.close(), |before, next| next.follow(before)));
        let closing = closing.collect();
        running.extend(keep.into_iter().chain(started));
        closing
    }

    /// Each sink's name, and what has become of its alerts.
    pub fn counts(&self) -> Vec<(String, Counts)> {
        match self {
            Self::Sinks(sinks) => sinks.iter().map(|sink| (sink.name.clone(), sink.tally.counts())).collect(),
            Self::Here(_) => Vec::new(),
        }
    }

    /// Lets every sink begin anew.
    pub fn reopen(&self) {
        if let Self::Sinks(sinks) = self {
            sinks.iter().for_each(Running::reopen);
        }
    }
}
