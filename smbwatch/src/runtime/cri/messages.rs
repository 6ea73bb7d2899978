//! The few messages and fields of `runtime.v1` that are read.
//!
//! They are defined in github.com/kubernetes/cri-api, pkg/apis/runtime/v1/api.proto. What is not here is passed over
//! when a message is decoded, so that it costs no memory.

use std::collections::BTreeMap;

use prost::Message;

/// `CONTAINER_RUNNING`.
pub(super) const RUNNING: i32 = 1;
/// `SANDBOX_READY`.
pub(super) const READY: i32 = 0;
/// `CONTAINER_STARTED_EVENT`.
pub(super) const STARTED: i32 = 1;

/// `GetEventsRequest`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Nothing {}

/// `ListContainersRequest` and `ListPodSandboxRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct List {
    #[prost(message, tag = "1")]
    pub(super) filter: Option<Filter>,
}

/// `ContainerFilter` and `PodSandboxFilter`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Filter {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(message, tag = "2")]
    pub(super) state: Option<State>,
}

/// `ContainerStateValue` and `PodSandboxStateValue`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct State {
    #[prost(int32, tag = "1")]
    pub(super) state: i32,
}

/// `ListContainersResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Containers {
    #[prost(message, repeated, tag = "1")]
    pub(super) containers: Vec<Container>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Container {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(string, tag = "2")]
    pub(super) pod_sandbox_id: String,
    #[prost(message, tag = "3")]
    pub(super) metadata: Option<ContainerMetadata>,
    #[prost(message, tag = "4")]
    pub(super) image: Option<ImageSpec>,
    #[prost(string, tag = "5")]
    pub(super) image_ref: String,
    #[prost(int64, tag = "7")]
    pub(super) created_at: i64,
    #[prost(btree_map = "string, string", tag = "8")]
    pub(super) labels: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerMetadata {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ImageSpec {
    #[prost(string, tag = "1")]
    pub(super) image: String,
    #[prost(string, tag = "18")]
    pub(super) user_specified_image: String,
}

/// `ListPodSandboxResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PodSandboxes {
    #[prost(message, repeated, tag = "1")]
    pub(super) items: Vec<PodSandbox>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PodSandbox {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(message, tag = "2")]
    pub(super) metadata: Option<PodSandboxMetadata>,
    #[prost(int64, tag = "4")]
    pub(super) created_at: i64,
    #[prost(btree_map = "string, string", tag = "5")]
    pub(super) labels: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PodSandboxMetadata {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) uid: String,
    #[prost(string, tag = "3")]
    pub(super) namespace: String,
}

/// `ContainerStatusRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StatusRequest {
    #[prost(string, tag = "1")]
    pub(super) container_id: String,
}

/// `ContainerStatusResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StatusResponse {
    #[prost(message, tag = "1")]
    pub(super) status: Option<ContainerStatus>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerStatus {
    #[prost(message, tag = "8")]
    pub(super) image: Option<ImageSpec>,
}

/// `ContainerEventResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerEvent {
    #[prost(string, tag = "1")]
    pub(super) container_id: String,
    #[prost(int32, tag = "2")]
    pub(super) kind: i32,
}
