//! Old files: `FILE.1` is the youngest. Compression has a thread of its own, so that alerts do not wait for it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread::{Builder, JoinHandle};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::config::sinks::{Compress, FileTarget};

/// Endings of old files.
const SUFFIXES: [&str; 2] = ["", ".gz"];

/// What is being done to the youngest of the old files.
#[derive(Default)]
pub(super) struct Rotation(Option<JoinHandle<()>>);

impl Rotation {
    /// Whether the last rotation has not ended yet.
    pub(super) fn is_busy(&self) -> bool {
        self.0.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Moves the file away, each older one one further, and the oldest out of existence.
    pub(super) fn rotate(target: &FileTarget) -> io::Result<()> {
        let FileTarget { path, keep, .. } = target;
        if *keep == 0 {
            return fs::remove_file(path);
        }
        // More may be there, of a time when more were to be kept.
        let surplus = (*keep..)
            .take_while(|number| SUFFIXES.iter().any(|suffix| numbered(path, *number, suffix).exists()));
        for number in surplus {
            SUFFIXES
                .iter()
                .try_for_each(|suffix| existing(fs::remove_file(numbered(path, number, suffix))))?;
        }
        for number in (1..*keep).rev() {
            for suffix in SUFFIXES {
                existing(fs::rename(numbered(path, number, suffix), numbered(path, number + 1, suffix)))?;
            }
        }
        fs::rename(path, numbered(path, 1, ""))
    }

    /// Compresses what was moved away, once nothing is written to it any more.
    pub(super) fn compress(&mut self, target: &FileTarget) -> io::Result<()> {
        if target.keep > 0 && target.compress == Compress::Gzip {
            let youngest = numbered(&target.path, 1, "");
            let work = move || {
                if let Err(error) = gzip(&youngest) {
                    tracing::error!("compress {}: {error}; it stays as it is", youngest.display());
                }
            };
            self.0 = Some(Builder::new().name("compress".to_owned()).spawn(work)?);
        }
        Ok(())
    }
}

impl Drop for Rotation {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// Compresses beside the file, which goes when that is whole and on disk.
fn gzip(path: &Path) -> io::Result<()> {
    let (unfinished, finished) = (with(path, ".gz.part"), with(path, ".gz"));
    let out = File::options().write(true).create(true).truncate(true).mode(0o640).open(&unfinished)?;
    let mut encoder = GzEncoder::new(out, Compression::fast());
    io::copy(&mut File::open(path)?, &mut encoder)?;
    encoder.finish()?.sync_all()?;
    fs::rename(&unfinished, &finished)?;
    fs::remove_file(path)
}

fn numbered(path: &Path, number: u32, suffix: &str) -> PathBuf {
    with(path, &format!(".{number}{suffix}"))
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// What is not there need not be moved.
fn existing(moved: io::Result<()>) -> io::Result<()> {
    match moved {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
