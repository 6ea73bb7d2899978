//! What the agent says of itself: to the journal where systemd reads standard error, else to standard error.

mod repeats;

use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;

use anyhow::Context as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use repeats::Repeats;

/// Levels by target, unless RUST_LOG says otherwise.
const LEVELS: &str = "info,netlink_proto=error";

/// Begins to take messages, those of libraries that use `log` too.
pub(crate) fn start() -> anyhow::Result<()> {
    let levels = std::env::var("RUST_LOG").ok().filter(|levels| !levels.is_empty());
    let levels: Targets = levels.as_deref().unwrap_or(LEVELS).parse().context("RUST_LOG")?;
    let journal = is_journal().then(tracing_journald::layer).and_then(Result::ok);
    let out = match journal {
        Some(journal) => journal.boxed(),
        None => {
            let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let plain = fmt::layer().without_time().with_target(false);
            plain.with_ansi(colours).with_writer(io::stderr).boxed()
        }
    };
    tracing_subscriber::registry().with(levels).with(Repeats::default()).with(out).try_init()?;
    Ok(())
}

/// Whether standard error is systemd's own stream: systemd.exec(5), `$JOURNAL_STREAM`.
fn is_journal() -> bool {
    let Ok(stderr) = nix::sys::stat::fstat(io::stderr().as_fd()) else { return false };
    let stream = format!("{}:{}", stderr.st_dev, stderr.st_ino);
    std::env::var("JOURNAL_STREAM").is_ok_and(|journal| journal == stream)
}
