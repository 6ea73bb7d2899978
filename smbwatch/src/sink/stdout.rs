//! Standard output: readable lines on a terminal, one JSON document a line elsewhere.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;

use clap::ValueEnum;

use super::Sink;
use crate::alert::{Document, text};

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
}

impl Sink for Stdout {
    fn write(&mut self, documents: &[Arc<Document>]) -> io::Result<()> {
        let mut lines = Vec::new();
        for document in documents {
            if self.text {
                lines.extend_from_slice(text::line(document).as_bytes());
            } else {
                serde_json::to_writer(&mut lines, &**document)?;
            }
            lines.push(b'\n');
        }
        if self.text {
            // Keeps the colours, or takes them out where NO_COLOR or a pipe asks for that.
            let mut stdout = anstream::stdout().lock();
            stdout.write_all(&lines)?;
            stdout.flush()
        } else {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&lines)?;
            stdout.flush()
        }
    }
}
