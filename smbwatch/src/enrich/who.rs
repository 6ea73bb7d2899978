//! Who is behind a connection, and how that is known.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::container::Place;
use super::mounts::CifsMount;
use super::process::Process;
use crate::runtime::Container;

/// How a process, or what stands in for it, was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The connect hook saw it open the socket.
    Owner,
    /// Socket diagnostics list the socket, and /proc says who holds it.
    SocketDiag,
    /// /proc alone says who holds what the packets came from: a raw or packet socket, or a tap interface.
    Procfs,
    /// The kernel connected again on behalf of the process that had mounted the share.
    Inherited,
    /// Of the process no more is known than its cgroup.
    CgroupOnly,
    /// The document of another tool names it.
    Document,
    /// Not at all.
    #[default]
    None,
}

/// Who is behind a connection. What is not known is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// How it is known.
    pub method: Method,
    /// The process.
    pub process: Option<Arc<Process>>,
    /// Those that could be the process, where it is not certain which. The first few.
    pub candidates: Vec<Arc<Process>>,
    /// The user who owns the socket, where the process is not known.
    pub user: Option<SocketUser>,
    /// Path of the cgroup, below the root of the hierarchy.
    pub cgroup: Option<Arc<str>>,
    /// What that path says.
    pub place: Place,
    /// What the runtime says of the container.
    pub container: Option<Arc<Container>>,
    /// The mounts that the kernel's SMB client has over this connection.
    pub mounts: Vec<Mount>,
}

impl Who {
    /// Whether more than one process could be meant.
    pub fn is_ambiguous(&self) -> bool {
        !self.candidates.is_empty()
    }
}

/// Where an event of another tool comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The host that it is about.
    pub host: Option<String>,
    /// Who saw it.
    pub observer: Option<String>,
    /// Its identifier there.
    pub event: Option<String>,
    /// Who it was.
    pub who: Who,
}

/// The user who owns a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketUser {
    /// The number.
    pub id: u32,
    /// The name, where /etc/passwd has it.
    pub name: Option<String>,
}

/// A mount of an SMB share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// `//HOST/SHARE`, and a folder of it where one was mounted.
    pub source: String,
    /// Where it is mounted, as the processes of its mount namespace see it.
    pub path: PathBuf,
    /// The user at the server.
    pub user: Option<String>,
    /// The SMB version.
    pub version: Option<String>,
}

impl Mount {
    /// HOST of `//HOST/SHARE`.
    pub fn host(&self) -> Option<&str> {
        super::mounts::host(&self.source)
    }
}

impl From<CifsMount> for Mount {
    fn from(mount: CifsMount) -> Self {
        let CifsMount { unc: source, mount_point: path, user, version, .. } = mount;
        Self { source, path, user, version }
    }
}
