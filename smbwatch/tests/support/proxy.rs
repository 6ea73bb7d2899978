//! A server of HTTP/2 in the place of a receiver by gRPC, that a test can let answer anything, and hang up.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http_body_util::combinators::WithTrailers;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioExecutor;
use tokio::sync::Notify;

use super::lab::Lab;
use super::listener::Listener;

/// An answer, with what follows it.
pub type Answer = Response<WithTrailers<Full<Bytes>, Ready<Option<Result<HeaderMap, Infallible>>>>>;

type Behaviour = Arc<Mutex<dyn FnMut(Parts, Bytes) -> Answer + Send>>;

/// Gone when dropped.
pub struct Proxy {
    hang_up: Arc<Notify>,
    count: Arc<Count>,
    _listener: Listener,
}

/// Connections.
#[derive(Default)]
struct Count {
    made: AtomicUsize,
    ended: AtomicUsize,
}

impl Proxy {
    /// Listens on the loopback interface of the lab's host.
    pub fn start(
        lab: &Lab,
        port: u16,
        behaviour: impl FnMut(Parts, Bytes) -> Answer + Send + 'static,
    ) -> Self {
        let behaviour: Behaviour = Arc::new(Mutex::new(behaviour));
        let (hang_up, count) = (Arc::new(Notify::new()), Arc::new(Count::default()));
        let (closed, counted) = (Arc::clone(&hang_up), Arc::clone(&count));
        let listener = Listener::start(lab, port, None, move |stream| {
            let (behaviour, closed, counted) =
                (Arc::clone(&behaviour), Arc::clone(&closed), Arc::clone(&counted));
            counted.made.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(request, Arc::clone(&behaviour)));
                let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service);
                tokio::select! {
                    _ = connection => {}
                    () = closed.notified() => {}
                }
                counted.ended.fetch_add(1, Ordering::Relaxed);
            });
        });
        Self { hang_up, count, _listener: listener }
    }

    /// Closes every connection without a word, as a balancer does with one that is idle.
    pub fn hang_up(&self) {
        self.hang_up.notify_waiters();
        while self.count.ended.load(Ordering::Relaxed) < self.connections() {
            std::thread::yield_now();
        }
    }

    /// How many there have been.
    pub fn connections(&self) -> usize {
        self.count.made.load(Ordering::Relaxed)
    }
}

async fn answer(request: Request<Incoming>, behaviour: Behaviour) -> io::Result<Answer> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    Ok((behaviour.lock().expect("the behaviour"))(head, body))
}

/// A page for people.
pub fn page(status: u16) -> Answer {
    reply(status, "text/html", b"<html><body>Something is wrong, but not here.</body></html>", None)
}

/// What gRPC answers, with a `grpc-status` or without.
pub fn grpc(body: &'static [u8], code: Option<&'static str>) -> Answer {
    reply(200, "application/grpc", body, code)
}

/// The request is taken.
pub fn taken() -> Answer {
    grpc(&[0; 5], Some("0"))
}

fn reply(status: u16, content: &str, body: &'static [u8], code: Option<&'static str>) -> Answer {
    let trailers = code.map(|code| {
        let status = (HeaderName::from_static("grpc-status"), HeaderValue::from_static(code));
        Ok(HeaderMap::from_iter([status]))
    });
    let body = Full::new(Bytes::from_static(body)).with_trailers(ready(trailers));
    Response::builder().status(status).header(CONTENT_TYPE, content).body(body).expect("an answer")
}
