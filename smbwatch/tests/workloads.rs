//! Real containers of Podman on a lab's host: who did it, behind every kind of network.

mod support;

use serde_json::Value;
use support::agent::{Agent, text};
use support::cell::IMAGE;
use support::lab::{End, HOST, Lab, SERVER};
use support::peer::listen;
use support::podman::Podman;

/// A container engine on a lab's host, and an agent that may ask it.
struct Node {
    lab: Lab,
    podman: Podman,
    agent: Agent,
}

impl Node {
    fn make(test: &str) -> Option<Self> {
        let lab = Lab::make(test)?;
        let mut podman = Podman::make_on(&lab, test)?;
        let socket = podman.serve();
        let config = format!("[runtimes]\ndocker = []\npodman = [{socket:?}]\ncri = []\n");
        lab.run(End::Net, &format!("ip route add 10.88.0.0/16 via {HOST}"));
        lab.inside(End::Host, || {
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("forward");
        });
        let agent = Agent::start_with(&lab, &config, &[]);
        Some(Self { lab, podman, agent })
    }

    /// Runs a container that connects to the server; returns its identifier.
    fn connect(&self, options: &str) -> String {
        self.podman.run(&format!("run --detach {options} {IMAGE} busybox nc -w 20 {SERVER} 445"))
    }

    fn established(&mut self) -> Value {
        self.agent.wait_for_action(SERVER, 445, "connection-established")
    }
}

#[test]
fn a_container_on_a_bridge_is_named() {
    let Some(mut node) = Node::make("a_container_on_a_bridge_is_named") else { return };
    let _listener = listen(&node.lab, SERVER, 445);
    let id = node.connect("--name web --label team=blue --label token=secret");
    let alert = node.established();
    eprintln!("{alert:#}");
    assert_eq!(text(&alert, "container.id"), id);
}
