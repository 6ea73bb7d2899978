//! A service that is reached by TCP, with TLS or without.

use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Failure, tls};
use crate::config::sinks::Url;

const CONNECT: Duration = Duration::from_secs(10);
const EXCHANGE: Duration = Duration::from_secs(30);

/// Where a service is, and how it is spoken to.
pub(super) struct Service {
    pub(super) url: Url,
    tls: Option<TlsConnector>,
    /// Made by the thread that uses it: dropped by another, which may run a runtime itself, it would panic.
    runtime: OnceCell<Runtime>,
}

pub(super) trait Bytes: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Bytes for T {}

/// A connection, as hyper wants it.
pub(super) type Stream = TokioIo<Box<dyn Bytes>>;

impl Service {
    /// A service that speaks `protocol`, which TLS names to it (ALPN).
    pub(super) fn new(url: &Url, ca: Option<&Path>, protocol: &[u8]) -> anyhow::Result<Self> {
        let tls = url.secure.then(|| tls::client(ca)).transpose()?.map(|mut config| {
            config.alpn_protocols = vec![protocol.to_vec()];
            TlsConnector::from(Arc::new(config))
        });
        Ok(Self { url: url.clone(), tls, runtime: OnceCell::new() })
    }

    /// Only connects.
    pub(super) fn check(&self) -> Result<(), Failure> {
        self.wait(self.connect())?.map(drop).map_err(Failure::later)
    }

    /// Waits for an exchange with it, but not for ever.
    pub(super) fn exchange<T>(
        &self,
        exchange: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let answered = self.wait(async { timeout(EXCHANGE, exchange).await })?;
        answered
            .unwrap_or_else(|_| Err(Failure::later(anyhow!("{}: no answer within {EXCHANGE:?}", self.url))))
    }

    fn wait<T>(&self, future: impl Future<Output = T>) -> Result<T, Failure> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime.block_on(future));
        }
        let runtime = Builder::new_current_thread().enable_all().build().map_err(Failure::later)?;
        Ok(self.runtime.get_or_init(|| runtime).block_on(future))
    }

    pub(super) async fn connect(&self) -> anyhow::Result<Stream> {
        let connect = async {
            let stream = TcpStream::connect(self.url.end.to_string()).await?;
            stream.set_nodelay(true)?;
            let stream: Box<dyn Bytes> = match &self.tls {
                Some(tls) => {
                    let name = tls::server_name(&self.url.end.host)?;
                    Box::new(tls.connect(name, stream).await.map_err(tls::failure)?)
                }
                None => Box::new(stream),
            };
            anyhow::Ok(TokioIo::new(stream))
        };
        let connected = timeout(CONNECT, connect).await;
        let connected = connected.map_err(|_| anyhow!("no connection within {CONNECT:?}"));
        connected.and_then(|connected| connected).with_context(|| format!("connect to {}", self.url))
    }
}
