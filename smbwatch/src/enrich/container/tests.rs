//! Paths of documented layouts, and of none.

use super::*;

const OUTER: &str = "b0a1c2d3e4f5061728394a5b6c7d8e9fb0a1c2d3e4f5061728394a5b6c7d8e9f";
const ID: &str = "3f2a9c0d5b7e81f64a2c9d0e8b7f6a5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a";
const UID: &str = "8d2f0c1e-5a6b-4c7d-9e8f-0a1b2c3d4e5f";
const SLICE: &str = "8d2f0c1e_5a6b_4c7d_9e8f_0a1b2c3d4e5f";
const STATIC: &str = "5dbb9f8d4a2c7e6f1b3a0c9d8e7f6a5b";
const TASK: &str = "0123456789abcdef0123456789abcdef";

/// Path, container, runtime, pod and unit, where empty is none. `ID` and the like stand for identifiers.
const TABLE: [[&str; 5]; 62] = [
    // Nothing but the host.
    ["/", "", "", "", ""],
    ["", "", "", "", ""],
    ["/init.scope", "", "", "", "init.scope"],
    ["/system.slice/ssh.service", "", "", "", "ssh.service"],
    ["/system.slice/docker.service", "", "", "", "docker.service"],
    ["/system.slice/system-getty.slice/getty@tty1.service", "", "", "", "getty@tty1.service"],
    [r"/system.slice/dev\x2ddisk.service", "", "", "", "dev-disk.service"],
    ["/user.slice/user-1000.slice/session-3.scope", "", "", "", "session-3.scope"],
    ["/user.slice/user-1000.slice/user@1000.service/init.scope", "", "", "", "init.scope"],
    ["/user.slice/user-1000.slice/user@1000.service/app.slice/rclone.service", "", "", "", "rclone.service"],
    ["/user.slice/user-1000.slice/user@1000.service/app.slice", "", "", "", "user@1000.service"],
    ["/system.slice/postgresql.service/worker", "", "", "", "postgresql.service"],
    // Docker, by cgroupfs, systemd and with a parent of its own.
    ["/docker/ID", "ID", "docker", "", ""],
    ["/system.slice/docker-ID.scope", "ID", "docker", "", ""],
    ["/builds/ID", "ID", "unknown", "", ""],
    ["/builds.slice/docker-ID.scope", "ID", "docker", "", ""],
    [
        "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope",
        "ID",
        "docker",
        "",
        "user@1000.service",
    ],
    ["/system.slice/docker-ID.scope/system.slice/nginx.service", "ID", "docker", "", "nginx.service"],
    ["/system.slice:docker:ID", "ID", "docker", "", ""],
    ["/system.slice/docker.service/system.slice:docker:ID", "ID", "docker", "", "docker.service"],
    // Containers in containers.
    ["/docker/OUTER/docker/ID", "ID", "docker", "", ""],
    ["/docker/OUTER/init.scope", "OUTER", "docker", "", "init.scope"],
    ["/system.slice/docker-OUTER.scope/docker/ID", "ID", "docker", "", ""],
    ["/kubepods/burstable/podUID/OUTER/docker/ID", "ID", "docker", "UID", ""],
    ["/lxc.payload.outer/lxc.payload.inner", "inner", "lxc", "", ""],
    // Podman, for root and users, with pods and without.
    ["/libpod_parent/libpod-ID", "ID", "podman", "", ""],
    ["/libpod_parent/libpod-ID/container", "ID", "podman", "", ""],
    ["/libpod_parent/OUTER/libpod-ID", "ID", "podman", "", ""],
    ["/libpod_parent/OUTER", "", "", "", ""],
    ["/libpod_parent/conmon", "", "", "", ""],
    ["/machine.slice/libpod-ID.scope", "ID", "podman", "", ""],
    ["/machine.slice/machine-libpod_pod_OUTER.slice/libpod-ID.scope/container", "ID", "podman", "", ""],
    ["/machine.slice/libpod-conmon-ID.scope", "", "", "", "libpod-conmon-ID.scope"],
    [
        "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container",
        "ID",
        "podman",
        "",
        "user@1000.service",
    ],
    ["/system.slice/web.service/libpod-payload-ID", "ID", "podman", "", "web.service"],
    // Kubernetes, by cgroupfs and systemd, in its three classes of service.
    ["/kubepods/burstable/podUID/ID", "ID", "cri", "UID", ""],
    ["/kubepods/besteffort/podUID/ID", "ID", "cri", "UID", ""],
    ["/kubepods/podUID/ID", "ID", "cri", "UID", ""],
    ["/kubepods/burstable/podSTATIC/ID", "ID", "cri", "STATIC", ""],
    ["/kubepods/burstable/podUID", "", "", "UID", ""],
    ["/kubepods/burstable/podUID/crio-ID", "ID", "cri-o", "UID", ""],
    ["/kubepods/burstable/podUID/crio-conmon-ID", "", "", "UID", ""],
    [
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podSLICE.slice/cri-containerd-ID.scope",
        "ID",
        "containerd",
        "UID",
        "",
    ],
    [
        "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podSLICE.slice/crio-ID.scope/container",
        "ID",
        "cri-o",
        "UID",
        "",
    ],
    ["/kubepods.slice/kubepods-podSLICE.slice/docker-ID.scope", "ID", "docker", "UID", ""],
    ["/kubepods.slice/kubepods-podSTATIC.slice/crio-ID.scope", "ID", "cri-o", "STATIC", ""],
    ["/kubepods.slice/kubepods-podSLICE.slice/crio-conmon-ID.scope", "", "", "UID", "crio-conmon-ID.scope"],
    [
        "/system.slice/containerd.service/kubepods-burstable-podSLICE.slice:cri-containerd:ID",
        "ID",
        "containerd",
        "UID",
        "containerd.service",
    ],
    [
        "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podSLICE.slice/cri-containerd-ID.scope",
        "ID",
        "containerd",
        "UID",
        "",
    ],
    ["/docker/OUTER/kubelet/kubepods/besteffort/podUID/ID", "ID", "cri", "UID", ""],
    ["/system.slice/k3s.service/kubepods/burstable/podUID/ID", "ID", "cri", "UID", "k3s.service"],
    // containerd's own tools.
    ["/default/ID", "ID", "containerd", "", ""],
    ["/default/web", "", "", "", ""],
    ["/system.slice/nerdctl-ID.scope", "ID", "containerd", "", ""],
    // Amazon ECS, on EC2 and Fargate.
    ["/ecs/TASK/ID", "ID", "docker", "", ""],
    ["/ecs/TASK/TASK-2532581155", "TASK-2532581155", "fargate", "", ""],
    ["/ecstasks.slice/ecstasks-TASK.slice/docker-ID.scope", "ID", "docker", "", ""],
    // LXC, LXD and Incus, also with systemd inside.
    ["/lxc/web/ns/system.slice/nginx.service", "web", "lxc", "", "nginx.service"],
    ["/lxc.payload.team_web/init.scope", "team_web", "lxc", "", "init.scope"],
    ["/lxc.monitor.web", "", "", "", ""],
    // systemd-nspawn, and virtual machines.
    ["/machine.slice/systemd-nspawn@web.service/payload", "web", "systemd-nspawn", "", ""],
    [
        r"/machine.slice/machine-qemu\x2d1\x2dweb.scope/libvirt/emulator",
        "",
        "",
        "",
        "machine-qemu-1-web.scope",
    ],
];

