//! Reads files again that have changed, in a thread of its own.

use std::io;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, channel};

use crate::enrich::files::{Follower, Fresh};

/// How often files are looked at.
const EVERY: Duration = Duration::from_secs(5);

/// Starts the thread, if there is anything to follow. What it reads waits to be taken before it reads on.
pub(super) fn start(mut follower: Follower) -> io::Result<Receiver<Fresh>> {
    let (sender, fresh) = channel(1);
    if follower.is_idle() {
        return Ok(fresh);
    }
    let work = move || {
        while !sender.is_closed() {
            for fresh in follower.look() {
                // Nobody waits any more at the agent's end.
                let _ = sender.blocking_send(fresh);
            }
            thread::sleep(EVERY);
        }
    };
    thread::Builder::new().name("files".to_owned()).spawn(work)?;
    Ok(fresh)
}
