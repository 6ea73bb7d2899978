//! Standard output: readable lines on a terminal, one JSON document a line elsewhere.

use std::io::{self, IsTerminal as _, Write as _};

use clap::ValueEnum;

use super::{Failure, Fate, Sink, encode};
use crate::alert::Document;

/// How standard output is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text on a terminal, else JSON.
    #[default]
    Auto,
    /// One readable line for each alert.
    Text,
    /// One JSON document a line.
    Json,
}

impl Format {
    /// Whether text is meant, rather than JSON.
    pub fn is_text(self) -> bool {
        match self {
            Self::Auto => io::stdout().is_terminal(),
            Self::Text => true,
            Self::Json => false,
        }
    }
}

/// Standard output.
pub struct Stdout {
    text: bool,
}

impl Stdout {
    pub(super) fn new(format: Format) -> Self {
        Self { text: format.is_text() }
    }

    /// Writes one alert.
    pub(super) fn write(&self, document: &Document) -> io::Result<()> {
        self.write_lines(&encode::line(document, self.text)?)
    }

    fn write_lines(&self, lines: &[u8]) -> io::Result<()> {
        if self.text {
            // Keeps the colours, or takes them out where NO_COLOR or a pipe asks for that.
            let mut stdout = anstream::stdout().lock();
            stdout.write_all(lines)?;
            stdout.flush()
        } else {
            let mut stdout = io::stdout().lock();
            stdout.write_all(lines)?;
            stdout.flush()
        }
    }
}

impl Sink for Stdout {
    fn deliver(&mut self, lines: &[Vec<u8>]) -> Result<Vec<Fate>, Failure> {
        self.write_lines(&lines.concat()).map_err(Failure::later)?;
        Ok(vec![Fate::Delivered; lines.len()])
    }

    fn check(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}
