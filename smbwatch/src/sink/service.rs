//! A service that is reached by TCP, with TLS or without.

use std::cell::OnceCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::addresses::shares;
use super::{Failure, tls};
use crate::config::sinks::{Tls, Url};

const CONNECT: Duration = Duration::from_secs(10);
const EXCHANGE: Duration = Duration::from_secs(30);
/// How long a service that is only tried may take to say that it wants another certificate.
const OBJECTION: Duration = Duration::from_millis(500);

/// Where a service is, and how it is spoken to.
pub(super) struct Service {
    pub(super) url: Url,
    tls: Option<Tls>,
    protocol: &'static [u8],
    /// Made by the thread that uses it: dropped by another, which may run a runtime itself, it would panic.
    runtime: OnceCell<Runtime>,
}

pub(super) trait Bytes: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Bytes for T {}

/// A connection, as hyper wants it.
pub(super) type Stream = TokioIo<Box<dyn Bytes>>;

impl Service {
    /// A service that speaks `protocol`, which TLS names to it (ALPN). Certificates are read here to tell of mistakes.
    pub(super) fn new(url: &Url, tls: Tls, protocol: &'static [u8]) -> anyhow::Result<Self> {
        let tls = url.secure.then_some(tls);
        tls.as_ref().map(tls::client).transpose()?;
        Ok(Self { url: url.clone(), tls, protocol, runtime: OnceCell::new() })
    }

    /// Only connects.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let check = async {
            let mut stream = self.connect().await?.into_inner();
            // It judges a client's certificate when the client's part of the handshake is over (RFC 8446, section 2).
            let said = async { stream.read(&mut [0]).await };
            match timeout(OBJECTION, said).await {
                Ok(Err(error)) if tls::is_alert(&error) => {
                    Err(tls::failure(error)).with_context(|| format!("connect to {}", self.url))
                }
                Ok(_) | Err(_) => Ok(()),
            }
        };
        self.wait(check)?.map_err(Failure::later)
    }

    /// Waits for an exchange with it, but not for ever.
    fn exchange<T>(&self, exchange: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let answered = self.wait(async { timeout(EXCHANGE, exchange).await })?;
        answered
            .unwrap_or_else(|_| Err(Failure::later(anyhow!("{}: no answer within {EXCHANGE:?}", self.url))))
    }

    /// Asks over the connection that was kept, or else over another, which is kept then.
    pub(super) fn ask<C, A>(
        &self,
        connection: &mut Option<C>,
        connect: impl AsyncFnOnce() -> anyhow::Result<C>,
        ask: impl AsyncFn(&mut C) -> anyhow::Result<A>,
    ) -> Result<A, Failure> {
        let exchange = async {
            // The other side may have closed one that was kept, which is no failure.
            if let Some(mut kept) = connection.take()
                && let Ok(answer) = ask(&mut kept).await
            {
                *connection = Some(kept);
                return anyhow::Ok(answer);
            }
            let mut new = connect().await?;
            let answer = ask(&mut new).await.with_context(|| self.url.to_string())?;
            *connection = Some(new);
            Ok(answer)
        };
        self.exchange(async { exchange.await.map_err(Failure::later) })
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
            let addresses = lookup_host(self.url.end.to_string()).await?;
            let stream = dial(addresses.collect(), CONNECT).await?;
            stream.set_nodelay(true)?;
            let stream: Box<dyn Bytes> = match &self.tls {
                Some(tls) => {
                    // They may have been replaced, as those are that are valid for a day.
                    let mut config = tls::client(tls)?;
                    config.alpn_protocols = vec![self.protocol.to_vec()];
                    let tls = TlsConnector::from(Arc::new(config));
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

/// Connects to the first address that answers; the error is that of the last.
async fn dial(addresses: Vec<SocketAddr>, patience: Duration) -> anyhow::Result<TcpStream> {
    let mut last = anyhow!("its name has no address");
    for (address, share) in shares(addresses, patience) {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error.into(),
            Err(_) => last = anyhow!("{address} does not answer"),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::sink::addresses::black_hole;

    #[test]
    fn an_address_that_does_not_answer_leaves_time_for_the_next() {
        let (silent, _kept) = black_hole();
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let open = listener.local_addr().expect("an address");
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let dial = |addresses| runtime.block_on(dial(addresses, Duration::from_millis(600)));
        let stream = dial(vec![silent, open]).expect("a connection");
        assert_eq!(stream.peer_addr().expect("an address"), open);
        drop(listener);
        let error = |addresses| dial(addresses).expect_err("no connection").to_string();
        assert_eq!(error(vec![silent, open]), "Connection refused (os error 111)");
        assert_eq!(error(vec![open, silent]), format!("{silent} does not answer"));
    }
}
