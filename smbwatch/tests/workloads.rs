//! Real containers of Podman on a lab's host: who did it, behind every kind of network.

mod support;

use std::fs;

use serde_json::{Value, json};
use support::agent::{self, Agent, number, text};
use support::cell::IMAGE;
use support::lab::{End, HOST, Lab, SERVER};
use support::peer::listen;
use support::podman::Podman;

/// The address of the host's uplink, where it is a public one.
const PUBLIC: &str = "8.20.0.5";

/// A configuration that asks no runtime.
const NO_RUNTIME: &str = "[runtimes]\ndocker = []\npodman = []\ncri = []\n";

/// A container engine on a lab's host.
struct Node {
    lab: Lab,
    podman: Podman,
}

/// What leads out of the host.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Uplink {
    Private,
    Public,
}

impl Node {
    fn make(test: &str, uplink: Uplink) -> Option<Self> {
        let lab = Lab::make(test)?;
        let podman = Podman::make_on(&lab, test)?;
        lab.inside(End::Host, || fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("forward"));
        if uplink == Uplink::Public {
            lab.run(End::Net, "ip address add 8.20.0.1/24 dev eth0");
            lab.run(End::Host, &format!("ip address add {PUBLIC}/24 dev eth0"));
            lab.run(End::Host, "ip route replace default via 8.20.0.1");
            lab.run(End::Host, &format!("ip address delete {HOST}/24 dev eth0"));
        }
        Some(Self { lab, podman })
    }

    /// Starts an agent that may ask the engine as if it were `kind`.
    fn watch(&mut self, kind: &str, args: &[&str]) -> Agent {
        let socket = self.podman.serve();
        let config = NO_RUNTIME.replace(&format!("{kind} = []"), &format!("{kind} = [{socket:?}]"));
        let mut command = agent::command(&self.lab, &config, args);
        command.env("RUST_LOG", "smbwatch=debug");
        let mut agent = Agent::spawn(command);
        agent.wait_until_said("attached to ");
        if kind == "docker" {
            agent.wait_until_said("following its containers");
        }
        agent
    }

    /// Runs a container that connects to the server; returns its identifier.
    fn connect(&self, options: &str) -> String {
        self.podman.run(&format!("run --detach {options} {IMAGE} busybox nc -w 20 {SERVER} 445"))
    }
}

fn established(agent: &mut Agent) -> Value {
    agent.wait_for_action(SERVER, 445, "connection-established")
}

/// What an alert must say of a container whatever its network.
fn assert_names(alert: &Value, id: &str, name: &str) {
    assert_eq!(text(alert, "container.id"), id);
    assert_eq!(text(alert, "container.name"), name);
    assert_eq!(text(alert, "container.runtime"), "podman");
    assert_eq!(text(alert, "container.image.name"), "localhost/lab");
    assert_eq!(alert["container"]["image"]["tag"], json!(["1"]));
    assert_eq!(text(alert, "process.executable"), "/bin/busybox");
    assert_eq!(text(alert, "smbwatch.attribution.method"), "owner");
    assert!(text(alert, "smbwatch.cgroup").ends_with(&format!("libpod-{id}")));
    assert!(text(alert, "event.reason").contains(&format!(" in container {name} connected to")));
}

#[test]
fn a_container_on_a_bridge_is_named() {
    for (uplink, outside) in [(Uplink::Private, HOST), (Uplink::Public, PUBLIC)] {
        let Some(mut node) = Node::make("a_container_on_a_bridge_is_named", uplink) else { return };
        let _listener = listen(&node.lab, SERVER, 445);
        let mut agent = node.watch("podman", &[]);
        let id = node.connect("--name web --label team=blue --label token=secret");
        let alert = established(&mut agent);
        assert_names(&alert, &id, "web");
        assert_eq!(alert["container"]["labels"], json!({ "team": "blue" }), "others may hold secrets");
        assert!(text(&alert, "source.ip").starts_with("10.88."));
        assert_eq!(text(&alert, "source.nat.ip"), outside);
        let interfaces = ["observer.ingress.interface.name", "observer.egress.interface.name"];
        assert_eq!(interfaces.map(|path| text(&alert, path)), ["veth0", "eth0"]);
    }
}

#[test]
fn a_container_without_a_network_of_its_own_is_named() {
    for (uplink, args) in [(Uplink::Private, &[][..]), (Uplink::Public, &["--profile", "strict"])] {
        let test = "a_container_without_a_network_of_its_own_is_named";
        let Some(mut node) = Node::make(test, uplink) else { return };
        let _listener = listen(&node.lab, SERVER, 445);
        let mut agent = node.watch("podman", args);
        let id = node.connect("--network host --name agentless");
        let alert = established(&mut agent);
        assert_names(&alert, &id, "agentless");
        assert_eq!(alert.pointer("/source/nat"), None);
        assert_eq!(alert.pointer("/smbwatch/sightings/1"), None, "it passes the uplink alone");
    }
}

