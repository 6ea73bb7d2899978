//! Where a spool is kept, and what is done with one that is damaged.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use redb::backends::InMemoryBackend;
use redb::{Builder, Database, ReadableTable as _};

use super::room::cost;
use super::{ALERTS, Error};

/// Pages that the store keeps in memory: an agent at rest is small.
const CACHE: usize = 256 << 10;

/// Where a spool is kept.
pub(in crate::sink) enum Place {
    /// In a file, whose folder is made if need be.
    File(PathBuf),
    /// In memory.
    Memory,
    /// In whatever a test makes.
    #[cfg(test)]
    Test(Box<dyn Fn() -> Result<Database, redb::DatabaseError> + Send + Sync>),
}

/// What is in a spool when it is opened.
#[derive(Default)]
pub(super) struct Content {
    /// Alerts that are still to be delivered.
    pub(super) waiting: u64,
    pub(super) bytes: u64,
    /// The number of the oldest alert, or 0.
    pub(super) first: u64,
    /// The number of the youngest alert.
    pub(super) last: u64,
}

impl Place {
    /// Makes the file, if it is in one, without looking into it.
    pub(super) fn prepare(&self) -> std::io::Result<()> {
        match self {
            Self::File(path) => make_folder(path).and_then(|()| make_file(path)).map(drop),
            Self::Memory => Ok(()),
            #[cfg(test)]
            Self::Test(_) => Ok(()),
        }
    }

    pub(super) fn open(&self, settled: &BTreeSet<u64>) -> Result<(Database, Content), Error> {
        let database = match self {
            Self::File(path) => return open(path, settled),
            Self::Memory => builder().create_with_backend(InMemoryBackend::new())?,
            #[cfg(test)]
            Self::Test(open) => open()?,
        };
        let content = content(&database, settled)?;
        Ok((database, content))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            Self::Memory => formatter.write_str("in memory"),
            #[cfg(test)]
            Self::Test(_) => formatter.write_str("of a test"),
        }
    }
}

pub(super) fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE);
    builder
}

fn make_folder(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |folder| DirBuilder::new().recursive(true).mode(0o700).create(folder))
}

fn open(path: &Path, settled: &BTreeSet<u64>) -> Result<(Database, Content), Error> {
    make_folder(path)?;
    // redb has assertions about what it reads.
    let opened = catch_unwind(|| open_file(path, settled));
    let damage = match opened {
        Ok(Err(error)) if error.is_damage() => error.to_string(),
        Ok(opened) => return opened,
        Err(_) => "it is damaged".to_owned(),
    };
    let aside = path.with_extension("damaged");
    fs::rename(path, &aside)?;
    tracing::error!("spool {}: {damage}; it is kept as {}", path.display(), aside.display());
    open_file(path, settled)
}

fn make_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn open_file(path: &Path, settled: &BTreeSet<u64>) -> Result<(Database, Content), Error> {
    let mut database = builder().create_file(make_file(path)?)?;
    database.check_integrity()?;
    let content = content(&database, settled)?;
    Ok((database, content))
}

fn content(database: &Database, settled: &BTreeSet<u64>) -> Result<Content, Error> {
    let transaction = database.begin_write()?;
    let mut content = Content::default();
    for entry in transaction.open_table(ALERTS)?.iter()? {
        let (key, body) = entry?;
        content.waiting += u64::from(!settled.contains(&key.value()));
        content.bytes += cost(body.value());
        content.last = key.value();
        if content.first == 0 {
            content.first = content.last;
        }
    }
    transaction.commit()?;
    Ok(content)
}
