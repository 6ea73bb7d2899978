//! Which container runtimes are asked, and which labels are told.

use std::path::PathBuf;

use glob::Pattern;

use super::file;

/// Where Docker listens by default.
const DOCKER: [&str; 1] = ["/run/docker.sock"];
/// Where Podman's form of Docker's API listens by default.
const PODMAN: [&str; 1] = ["/run/podman/podman.sock"];
/// Where runtimes of Kubernetes listen by default.
const CRI: [&str; 3] =
    ["/run/containerd/containerd.sock", "/run/k3s/containerd/containerd.sock", "/run/crio/crio.sock"];
/// Labels that say what a container is for. Any other may hold a secret.
const LABELS: [&str; 8] = [
    "app",
    "app.kubernetes.io/*",
    "com.docker.compose.project",
    "com.docker.compose.service",
    "com.docker.swarm.service.name",
    "org.opencontainers.image.title",
    "org.opencontainers.image.version",
    "team",
];

/// The container runtimes of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtimes {
    /// Sockets of Docker's API.
    pub docker: Vec<PathBuf>,
    /// Sockets of Podman's form of it.
    pub podman: Vec<PathBuf>,
    /// Sockets of the Container Runtime Interface.
    pub cri: Vec<PathBuf>,
    /// Labels that are told.
    pub labels: Vec<Pattern>,
}

impl Default for Runtimes {
    fn default() -> Self {
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect();
        Self {
            docker: paths(&DOCKER),
            podman: paths(&PODMAN),
            cri: paths(&CRI),
            labels: LABELS.iter().filter_map(|label| Pattern::new(label).ok()).collect(),
        }
    }
}

impl Runtimes {
    pub(super) fn parse(file: file::Runtimes) -> Result<Self, String> {
        let default = Self::default();
        let pattern = |text: String| {
            Pattern::new(&text).map_err(|error| {
                format!("`runtimes.labels`: `{text}`: {}; write one like `app.kubernetes.io/*`", error.msg)
            })
        };
        let labels = file.labels.map(|labels| labels.into_iter().map(pattern).collect());
        Ok(Self {
            docker: file.docker.unwrap_or(default.docker),
            podman: file.podman.unwrap_or(default.podman),
            cri: file.cri.unwrap_or(default.cri),
            labels: labels.transpose()?.unwrap_or(default.labels),
        })
    }

    /// Whether any is to be asked.
    pub fn is_any(&self) -> bool {
        !(self.docker.is_empty() && self.podman.is_empty() && self.cri.is_empty())
    }
}
