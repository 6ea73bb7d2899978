//! Reads files again that have changed, the configuration among them, in a thread of its own.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::config::{Config, Error, Given};
use crate::enrich::files::{Follower, Fresh, Stamp};

/// How often files are looked at.
const EVERY: Duration = Duration::from_secs(5);
/// How long the configuration must stay as it is before it is read: who writes it may not be done.
const SETTLED: Duration = Duration::from_secs(1);

/// What was read.
pub(super) enum Read {
    /// A file that the configuration names.
    Fresh(Fresh),
    /// The configuration, and the files that it names and that had not been read before.
    Config(Box<Config>, Vec<Fresh>),
    /// The configuration is wrong, as was told.
    Refused,
}

/// The thread's other end. What it reads waits to be taken before it reads on.
pub(super) struct Refresh {
    pub(super) read: mpsc::Receiver<Read>,
    now: Sender<()>,
}

/// What the thread looks at.
struct Reader {
    given: Given,
    follower: Follower,
    /// The configuration's file as it was when it was read, and at the last look.
    read: Option<Stamp>,
    seen: Option<Stamp>,
}

impl Refresh {
    /// Starts the thread, if there is anything to follow.
    pub(super) fn start(given: Given, follower: Follower) -> io::Result<Self> {
        let (sender, read) = mpsc::channel(1);
        let (now, asked) = channel();
        let stamp = given.file.as_deref().and_then(|path| Stamp::of(path).ok());
        if given.file.is_some() || !follower.is_idle() {
            let reader = Reader { given, follower, read: stamp, seen: stamp };
            thread::Builder::new().name("files".to_owned()).spawn(move || reader.work(&asked, &sender))?;
        }
        Ok(Self { read, now })
    }

    /// Has all be read now, the configuration even if it has not changed.
    pub(super) fn now(&self) {
        // Without a thread there is nothing to read.
        let _ = self.now.send(());
    }
}

impl Reader {
    fn work(mut self, asked: &Receiver<()>, sender: &mpsc::Sender<Read>) {
        loop {
            let wait = if self.seen == self.read { EVERY } else { SETTLED };
            let asked = match asked.recv_timeout(wait) {
                Ok(()) => true,
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            for read in self.look(asked) {
                // Nobody waits any more at the agent's end.
                let _ = sender.blocking_send(read);
            }
        }
    }

    fn look(&mut self, asked: bool) -> Vec<Read> {
        let refused = match self.config(asked) {
            Some(Ok(config)) => {
                self.follower.follow(&config);
                return vec![Read::Config(Box::new(config), self.follower.look())];
            }
            Some(Err(error)) => {
                tracing::error!("{error}; the configuration before stays in force");
                Some(Read::Refused)
            }
            None => None,
        };
        refused.into_iter().chain(self.follower.look().into_iter().map(Read::Fresh)).collect()
    }

    /// Reads the configuration if that is asked for, or if it has changed and changes no more.
    fn config(&mut self, asked: bool) -> Option<Result<Config, Error>> {
        let path = self.given.file.as_deref()?;
        let before = std::mem::replace(&mut self.seen, Stamp::of(path).ok());
        let is_new = self.seen != self.read && self.seen == before;
        // One that is gone is told when it is asked for: an editor may be about to put another in its place.
        if !asked && (!is_new || self.seen.is_none()) {
            return None;
        }
        self.read = self.seen;
        Some(self.given.load())
    }
}
