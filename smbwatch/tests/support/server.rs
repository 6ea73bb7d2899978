//! A web server that a test can let refuse, break and go away.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

use super::lab::Lab;
use super::listener::{Identity, Listener};

/// What was asked.
pub struct Asked {
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// What is done about it.
pub enum Reply {
    Answer(u16, String),
    /// The connection is closed without an answer.
    Cut,
    /// There is never an answer.
    Hang,
}

type Behaviour = Arc<Mutex<dyn FnMut(Asked) -> Reply + Send>>;

/// A web server, gone when dropped.
pub struct Server(#[expect(dead_code, reason = "it is dropped")] Listener);

impl Server {
    /// Listens on the loopback interface of the lab's host.
    pub fn start(lab: &Lab, port: u16, behaviour: impl FnMut(Asked) -> Reply + Send + 'static) -> Self {
        Self::start_as(lab, port, None, behaviour)
    }

    /// The same by TLS.
    pub fn start_as(
        lab: &Lab,
        port: u16,
        identity: Option<&Identity>,
        behaviour: impl FnMut(Asked) -> Reply + Send + 'static,
    ) -> Self {
        let behaviour: Behaviour = Arc::new(Mutex::new(behaviour));
        Self(Listener::start(lab, port, identity, move |stream| {
            let behaviour = Arc::clone(&behaviour);
            let service = service_fn(move |request| answer(request, Arc::clone(&behaviour)));
            tokio::spawn(http1::Builder::new().serve_connection(stream, service));
        }))
    }
}

async fn answer(request: Request<Incoming>, behaviour: Behaviour) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes().to_vec();
    let path = head.uri.path_and_query().expect("a path").to_string();
    let asked = Asked { method: head.method.to_string(), path, headers: head.headers, body };
    let reply = (behaviour.lock().expect("the behaviour"))(asked);
    match reply {
        Reply::Answer(status, body) => {
            let response = Response::builder().status(status).body(Full::from(body));
            Ok(response.expect("a response"))
        }
        Reply::Cut => Err(io::Error::other("cut")),
        Reply::Hang => {
            let never: Infallible = std::future::pending().await;
            match never {}
        }
    }
}
