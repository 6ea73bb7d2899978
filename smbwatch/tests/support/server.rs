//! A web server that a test can let refuse, break and go away.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use super::lab::{End, Lab};

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

/// Gone, with every connection, when dropped.
pub struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on the loopback interface of the lab's host.
    pub fn start(lab: &Lab, port: u16, behaviour: impl FnMut(Asked) -> Reply + Send + 'static) -> Self {
        let listener = lab.inside(End::Host, || {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.bind(&SocketAddr::from(([127, 0, 0, 1], port)).into())?;
            socket.listen(16)?;
            socket.set_nonblocking(true)?;
            io::Result::Ok(std::net::TcpListener::from(socket))
        });
        let listener = listener.expect("listen");
        let behaviour: Behaviour = Arc::new(Mutex::new(behaviour));
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                tokio::select! {
                    () = serve(listener, behaviour) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A test's assertion about a request fails there.
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server has panicked");
        }
    }
}

async fn serve(listener: std::net::TcpListener, behaviour: Behaviour) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    while let Ok((stream, _)) = listener.accept().await {
        let behaviour = Arc::clone(&behaviour);
        let service = service_fn(move |request| answer(request, Arc::clone(&behaviour)));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
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
