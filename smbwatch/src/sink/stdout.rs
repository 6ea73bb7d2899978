//! Standard output: readable lines on a terminal, one JSON document a line elsewhere.

use std::io::{self, IsTerminal as _, Write as _};

use clap::ValueEnum;

use super::{Writer, encode};
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
    pub(super) fn tell(&mut self, document: &Document) -> io::Result<()> {
        self.write(&encode::line(document, self.text)?)
    }
}

impl Writer for Stdout {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
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
