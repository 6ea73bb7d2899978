//! Containers of real engines: from a cgroup to a name, an image and a pod.

mod support;

use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::Instant;

use smbwatch::enrich::cgroup::Cgroups;
use smbwatch::enrich::container::{ContainerId, Place};
use smbwatch::runtime::{Container, Endpoint, Runtimes};
use support::agent::PATIENCE;
use support::cell::Cell;
use support::containerd::{Containerd, POD};
use support::podman::Podman;

#[tokio::test]
async fn a_cgroup_of_podman_leads_to_names_and_labels() {
    let Some(mut podman) = Podman::make("a_cgroup_of_podman_leads_to_names_and_labels") else { return };
    let socket = podman.serve();
    let runtimes = Runtimes::start(vec![Endpoint::podman(&socket)]);
    let id = podman.start("--name web --label team=blue");

    let place = place(&podman.cell, &format!("libpod_parent/libpod-{id}"));
    assert_eq!(place.container, Some(ContainerId { id: id.clone(), runtime: "podman" }));
    assert_eq!(runtimes.known(&id), None, "podman is only asked");
    let web = runtimes.find(&id).await.expect("a container");
    assert_eq!(runtimes.known(&id).as_ref(), Some(&web));
    assert_eq!((web.id.as_str(), web.runtime), (id.as_str(), "podman"));
    assert_eq!(web.name.as_deref(), Some("web"));
    assert_eq!(web.image.as_deref(), Some("localhost/lab:1"));
    let digest = podman.run("image inspect --format {{.Id}} localhost/lab:1");
    assert_eq!(web.image_digest, Some(format!("sha256:{digest}")));
    assert_eq!(web.labels.get("team").map(String::as_str), Some("blue"));
    assert!(web.created.is_some());

    // Containers of one pod are told apart, and an abbreviated identifier will do.
    podman.run("pod create --infra=false --name shop");
    for name in ["front", "back"] {
        let id = podman.run(&format!(
            "run --detach --network none --pod shop --name {name} localhost/lab:1 sleep infinity"
        ));
        let found = runtimes.find(&id[..12]).await.expect("a container of a pod");
        assert_eq!((found.id.as_str(), found.name.as_deref()), (id.as_str(), Some(name)));
    }
    assert_eq!(runtimes.find(&"0".repeat(64)).await, None);
}

#[tokio::test]
async fn containers_are_known_without_asking_also_after_a_restart() {
    let Some(mut podman) = Podman::make("containers_are_known_without_asking_also_after_a_restart") else {
        return;
    };
    let before = podman.start("--name before");
    let socket = podman.serve();
    let runtimes = Runtimes::start(vec![Endpoint::docker(&socket)]);
    assert_eq!(until_known(&runtimes, &before).await.name.as_deref(), Some("before"));
    let after = podman.start("--name after");
    assert_eq!(until_known(&runtimes, &after).await.name.as_deref(), Some("after"));

    podman.kill();
    assert_eq!(runtimes.find(&"0".repeat(64)).await, None);
    let away = podman.start("--name away");
    podman.serve();
    assert_eq!(until_known(&runtimes, &away).await.name.as_deref(), Some("away"));
    let again = podman.start("--name again");
    assert_eq!(until_known(&runtimes, &again).await.name.as_deref(), Some("again"));
}

#[tokio::test]
async fn a_pod_of_containerd_is_named() {
    let Some(containerd) = Containerd::serve("a_pod_of_containerd_is_named") else { return };
    let runtimes = Runtimes::start(vec![Endpoint::cri(&containerd.socket, "containerd")]);
    let (sandbox, id) = containerd.start("files-0", "sync").await;

    let place = place(&containerd.cell, &format!("kubepods/burstable/pod{POD}/{id}"));
    assert_eq!(place.container, Some(ContainerId { id: id.clone(), runtime: "cri" }));
    assert_eq!(place.pod_uid.as_deref(), Some(POD));
    let sync = runtimes.find(&id).await.expect("a container");
    assert_eq!((sync.id.as_str(), sync.runtime), (id.as_str(), "containerd"));
    assert_eq!(sync.name.as_deref(), Some("sync"));
    assert_eq!(sync.image.as_deref(), Some("localhost/lab:1"));
    let digest = containerd.cell.run("sha256sum /run/archive/config.json | cut -d ' ' -f 1");
    assert_eq!(sync.image_digest, Some(format!("sha256:{digest}")));
    assert!(sync.created.is_some());
    assert_eq!(sync.labels.get("team").map(String::as_str), Some("blue"));
    let pod = sync.pod.as_ref().expect("a pod");
    assert_eq!([&pod.name, &pod.namespace, &pod.uid], ["files-0", "prod", POD]);
    let pause = runtimes.find(&sandbox).await.expect("the pod's sandbox");
    assert_eq!((pause.name.as_ref(), pause.pod.as_ref()), (None, Some(pod)));

    // A new agent learns all that run.
    let runtimes = Runtimes::start(vec![Endpoint::cri(&containerd.socket, "containerd")]);
    assert_eq!(until_known(&runtimes, &id).await, sync);
    assert_eq!(until_known(&runtimes, &sandbox).await, pause);
}

#[test]
fn a_cgroup_that_is_gone_has_no_path_unless_it_was_known() {
    let Some(cell) = Cell::make("a_cgroup_that_is_gone_has_no_path_unless_it_was_known", &[]) else { return };
    cell.run("mkdir /sys/fs/cgroup/job");
    let id = std::fs::metadata(cell.cgroup("job")).expect("a cgroup").ino();
    let mut cgroups = Cgroups::open();
    let path = cgroups.path(id).expect("a path");
    assert!(path.ends_with("/job"), "{path}");
    cell.run("rmdir /sys/fs/cgroup/job");
    assert_eq!(cgroups.path(id), Some(path));
    assert_eq!(Cgroups::open().path(id), None);
    assert_eq!((cgroups.path(0), cgroups.path(u64::MAX)), (None, None));
    assert_eq!(cgroups.path(1).as_deref(), Some("/"));
}

/// What the path says that the kernel tells of a cgroup by its identifier.
fn place(cell: &Cell, cgroup: &str) -> Place {
    let id = std::fs::metadata(cell.cgroup(cgroup)).expect("the container's cgroup").ino();
    let path = Cgroups::open().path(id).expect("a path");
    assert!(path.starts_with("/smbw-t-") && path.ends_with(cgroup), "{path}");
    Place::of(&path)
}

async fn until_known(runtimes: &Runtimes, id: &str) -> Arc<Container> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(container) = runtimes.known(id) {
            return container;
        }
        assert!(Instant::now() < deadline, "{id} is not known");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
