//! Asks the pipeline for a snapshot, from another thread.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::snapshot::Snapshot;

/// How long the pipeline may take, which looks for questions after each batch of records.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// The pipeline's end: where each answer is to go.
pub(crate) type Asked = mpsc::Receiver<oneshot::Sender<Snapshot>>;

/// The asking end.
#[derive(Clone)]
pub(crate) struct Scrapes {
    asking: mpsc::Sender<oneshot::Sender<Snapshot>>,
}

impl Scrapes {
    /// Both ends. One question waits at a time, so that many cannot keep the pipeline from its records.
    pub(crate) fn new() -> (Self, Asked) {
        let (asking, asked) = mpsc::channel(1);
        (Self { asking }, asked)
    }

    /// A snapshot, or none where the pipeline does not answer in time.
    pub(super) async fn snapshot(&self) -> Option<Snapshot> {
        let ask = async {
            let (reply, answer) = oneshot::channel();
            self.asking.send(reply).await.ok()?;
            answer.await.ok()
        };
        timeout(PATIENCE, ask).await.ok().flatten()
    }
}
