//! Spools whose sinks are no longer configured.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{Error, Place};
use crate::config::sinks::SinkConfig;

/// Says how many alerts wait in `folder` for sinks that are not among these.
pub(in crate::sink) fn tell(folder: &Path, sinks: &[SinkConfig]) {
    // There may be none, and then nothing waits there.
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
        let is_spool = path.extension().is_some_and(|extension| extension == "redb");
        let is_used = sinks.iter().any(|sink| sink.spool_bytes != 0 && sink.name == name);
        if !is_spool || is_used {
            continue;
        }
        match waiting(&path) {
            Ok(0) => {}
            Ok(count) => tracing::warn!(
                "spool {}: {count} alerts wait for a sink called `{name}`; give a sink that `name`, or remove the file",
                path.display()
            ),
            Err(error) => tracing::warn!("spool {}: {error}", path.display()),
        }
    }
}

fn waiting(path: &Path) -> Result<u64, Error> {
    let (_, content) = Place::File(path.to_owned()).open(&BTreeSet::new())?;
    Ok(content.waiting)
}
