//! One connection to a runtime's socket, for one exchange.

use std::io;
use std::path::Path;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::error::Elapsed;

/// Bytes of one answer that are taken.
pub(super) const MAX_ANSWER: usize = 4 << 20;

/// Why a runtime did not say what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The runtime is not installed, or is not running.
    #[error("nothing listens")]
    Absent,
    /// It has no stream of events.
    #[error("it tells no events")]
    NoEvents,
    /// It takes too long.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// It answers something else.
    #[error("{0:#}")]
    Broken(anyhow::Error),
}

impl Error {
    pub(super) fn broken(error: impl Into<anyhow::Error>) -> Self {
        Self::Broken(error.into())
    }
}

/// Waits for an exchange, but not for ever.
pub(super) async fn within<T>(
    limit: Duration,
    exchange: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(limit, exchange).await.unwrap_or_else(|_: Elapsed| Err(Error::Silent(limit)))
}

/// Connects to the socket at `path`.
pub(super) async fn connect(path: &Path) -> Result<TokioIo<UnixStream>, Error> {
    match UnixStream::connect(path).await {
        Ok(stream) => Ok(TokioIo::new(stream)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            Err(Error::Absent)
        }
        Err(error) => Err(Error::broken(error)),
    }
}

/// What moves the bytes of a connection; it ends when dropped.
pub(super) struct Driver {
    _task: JoinSet<()>,
}

impl Driver {
    pub(super) fn of(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) -> Self {
        let mut task = JoinSet::new();
        task.spawn(async move {
            // Whoever waits for the answer is told as well.
            let _ = connection.await;
        });
        Self { _task: task }
    }
}
