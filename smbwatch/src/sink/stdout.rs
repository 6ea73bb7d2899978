//! Standard output: readable lines on a terminal, one JSON document a line elsewhere.

use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd;

use clap::ValueEnum;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

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
            let mut stdout = Patient(io::stdout().lock());
            stdout.write_all(lines)?;
            stdout.flush()
        }
    }
}

/// Waits where a reader of a pipe is slow, even if who has made the pipe wants writers not to wait: half a line would be
/// there otherwise.
struct Patient<T>(T);

impl<T: Write + AsFd> Patient<T> {
    fn patiently<R>(&mut self, mut act: impl FnMut(&mut T) -> io::Result<R>) -> io::Result<R> {
        loop {
            match act(&mut self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE)?;
                }
                done => return done,
            }
        }
    }
}

impl<T: Write + AsFd> Write for Patient<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.patiently(|inner| inner.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.patiently(Write::flush)
    }
}
