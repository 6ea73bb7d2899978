//! What can be wrong with a line, and the way out of it.

use std::io;

use super::MAX_LINE;
use crate::source::compression::Compression;

/// What is wrong, and where.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct Error {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The stream could not be read.
    #[error("read: {0}")]
    Read(#[from] io::Error),
    /// The stream is compressed.
    #[error("the documents are compressed with {}; give `{} FILE | smbwatch replay --ecs -`", .0.name, .0.tool)]
    Compressed(Compression),
    /// The line is longer than any document.
    #[error("longer than {MAX_LINE} bytes; give one document a line (`jq -c .`)")]
    TooLong,
    /// The line is not one JSON value.
    #[error("column {column}: {message}")]
    Json {
        /// Where, in bytes from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// The line is JSON, but no object.
    #[error("a document is an object; give one a line (`jq -c '.[]'` for an array)")]
    NoObject,
    /// The line is all that a search found.
    #[error("the answer to a search; give its documents one a line: `jq -c '.hits.hits[]'`")]
    Search,
    /// A field holds what it cannot hold.
    #[error("`{field}` is {value}, which is {wanted}")]
    Field {
        /// Its name in ECS.
        field: &'static str,
        /// What it holds, cut where it is long.
        value: String,
        /// What it is not.
        wanted: &'static str,
    },
    /// The document has no time.
    #[error("neither `@timestamp` nor `event.start`")]
    NoTime,
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        let text = error.to_string();
        let message = text.split(" at line ").next().unwrap_or(&text);
        Self::Json { column: error.column(), message: message.to_owned() }
    }
}
