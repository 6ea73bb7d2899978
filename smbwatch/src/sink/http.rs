//! A client of one web service: a connection that is kept, and one request at a time.

use std::time::Duration;

use anyhow::anyhow;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, StatusCode};

use super::Failure;
use super::service::Service;
use crate::config::sinks::{Tls, Url};

/// Bytes of one answer that are read.
const MAX_ANSWER: usize = 4 << 20;

/// Headers of a request besides those that every request has.
pub(super) type Headers = Vec<(HeaderName, HeaderValue)>;

/// A client of one web service.
pub(super) struct Client {
    service: Service,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// What was answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) after: Option<Duration>,
    pub(super) body: Bytes,
}

impl Client {
    pub(super) fn new(url: &Url, tls: Tls) -> anyhow::Result<Self> {
        Ok(Self { service: Service::new(url, tls, b"http/1.1")?, connection: None })
    }

    /// Only connects.
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        self.service.check()
    }

    /// Sends a request, and waits for the whole answer.
    pub(super) fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: Headers,
        body: Vec<u8>,
    ) -> Result<Answer, Failure> {
        let Self { service, connection } = self;
        let url = &service.url;
        let body = Bytes::from(body);
        let request = || {
            let mut request = Request::builder()
                .method(method.clone())
                .uri(path)
                .header(HOST, url.end.to_string())
                .header(USER_AGENT, concat!("smbwatch/", env!("CARGO_PKG_VERSION")))
                .body(Full::new(body.clone()))?;
            request.headers_mut().extend(headers.iter().cloned());
            anyhow::Ok(request)
        };
        service.ask(connection, async || connect(service).await, async |kept| answer(kept, request()?).await)
    }
}

async fn connect(service: &Service) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = handshake(service.connect().await?).await?;
    // It ends with the sender, or the runtime. Whoever waits for an answer is told of its errors as well.
    tokio::spawn(connection);
    Ok(sender)
}

async fn answer(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<Answer> {
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let (status, after) = (response.status(), retry_after(response.headers()));
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
    let body = body.map_err(|error| anyhow!("read the answer: {error}"))?;
    Ok(Answer { status, after, body: body.to_bytes() })
}

/// In seconds; dates are not read.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

impl Answer {
    /// What an answer means for the whole of a request, if that was not taken.
    pub(super) fn failure(&self) -> Option<Failure> {
        let Self { status, after, .. } = self;
        let said = self.said();
        let later = |advice: &str| Some(Failure::Later(anyhow!("answered {status}{said}{advice}"), *after));
        match status.as_u16() {
            200..=299 => None,
            401 | 403 => later("; give it a key that may write there"),
            300..=399 | 402 | 404 | 405 | 407 | 410 | 421 | 426 => later("; correct its `url`"),
            408 | 425 | 429 | 500..=599 => later(""),
            _ => Some(Failure::Refused(format!("answered {status}{said}"))),
        }
    }

    /// The beginning of a text that was answered, for a message.
    fn said(&self) -> String {
        const MOST: usize = 200;
        let text = String::from_utf8_lossy(self.body.get(..MOST).unwrap_or(&self.body));
        let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
        let text = words.join(" ");
        if text.trim().is_empty() { String::new() } else { format!(": {}", text.trim()) }
    }
}
