//! A file of one JSON document a line.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Sink;
use crate::alert::Document;

/// An open file. Every line is whole: what a failed write left behind is cut off again.
pub(super) struct File {
    path: PathBuf,
    file: std::fs::File,
}

impl File {
    /// Opens or makes the file, readable by its owner and group alone.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: open(path)? })
    }
}

impl Sink for File {
    fn write(&mut self, documents: &[Arc<Document>]) -> io::Result<()> {
        let mut lines = Vec::new();
        for document in documents {
            serde_json::to_writer(&mut lines, &**document)?;
            lines.push(b'\n');
        }
        let before = self.file.metadata()?.len();
        self.file.write_all(&lines).inspect_err(|_| {
            // Another writer's lines may follow ours; then our torn one has to stay. Someone may also have
            // emptied the file; then it must not be filled up with zeros.
            let after = self.file.metadata().map_or(before, |metadata| metadata.len());
            if (before..before + lines.len() as u64).contains(&after) {
                let _ = self.file.set_len(before);
            }
        })
    }

    fn reopen(&mut self) {
        match open(&self.path) {
            Ok(file) => self.file = file,
            Err(error) => {
                tracing::error!("open {} again: {error}; the old file stays in use", self.path.display())
            }
        }
    }
}

fn open(path: &Path) -> io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}
