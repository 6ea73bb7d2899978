//! Network events of other tools, told as ECS documents, one a line.

pub mod event;
pub mod outcome;
pub mod rule;
mod error;
mod document;
mod fields;
mod place;

use std::io::{BufRead, Read};

pub use error::{Error, Problem};
pub use event::Event;

use crate::source::compression::Compression;

/// The longest line that is read.
pub const MAX_LINE: usize = 1 << 20;

/// A stream of documents.
pub struct Documents<R> {
    read: R,
    line: Vec<u8>,
    number: u64,
    ended: bool,
}

/// A line that holds a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document<'a> {
    /// Its place in the stream, from 1; empty lines count.
    pub line: u64,
    /// What it tells, or none where it is not about two hosts.
    pub event: Option<Event<'a>>,
}

impl<R: BufRead> Documents<R> {
    /// Looks at the first bytes.
    pub fn open(mut read: R) -> Result<Self, Error> {
        let failed = |problem| Error { line: 1, problem };
        let start = read.fill_buf().map_err(|error| failed(Problem::Read(error)))?;
        if let Some(compression) = Compression::of(start) {
            return Err(failed(Problem::Compressed(compression)));
        }
        Ok(Self { read, line: Vec::new(), number: 0, ended: false })
    }

    /// The next document, or none at the end. After an error reading goes on with the next line, but for
    /// [`Problem::Read`].
    pub fn next_document(&mut self) -> Result<Option<Document<'_>>, Error> {
        while !self.ended {
            self.number += 1;
            let read = self.read_line();
            let line = self.number;
            let failed = |problem| Error { line, problem };
            match read {
                Ok(true) => {}
                Ok(false) => self.ended = true,
                Err(problem) => {
                    self.ended = matches!(problem, Problem::Read(_));
                    return Err(failed(problem));
                }
            }
            if !self.line.trim_ascii().is_empty() {
                let event = document::parse(&self.line).and_then(|fields| fields.event());
                return Ok(Some(Document { line, event: event.map_err(failed)? }));
            }
        }
        Ok(None)
    }

    /// Reads a line; false where the stream ends.
    fn read_line(&mut self) -> Result<bool, Problem> {
        self.line.clear();
        let limit = MAX_LINE as u64 + 1;
        let read = self.read.by_ref().take(limit).read_until(b'\n', &mut self.line)?;
        let whole = self.line.pop_if(|last| *last == b'\n').is_some();
        if read > MAX_LINE && !whole {
            self.read.skip_until(b'\n')?;
            return Err(Problem::TooLong);
        }
        Ok(read > 0)
    }
}
