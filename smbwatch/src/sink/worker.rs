//! A thread of a sink, and its turn: it may have to wait for the end of the one whose work it goes on with.

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, JoinHandle};

use super::write::Backlog;

/// A thread. One that waits for its turn ends, without having worked, when this is dropped.
pub(super) struct Worker {
    thread: JoinHandle<Option<Backlog>>,
    turn: Option<Sender<Worker>>,
}

impl Worker {
    /// Starts a thread that works at once, or, if it `waits`, after another, with what that has left.
    pub(super) fn start(
        waits: bool,
        work: impl FnOnce(Option<Backlog>) -> Option<Backlog> + Send + 'static,
    ) -> io::Result<Self> {
        let (turn, before) = waits.then(channel::<Self>).unzip();
        let work = move || match before.map(|before| before.recv()) {
            None => work(None),
            // Whoever goes before it may have panicked, which was told already.
            Some(Ok(before)) => work(before.thread.join().unwrap_or_default()),
            Some(Err(_)) => None,
        };
        let thread = Builder::new().name("sink".to_owned()).spawn(work)?;
        Ok(Self { thread, turn })
    }

    /// Lets it work once `before` has ended.
    pub(super) fn follow(&mut self, before: Self) {
        // It waits for nothing else.
        let _ = self.turn.take().map(|turn| turn.send(before));
    }

    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}