#[test]
fn a_container_on_a_macvlan_is_named() {
    for (uplink, subnet) in [(Uplink::Private, "10.20.0"), (Uplink::Public, "10.30.0")] {
        let Some(mut node) = Node::make("a_container_on_a_macvlan_is_named", uplink) else { return };
        let _listener = listen(&node.lab, SERVER, 445);
        if uplink == Uplink::Public {
            node.lab.run(End::Net, &format!("ip address add {subnet}.1/24 dev eth0"));
        }
        let network = format!("-d macvlan -o parent=eth0 --subnet {subnet}.0/24 --gateway {subnet}.1 lan");
        node.podman.run(&format!("network create {network}"));
        let mut agent = node.watch("podman", &[]);
        let id = node.connect(&format!("--network lan --ip {subnet}.77 --name direct"));
        let alert = established(&mut agent);
        assert_names(&alert, &id, "direct");
        assert_eq!(text(&alert, "source.ip"), format!("{subnet}.77"));
        assert_eq!(text(&alert, "observer.egress.interface.name"), "eth0");
    }
}

#[test]
fn containers_of_one_pod_are_told_apart() {
    let Some(mut node) = Node::make("containers_of_one_pod_are_told_apart", Uplink::Private) else { return };
    let _listener = listen(&node.lab, SERVER, 445);
    let mut agent = node.watch("podman", &[]);
    node.podman.run("pod create --infra=false --name shop");
    let front = node.podman.run(&format!("run --detach --pod shop --name front {IMAGE} sleep infinity"));
    let back = node.connect(&format!("--pod shop --network container:{front} --name back"));
    let alert = established(&mut agent);
    assert_names(&alert, &back, "back");
    node.podman.run(&format!("exec --detach front busybox nc -w 20 {SERVER} 445"));
    let of_front = |alert: &Value| text(alert, "container.name") == "front";
    let other = agent.wait_for("the other container", of_front);
    assert_eq!(text(&other, "container.id"), front);
    assert_eq!(text(&other, "source.ip"), text(&alert, "source.ip"), "they share a network");
}

/// It is refused at once, and gone with all that it was before anyone could ask. Podman tells events a moment late.
#[test]
fn a_container_that_lives_for_a_moment_is_named() {
    let test = "a_container_that_lives_for_a_moment_is_named";
    let Some(mut node) = Node::make(test, Uplink::Private) else { return };
    let mut agent = node.watch("docker", &[]);
    let file = "/run/id";
    let shell = format!("sleep 2; exec busybox nc -w 1 {SERVER} 445");
    let line = format!("run --rm --cidfile {file} --name brief {IMAGE} busybox sh -c '{shell}' || true");
    node.podman.run(&line);
    let id = node.podman.cell.run(&format!("cat {file}"));
    let alert = agent.wait_for_action(SERVER, 445, "connection-refused");
    assert_eq!(text(&alert, "container.id"), id);
    assert_eq!(text(&alert, "container.name"), "brief");
    assert_eq!(text(&alert, "process.executable"), "/bin/busybox");
    assert_eq!(alert["process"]["args"], json!(["busybox", "nc", "-w", "1", SERVER, "445"]));
}

#[test]
fn without_a_runtime_the_identifier_stands() {
    let Some(node) = Node::make("without_a_runtime_the_identifier_stands", Uplink::Private) else { return };
    for config in [NO_RUNTIME, &NO_RUNTIME.replace("podman = []", "podman = [\"/nowhere\"]")] {
        let _listener = listen(&node.lab, SERVER, 445);
        let mut agent = Agent::start_with(&node.lab, config, &[]);
        let id = node.connect("");
        let alert = established(&mut agent);
        assert_eq!(text(&alert, "container.id"), id);
        assert_eq!(text(&alert, "container.runtime"), "podman");
        assert_eq!(alert.pointer("/container/name"), None);
        assert!(text(&alert, "event.reason").contains(&format!(" in container {} ", &id[..12])));
    }
}

/// A runtime that takes the question and never answers delays an alert by a second, and the next by nothing.
#[test]
fn a_runtime_that_hangs_holds_nothing_up_for_long() {
    let test = "a_runtime_that_hangs_holds_nothing_up_for_long";
    let Some(node) = Node::make(test, Uplink::Private) else { return };
    let socket = node.lab.folder().join("hung.sock");
    let _hung = std::os::unix::net::UnixListener::bind(&socket).expect("listen");
    let _listener = listen(&node.lab, SERVER, 445);
    let config = NO_RUNTIME.replace("podman = []", &format!("podman = [{socket:?}]"));
    let mut agent = Agent::start_with(&node.lab, &config, &[]);
    let id = node.connect("");
    let alert = established(&mut agent);
    assert_eq!(text(&alert, "container.id"), id);
    let delay = |alert: &Value| {
        let time = |path| text(alert, path).parse::<jiff::Timestamp>().expect("a time");
        time("event.created").duration_since(time("@timestamp")).as_millis()
    };
    assert!((900..1500).contains(&delay(&alert)), "{} ms", delay(&alert));
    node.connect("");
    let is_next = |next: &Value| text(next, "container.id") != id && number(next, "event.severity") == 47;
    let next = agent.wait_for("the next container", is_next);
    assert!(delay(&next) < 500, "{} ms", delay(&next));
}
