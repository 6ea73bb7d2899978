//! A file of one JSON document a line, rotated by size and age.

mod rotation;

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::time::SystemTime;

use super::Writer;
use crate::config::sinks::FileTarget;
use rotation::Rotation;

/// An open file. Every line is whole: what a failed write left behind is cut off again.
pub(super) struct File {
    target: FileTarget,
    file: fs::File,
    began: SystemTime,
    rotation: Rotation,
}

impl File {
    /// Opens or makes the file, readable by its owner and group alone.
    pub(super) fn open(target: &FileTarget) -> anyhow::Result<Self> {
        let file = open(target).map_err(|error| {
            let missing = error.kind() == io::ErrorKind::NotFound;
            let advice = if missing { "; does its folder exist?" } else { "" };
            anyhow::Error::new(error).context(format!("open {}{advice}", target.path.display()))
        })?;
        let began = beginning(&file);
        Ok(Self { target: target.clone(), file, began, rotation: Rotation::default() })
    }

    /// Opens the file anew where it has been moved away or removed.
    fn follow(&mut self) -> io::Result<()> {
        let ours = self.file.metadata()?;
        let found = fs::metadata(&self.target.path);
        let is_ours = found.is_ok_and(|found| (found.dev(), found.ino()) == (ours.dev(), ours.ino()));
        if is_ours { Ok(()) } else { self.begin_anew() }
    }

    fn append(&self, lines: &[u8]) -> io::Result<()> {
        self.end_line()?;
        let before = self.file.metadata()?.len();
        let sync = || if self.target.fsync { self.file.sync_data() } else { Ok(()) };
        (&self.file).write_all(lines).and_then(|()| sync()).inspect_err(|_| {
            // Another writer's lines may follow ours; then our torn one has to stay. Someone may also have
            // emptied the file; then it must not be filled up with zeros.
            let after = self.file.metadata().map_or(before, |metadata| metadata.len());
            if (before..=before + lines.len() as u64).contains(&after) {
                let _ = self.file.set_len(before);
            }
        })
    }

    /// A line that lost its end, with the power perhaps, must not take ours with it.
    fn end_line(&self) -> io::Result<()> {
        let mut last = *b"\n";
        if let Some(end) = self.file.metadata()?.len().checked_sub(1) {
            self.file.read_at(&mut last, end)?;
        }
        if last == *b"\n" { Ok(()) } else { (&self.file).write_all(b"\n") }
    }

    /// Begins a new file if this one is full or old, once another has not been begun yet.
    fn rotate(&mut self, more: usize) -> io::Result<()> {
        let size = self.file.metadata()?.len();
        let full = self.target.size().is_some_and(|limit| size + more as u64 > limit);
        let old =
            self.target.age().is_some_and(|limit| self.began.elapsed().is_ok_and(|elapsed| elapsed >= limit));
        if size == 0 || !(full || old) || self.rotation.is_busy() {
            return Ok(());
        }
        Rotation::rotate(&self.target)?;
        self.begin_anew()?;
        self.rotation.compress(&self.target)
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        self.file = open(&self.target)?;
        self.began = beginning(&self.file);
        Ok(())
    }
}

impl Writer for File {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        self.follow()?;
        if let Err(error) = self.rotate(lines.len()) {
            tracing::error!("rotate {}: {error}; the old file stays in use", self.target.path.display());
        }
        self.append(lines)
    }

    fn repeats(&self) -> bool {
        true
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.begin_anew()
    }
}

fn open(target: &FileTarget) -> io::Result<fs::File> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(&target.path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file; name another `path`"));
    }
    Ok(file)
}

/// When the file was made; some file systems do not know.
fn beginning(file: &fs::File) -> SystemTime {
    file.metadata().and_then(|metadata| metadata.created()).unwrap_or_else(|_| SystemTime::now())
}
