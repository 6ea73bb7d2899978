//! Ctrl-C and its like: noticed, so that a lab is taken down before the program ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static SEEN: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From here on these signals no longer end the process; `check` reports them.
pub(crate) fn catch() -> Result<()> {
    let seen = SEEN.get_or_init(Arc::default);
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(seen)).context("catch signals")?;
    }
    Ok(())
}

/// Fails once such a signal has come.
pub(crate) fn check() -> Result<()> {
    if SEEN.get().is_some_and(|seen| seen.load(Ordering::Relaxed)) {
        bail!("interrupted");
    }
    Ok(())
}
