//! containerd in a cell, and as much of a kubelet as makes a pod of one container.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Instant;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2::handshake;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::UnixStream;

use super::agent::PATIENCE;
use super::cell::{Cell, IMAGE};

/// The pod's identifier.
pub const POD: &str = "8d2f0c1e-5a6b-4c7d-9e8f-0a1b2c3d4e5f";

/// Makes an archive as `docker save` does. Its command is that of a pod's sandbox.
const ARCHIVE: &str = "set -e
mkdir /run/archive
cp /run/lab.tar /run/archive/layer.tar
cd /run/archive
case $(uname -m) in aarch64) arch=arm64 ;; *) arch=amd64 ;; esac
digest=$(sha256sum layer.tar | cut -d ' ' -f 1)
cat > config.json <<.
{\"architecture\": \"$arch\", \"os\": \"linux\", \"config\": {\"Cmd\": [\"/bin/sleep\", \"infinity\"]},
 \"rootfs\": {\"type\": \"layers\", \"diff_ids\": [\"sha256:$digest\"]}}
.
cat > manifest.json <<.
[{\"Config\": \"config.json\", \"RepoTags\": [\"localhost/lab:1\"], \"Layers\": [\"layer.tar\"]}]
.
tar -c -f /run/image.tar *";

/// containerd gives each sandbox shares of the CPU, which a hybrid machine's cgroup v2 hierarchy does not
/// have.
const RUNC: &str = "cat > /run/runc-without-shares <<'.'
#!/bin/sh
for argument; do
    test \"$before\" = --bundle && sed -i 's/\"cpu\":{\"shares\":[0-9]*}/\"cpu\":{}/' \"$argument/config.json\"
    before=$argument
done
exec runc \"$@\"
.
chmod +x /run/runc-without-shares";

/// A runtime with one image and no pods.
pub struct Containerd {
    pub cell: Cell,
    pub socket: PathBuf,
    service: Child,
}

impl Containerd {
    /// Starts containerd; none where it is not installed, and `test` is noted as skipped.
    pub fn serve(test: &str) -> Option<Self> {
        let cell = Cell::make(test, &["containerd", "ctr", "runc"])?;
        let socket = cell.socket("containerd.sock");
        let address = socket.display().to_string();
        cell.run(ARCHIVE);
        cell.run(RUNC);
        cell.run(&format!(
            "cat > /run/config.toml <<'.'
version = 2
root = \"/run/containerd/root\"
state = \"/run/containerd/state\"
[grpc]
address = \"{address}\"
[plugins.\"io.containerd.grpc.v1.cri\"]
sandbox_image = \"{IMAGE}\"
disable_apparmor = true
restrict_oom_score_adj = true
[plugins.\"io.containerd.grpc.v1.cri\".containerd]
snapshotter = \"native\"
[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]
runtime_type = \"io.containerd.runc.v2\"
[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]
BinaryName = \"/run/runc-without-shares\"
."
        ));
        let mut containerd = cell.at("containerd");
        containerd.args(["--config", "/run/config.toml"]).stdout(Stdio::null()).stderr(Stdio::null());
        let service = containerd.spawn().expect("start containerd");
        let containerd = Self { cell, service, socket };
        let deadline = Instant::now() + PATIENCE;
        let answers = || containerd.cell.at("ctr").args(["-a", &address, "version"]).output();
        while !answers().expect("start ctr").status.success() {
            assert!(Instant::now() < deadline, "containerd does not answer");
        }
        let import = "-n k8s.io images import --snapshotter native /run/image.tar";
        containerd.cell.run(&format!("ctr -a {address} {import}"));
        Some(containerd)
    }

    /// Makes a pod and starts its only container; returns the identifiers of both.
    pub async fn start(&self, pod: &str, container: &str) -> (String, String) {
        let metadata =
            SandboxMetadata { name: pod.to_owned(), uid: POD.to_owned(), namespace: "prod".to_owned() };
        let linux = LinuxSandbox {
            cgroup_parent: format!("/kubepods/burstable/pod{POD}"),
            security: Some(Security { namespaces: Some(Namespaces { network: NODE }) }),
        };
        let config = Sandbox { metadata: Some(metadata), linux: Some(linux) };
        let made: Made = self.call("RunPodSandbox", RunSandbox { config: Some(config.clone()) }).await;
        let sandbox = made.id;
        // The kubelet asks for an image by its identifier.
        let image = self.cell.run("sha256sum /run/archive/config.json | cut -d ' ' -f 1");
        let request = Create {
            pod_sandbox_id: sandbox.clone(),
            config: Some(Config {
                metadata: Some(Name { name: container.to_owned() }),
                image: Some(Name { name: image }),
                command: vec!["/bin/sleep".to_owned(), "infinity".to_owned()],
                labels: BTreeMap::from([("team".to_owned(), "blue".to_owned())]),
            }),
            sandbox_config: Some(config),
        };
        let made: Made = self.call("CreateContainer", request).await;
        let _: Made = self.call("StartContainer", Made { id: made.id.clone() }).await;
        (sandbox, made.id)
    }

    async fn call<A: Message + Default>(&self, method: &str, request: impl Message) -> A {
        let answer = call(&self.socket, method, &request.encode_to_vec()).await;
        A::decode(answer).unwrap_or_else(|error| panic!("{method}: {error}"))
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}

/// One gRPC call: a byte that says "not compressed", the length, and the message.
async fn call(socket: &Path, method: &str, message: &[u8]) -> Bytes {
    let stream = UnixStream::connect(socket).await.expect("connect to containerd");
    let (mut sender, connection) =
        handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("begin HTTP/2");
    let driver = tokio::spawn(connection);
    let length = u32::try_from(message.len()).expect("a short message").to_be_bytes();
    let body = [&[0][..], &length, message].concat();
    let request = hyper::Request::post(format!("http://localhost/runtime.v1.RuntimeService/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from(body)))
        .expect("a request");
    let response = sender.send_request(request).await.expect("send a request");
    let refused = response.headers().get("grpc-message").cloned();
    let body = response.into_body().collect().await.expect("an answer");
    let refused = refused.or_else(|| body.trailers()?.get("grpc-message").cloned());
    assert!(refused.as_ref().is_none_or(|message| message.is_empty()), "{method}: {refused:?}");
    driver.abort();
    body.to_bytes().split_off(5)
}

/// `NODE` of `NamespaceMode`: the network of the cell.
const NODE: i32 = 2;

#[derive(Clone, PartialEq, Message)]
struct SandboxMetadata {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    uid: String,
    #[prost(string, tag = "3")]
    namespace: String,
}

#[derive(Clone, PartialEq, Message)]
struct Namespaces {
    #[prost(int32, tag = "1")]
    network: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Security {
    #[prost(message, tag = "1")]
    namespaces: Option<Namespaces>,
}

#[derive(Clone, PartialEq, Message)]
struct LinuxSandbox {
    #[prost(string, tag = "1")]
    cgroup_parent: String,
    #[prost(message, tag = "2")]
    security: Option<Security>,
}

#[derive(Clone, PartialEq, Message)]
struct Sandbox {
    #[prost(message, tag = "1")]
    metadata: Option<SandboxMetadata>,
    #[prost(message, tag = "8")]
    linux: Option<LinuxSandbox>,
}

#[derive(Clone, PartialEq, Message)]
struct RunSandbox {
    #[prost(message, tag = "1")]
    config: Option<Sandbox>,
}

/// `ContainerMetadata` and `ImageSpec`.
#[derive(Clone, PartialEq, Message)]
struct Name {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Config {
    #[prost(message, tag = "1")]
    metadata: Option<Name>,
    #[prost(message, tag = "2")]
    image: Option<Name>,
    #[prost(string, repeated, tag = "3")]
    command: Vec<String>,
    #[prost(btree_map = "string, string", tag = "9")]
    labels: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct Create {
    #[prost(string, tag = "1")]
    pod_sandbox_id: String,
    #[prost(message, tag = "2")]
    config: Option<Config>,
    #[prost(message, tag = "3")]
    sandbox_config: Option<Sandbox>,
}

/// The answers to `RunPodSandbox` and `CreateContainer`, and `StartContainer` and its empty answer.
#[derive(Clone, PartialEq, Message)]
struct Made {
    #[prost(string, tag = "1")]
    id: String,
}