fn whole(text: &str) -> String {
    let stands_for =
        [("STATIC", STATIC), ("SLICE", SLICE), ("OUTER", OUTER), ("TASK", TASK), ("UID", UID), ("ID", ID)];
    stands_for.into_iter().fold(text.to_owned(), |text, (short, long)| text.replace(short, long))
}

#[test]
fn paths_of_documented_layouts_are_read() {
    for row in TABLE {
        let [path, id, runtime, pod, unit] = row;
        let some = |text: &str| (!text.is_empty()).then(|| whole(text));
        let expected = Place {
            container: some(id).map(|id| ContainerId { id, runtime }),
            pod_uid: some(pod),
            unit: some(unit),
        };
        assert_eq!(Place::of(&whole(path)), expected, "{path}");
    }
}

#[test]
fn machines_have_their_names_without_escapes() {
    let place = Place::of(r"/machine.slice/machine-my\x2dbox.scope");
    assert_eq!(place.container.map(|container| container.id).as_deref(), Some("my-box"));
    for (escaped, name) in
        [(r"a\x2", r"a\x2"), (r"\x", r"\x"), (r"\xzz\x2d", r"\xzz-"), (r"\x0a", "\u{fffd}")]
    {
        assert_eq!(unescape(escaped), name);
    }
}

#[test]
fn what_only_looks_like_an_identifier_is_none() {
    for id in
        ["", "web", "3f2a9c0d5b7", "3F2A9C0D5B7E", "3f2a9c0d5b7g", &format!("{ID}0"), &ID.to_uppercase()]
    {
        for path in
            ["/docker/ID", "/system.slice/docker-ID.scope", "/x/libpod-ID", "/a:docker:ID", "/default/ID"]
        {
            assert_eq!(Place::of(&path.replace("ID", id)).container, None, "{path} with {id}");
        }
    }
    assert_eq!(Place::of(&format!("/podUID/{ID}").replace("UID", UID)).pod_uid, None);
    assert_eq!(Place::of("/kubepods/pod8d2f0c1e").pod_uid, None);
}

/// Rows with any bytes changed, cut or put together.
#[test]
fn no_bytes_make_it_panic() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..100_000 {
        let mut bytes = Vec::new();
        for _ in 0..random.usize(1..4) {
            let path = whole(TABLE[random.usize(..TABLE.len())][0]);
            bytes.extend(path.bytes().take(random.usize(..=path.len())));
        }
        for _ in 0..random.usize(..4) {
            let at = random.usize(..=bytes.len());
            bytes.insert(at, random.u8(..));
        }
        let place = Place::of(&crate::decode::printable(&bytes));
        let ids = place.container.iter().map(|container| container.id.as_str());
        assert!(ids.chain(place.unit.as_deref()).all(|text| !text.is_empty()), "{bytes:?}");
    }
}
