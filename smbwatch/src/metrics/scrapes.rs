//! Asks the pipeline, from another thread.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::snapshot::Snapshot;
use crate::except::Row;
use crate::explain::{Explanation, Packet};

/// How long the pipeline may take, which looks for questions after each batch of records.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// A question to the pipeline, and where its answer is to go.
pub(crate) enum Asked {
    /// What has been counted.
    Snapshot(oneshot::Sender<Snapshot>),
    /// Every exception.
    Exceptions(oneshot::Sender<Vec<Row>>),
    /// Whether a packet would match.
    Explanation(Packet, oneshot::Sender<Explanation>),
}

/// The asking end.
#[derive(Clone)]
pub(crate) struct Scrapes {
    asking: mpsc::Sender<Asked>,
}

impl Scrapes {
    /// Both ends. One question waits at a time, so that many cannot keep the pipeline from its records.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Asked>) {
        let (asking, asked) = mpsc::channel(1);
        (Self { asking }, asked)
    }

    /// The answer, or none where the pipeline does not answer in time.
    pub(super) async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Asked) -> Option<T> {
        let ask = async {
            let (reply, answer) = oneshot::channel();
            self.asking.send(question(reply)).await.ok()?;
            answer.await.ok()
        };
        timeout(PATIENCE, ask).await.ok().flatten()
    }
}
