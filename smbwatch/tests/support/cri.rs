//! A runtime of Kubernetes that runs nothing at first, and then tells of one container.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::UnixListener;
use tokio::task::JoinSet;

/// Runs as long as it is kept.
pub struct Server {
    path: PathBuf,
    _task: JoinSet<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Serves at `path`. The container `id` is found by its identifier, and by the event.
pub fn serve(path: &Path, id: &'static str) -> Server {
    let listener = UnixListener::bind(path).expect("listen");
    let mut task = JoinSet::new();
    task.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let service = service_fn(move |request| answer(request, id));
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        }
    });
    Server { path: path.to_owned(), _task: task }
}

async fn answer(
    request: Request<Incoming>,
    id: &str,
) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible> + use<>>, Infallible> {
    let method = request.uri().path().to_owned();
    let asked = request.into_body().collect().await.expect("a request").to_bytes();
    let for_one = asked.windows(id.len()).any(|window| window == id.as_bytes());
    let message = match method.as_str() {
        "/runtime.v1.RuntimeService/GetContainerEvents" => {
            Event { container_id: id.to_owned(), kind: STARTED }.encode_to_vec()
        }
        "/runtime.v1.RuntimeService/ListContainers" if for_one => {
            let (image, metadata) =
                (Some(Name { name: "lab:1".to_owned() }), Some(Name { name: "web".to_owned() }));
            Containers { containers: vec![Container { id: id.to_owned(), metadata, image }] }.encode_to_vec()
        }
        _ => Vec::new(),
    };
    let length = u32::try_from(message.len()).expect("a short message").to_be_bytes();
    let body = [&[0][..], &length, &message].concat();
    let trailers =
        HeaderMap::from_iter([("grpc-status".parse().expect("a name"), HeaderValue::from_static("0"))]);
    let body = Full::new(Bytes::from(body)).with_trailers(std::future::ready(Some(Ok(trailers))));
    Ok(Response::builder().header("content-type", "application/grpc").body(body).expect("a response"))
}

/// `CONTAINER_STARTED_EVENT`.
const STARTED: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(string, tag = "1")]
    container_id: String,
    #[prost(int32, tag = "2")]
    kind: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Containers {
    #[prost(message, repeated, tag = "1")]
    containers: Vec<Container>,
}

#[derive(Clone, PartialEq, Message)]
struct Container {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(message, tag = "3")]
    metadata: Option<Name>,
    #[prost(message, tag = "4")]
    image: Option<Name>,
}

/// `ContainerMetadata` and `ImageSpec`.
#[derive(Clone, PartialEq, Message)]
struct Name {
    #[prost(string, tag = "1")]
    name: String,
}
