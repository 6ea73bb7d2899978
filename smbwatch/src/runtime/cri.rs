//! The Container Runtime Interface of Kubernetes, which containerd and CRI-O serve.

mod messages;

use std::error::Error as _;
use std::path::Path;

use hyper::Uri;
use hyper::client::conn::http2::handshake;
use hyper::http::uri::PathAndQuery;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use prost::Message;
use tonic::client::Grpc;
use tonic::codec::Streaming;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use super::container::{self, Container, Pod};
use super::grpc::Sender;
use super::socket::{Driver, Error, MAX_ANSWER, connect};
use messages as cri;

/// The container or the pod's sandbox of an identifier, running or not, or all that run.
pub(super) async fn list(
    socket: &Path,
    runtime: &'static str,
    id: Option<&str>,
) -> Result<Vec<Container>, Error> {
    let mut client = Client::connect(socket).await?;
    let containers = client.containers(id).await?;
    // What was asked for is a container of one sandbox, or a sandbox itself.
    let sandbox = id.map(|id| containers.first().map_or(id, |container| &container.pod_sandbox_id));
    let sandboxes = client.sandboxes(sandbox).await?;
    let mut described = Vec::new();
    for container in &containers {
        let sandbox = sandboxes.iter().find(|sandbox| sandbox.id == container.pod_sandbox_id);
        let mut each = describe(container, sandbox, runtime);
        if each.image.is_none() {
            each.image = client.image(&container.id).await?;
        }
        described.push(each);
    }
    if id.is_none() || containers.is_empty() {
        described.extend(sandboxes.iter().map(|sandbox| describe_sandbox(sandbox, runtime)));
    }
    Ok(described)
}

fn describe(
    container: &cri::Container,
    sandbox: Option<&cri::PodSandbox>,
    runtime: &'static str,
) -> Container {
    let image = container.image.clone().unwrap_or_default();
    Container {
        id: container.id.clone(),
        name: container.metadata.as_ref().and_then(|metadata| container::text(&metadata.name)),
        image_digest: container::digest(&container.image_ref).or_else(|| container::digest(&image.image)),
        image: name(&image),
        pod: sandbox.and_then(pod).or_else(|| Pod::of(&container.labels)),
        labels: container::labels(&container.labels),
        runtime,
        created: created(container.created_at),
    }
}

fn describe_sandbox(sandbox: &cri::PodSandbox, runtime: &'static str) -> Container {
    Container {
        id: sandbox.id.clone(),
        labels: container::labels(&sandbox.labels),
        runtime,
        pod: pod(sandbox),
        created: created(sandbox.created_at),
        ..Container::default()
    }
}

/// The image's name. The kubelet passes the identifier, and since Kubernetes 1.28 the name beside it.
fn name(image: &cri::ImageSpec) -> Option<String> {
    let name = container::text(&image.user_specified_image).or_else(|| container::text(&image.image))?;
    let is_id = name.strip_prefix("sha256:").unwrap_or(&name).len() == 64 && !name.contains(['/', '@']);
    (!is_id).then_some(name)
}

fn pod(sandbox: &cri::PodSandbox) -> Option<Pod> {
    let metadata = sandbox.metadata.as_ref()?;
    let text = |given: &str| container::text(given).unwrap_or_default();
    Some(Pod { name: text(&metadata.name), namespace: text(&metadata.namespace), uid: text(&metadata.uid) })
}

fn created(nanoseconds: i64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(nanoseconds.into()).ok()
}

/// The stream of events.
pub(super) struct Events {
    stream: Streaming<cri::ContainerEvent>,
    _client: Client,
}

impl Events {
    /// Subscribes, where the runtime has events: containerd since 1.7, CRI-O where `enable_pod_events` is
    /// set.
    pub(super) async fn subscribe(socket: &Path) -> Result<Self, Error> {
        let mut client = Client::connect(socket).await?;
        let stream = client.events().await?;
        Ok(Self { stream, _client: client })
    }

    /// The identifier of the next container that started; none at the end of the stream.
    pub(super) async fn next(&mut self) -> Result<Option<String>, Error> {
        loop {
            match self.stream.message().await {
                Ok(Some(event)) if event.kind == cri::STARTED => return Ok(Some(event.container_id)),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                // A runtime that is killed does not take its leave.
                Err(status) if status.source().is_some_and(|source| source.is::<hyper::Error>()) => {
                    return Ok(None);
                }
                Err(status) => return Err(Error::broken(status)),
            }
        }
    }
}

/// A connection, and what moves its bytes.
struct Client {
    grpc: Grpc<Sender>,
    _driver: Driver,
}

impl Client {
    async fn connect(socket: &Path) -> Result<Self, Error> {
        let stream = connect(socket).await?;
        let (sender, connection) = handshake(TokioExecutor::new(), stream).await.map_err(Error::broken)?;
        let grpc = Grpc::with_origin(Sender(sender), Uri::from_static("http://localhost"));
        Ok(Self { grpc: grpc.max_decoding_message_size(MAX_ANSWER), _driver: Driver::of(connection) })
    }

    async fn containers(&mut self, id: Option<&str>) -> Result<Vec<cri::Container>, Error> {
        let state = id.is_none().then_some(cri::State { state: cri::RUNNING });
        let filter = cri::Filter { id: id.unwrap_or_default().to_owned(), state };
        let method = "/runtime.v1.RuntimeService/ListContainers";
        let list = self.call::<_, cri::Containers>(method, cri::List { filter: Some(filter) }).await;
        Ok(list.map_err(Error::broken)?.containers)
    }

    async fn sandboxes(&mut self, id: Option<&str>) -> Result<Vec<cri::PodSandbox>, Error> {
        let state = id.is_none().then_some(cri::State { state: cri::READY });
        let filter = cri::Filter { id: id.unwrap_or_default().to_owned(), state };
        let method = "/runtime.v1.RuntimeService/ListPodSandbox";
        let list = self.call::<_, cri::PodSandboxes>(method, cri::List { filter: Some(filter) }).await;
        Ok(list.map_err(Error::broken)?.items)
    }

    /// The image's name, which a list has not where a container was made from the image's identifier.
    async fn image(&mut self, id: &str) -> Result<Option<String>, Error> {
        let request = cri::StatusRequest { container_id: id.to_owned() };
        match self.call::<_, cri::StatusResponse>("/runtime.v1.RuntimeService/ContainerStatus", request).await
        {
            Ok(answer) => Ok(answer.status.and_then(|status| status.image).as_ref().and_then(name)),
            // It is gone since.
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(Error::broken(status)),
        }
    }

    async fn call<Q, A>(&mut self, method: &'static str, request: Q) -> Result<A, Status>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        self.grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
        let (codec, path) = (ProstCodec::<Q, A>::default(), PathAndQuery::from_static(method));
        let answer = self.grpc.unary(tonic::Request::new(request), path, codec).await;
        answer.map(tonic::Response::into_inner)
    }

    async fn events(&mut self) -> Result<Streaming<cri::ContainerEvent>, Error> {
        self.grpc.ready().await.map_err(Error::broken)?;
        let path = PathAndQuery::from_static("/runtime.v1.RuntimeService/GetContainerEvents");
        let codec = ProstCodec::<cri::Nothing, cri::ContainerEvent>::default();
        let answer = self.grpc.server_streaming(tonic::Request::new(cri::Nothing {}), path, codec).await;
        match answer {
            Err(status) if status.code() == Code::Unimplemented => Err(Error::NoEvents),
            answer => answer.map(tonic::Response::into_inner).map_err(Error::broken),
        }
    }
}
