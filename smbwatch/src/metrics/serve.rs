//! Answers over HTTP, in a thread of its own: whatever a client does, the pipeline only ever makes a snapshot.

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::answer::{Door, answer};
use super::listen::{Listeners, Place, listen};
use super::scrapes::Scrapes;
use crate::config::metrics::Metrics;

/// Connections of each socket that are served at a time; any further one waits to be accepted.
const CONNECTIONS: usize = 8;
/// How long a connection may last, whose client may read slowly or never.
const EXCHANGE: Duration = Duration::from_secs(5);
/// How long nothing is accepted when that failed: most likely, there are no descriptors left.
const PAUSE: Duration = Duration::from_secs(1);

/// The sockets, until this is dropped.
pub(crate) struct Server {
    _place: Option<Place>,
}

/// Serves metrics for as long as the process runs.
pub(crate) fn start(config: &Metrics, run_dir: &Path, scrapes: Scrapes) -> anyhow::Result<Server> {
    let (listeners, place) = listen(config, run_dir)?;
    if listeners.unix.is_some() || listeners.tcp.is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let serve = move || runtime.block_on(serve_all(listeners, scrapes));
        let thread = std::thread::Builder::new().name("metrics".to_owned()).spawn(serve);
        thread.context("start a thread")?;
    }
    Ok(Server { _place: place })
}

async fn serve_all(listeners: Listeners, scrapes: Scrapes) -> io::Result<()> {
    let unix = async {
        let Some(listener) = listeners.unix else { return Ok(()) };
        let listener = UnixListener::from_std(listener)?;
        serve(async || Ok(listener.accept().await?.0), &scrapes, Door::Unix).await
    };
    let tcp = async {
        let Some(listener) = listeners.tcp else { return Ok(()) };
        let listener = TcpListener::from_std(listener)?;
        serve(async || Ok(listener.accept().await?.0), &scrapes, Door::Tcp).await
    };
    tokio::try_join!(unix, tcp).map(|_| ())
}

async fn serve<S>(accept: impl AsyncFn() -> io::Result<S>, scrapes: &Scrapes, door: Door) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = accept(), if open.len() < CONNECTIONS => match accepted {
                Ok(stream) => {
                    open.spawn(timeout(EXCHANGE, exchange(stream, scrapes.clone(), door)));
                }
                Err(error) => {
                    tracing::warn!("accept a connection for metrics: {error}");
                    sleep(PAUSE).await;
                }
            },
            Some(_) = open.join_next() => {}
        }
    }
}

/// One request and its answer.
async fn exchange(stream: impl AsyncRead + AsyncWrite + Unpin, scrapes: Scrapes, door: Door) {
    let service = service_fn(|request| {
        let scrapes = scrapes.clone();
        async move { Ok::<_, Infallible>(answer(&request, &scrapes, door).await) }
    });
    let mut http = http1::Builder::new();
    http.keep_alive(false).header_read_timeout(None);
    // A client that goes away is none of our business.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}
