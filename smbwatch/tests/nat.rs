//! A container behind NAT: one incident for each connection, with its own address and the one outside.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use socket2::{Domain, Protocol, Socket, Type};
use support::agent::{Agent, number, text};
use support::container::Container;
use support::lab::{End, HOST, Lab, SERVER};
use support::peer::{listen, to};

const CONNECTIONS: usize = 1000;

/// A lab whose host hides its containers behind its own address.
fn masqueraded(test: &str) -> Option<(Lab, Container)> {
    let lab = Lab::make(test)?;
    if support::lab::tool("nft").arg("--version").output().is_err() {
        support::skip::skip(test, "nft is missing");
        return None;
    }
    for line in [
        "nft add table ip nat",
        "nft add chain ip nat post { type nat hook postrouting priority 100 ; }",
        "nft add rule ip nat post oifname eth0 masquerade",
    ] {
        lab.run(End::Host, line);
    }
    let container = Container::start(&lab, 1, "veth1");
    Some((lab, container))
}

#[test]
fn a_connection_behind_nat_has_both_addresses() {
    let Some((lab, container)) = masqueraded("a_connection_behind_nat_has_both_addresses") else { return };
    let mut agent = Agent::start(&lab);
    agent.wait_until_said("attached to veth1 (");
    let _client = container.attempt(SERVER, 445);
    let alert = agent.wait_for_action(SERVER, 445, "connection-attempted");
    assert_eq!(text(&alert, "source.ip"), container.address);
    assert_eq!(text(&alert, "source.nat.ip"), HOST);
    let port = |path: &str| alert.pointer(path).and_then(Value::as_u64).expect("a port");
    let sightings = json!([
        {
            "interface": "veth1",
            "direction": "ingress",
            "source": { "ip": container.address, "port": port("/source/port") },
        },
        {
            "interface": "eth0",
            "direction": "egress",
            "source": { "ip": HOST, "port": port("/source/nat/port") },
        },
    ]);
    assert_eq!(alert["smbwatch"]["sightings"], sightings);
    assert_eq!(text(&alert, "observer.ingress.interface.name"), "veth1");
    assert_eq!(text(&alert, "observer.egress.interface.name"), "eth0");
    assert_eq!(
        text(&alert, "process.executable"),
        std::env::current_exe().expect("a path").to_string_lossy()
    );
    let refused = agent.wait_for_action(SERVER, 445, "connection-refused");
    assert_eq!(text(&refused, "smbwatch.incident.id"), text(&alert, "smbwatch.incident.id"));
    let ended = agent.stop();
    assert_eq!(ended.account().alerted, 2, "{:?}", ended.said);
    assert_eq!(ended.account().suppressed, 2, "each was seen at the uplink too");
}

/// Behind a public address, the packets on the wire have no private source any more.
#[test]
fn a_container_behind_a_public_address_is_told() {
    let Some((lab, container)) = masqueraded("a_container_behind_a_public_address_is_told") else { return };
    let public = "8.20.0.5";
    lab.run(End::Host, &format!("ip address add {public}/32 dev eth0"));
    lab.run(End::Host, "nft flush chain ip nat post");
    lab.run(End::Host, &format!("nft add rule ip nat post oifname eth0 snat to {public}"));
    lab.run(End::Net, &format!("ip route add {public}/32 via {HOST}"));
    let _listener = listen(&lab, SERVER, 445);
    let mut agent = Agent::start(&lab);
    agent.wait_until_said("attached to veth1 (");
    let _client = container.attempt(SERVER, 445);
    let alert = agent.wait_for_action(SERVER, 445, "connection-established");
    assert_eq!(text(&alert, "source.ip"), container.address);
    assert_eq!(text(&alert, "source.nat.ip"), public);
    // What the host itself sends from there has no private source.
    let _own = lab.inside(End::Host, || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("make a socket");
        socket.bind(&to(public, 0).into()).expect("bind");
        socket.connect(&to(SERVER, 445).into()).expect("connect");
        socket
    });
    let ended = agent.stop();
    assert_eq!(ended.account().alerted, 2, "{:?}", ended.said);
    assert!(ended.said.iter().any(|line| line.contains("2 of the host's own address")), "{:?}", ended.said);
}

#[test]
fn each_of_many_connections_is_one_incident() {
    let Some((lab, container)) = masqueraded("each_of_many_connections_is_one_incident") else { return };
    let mut agent = Agent::start_with(&lab, "[limits]\nalerts_per_second = 100000\n", &[]);
    agent.wait_until_said("attached to veth1 (");
    for _ in 0..CONNECTIONS {
        drop(container.attempt(SERVER, 445));
    }
    let ended = agent.stop();
    let mut incidents = BTreeMap::<&str, Vec<&str>>::new();
    for document in &ended.documents {
        assert_eq!(text(document, "source.ip"), container.address);
        assert_eq!(text(document, "source.nat.ip"), HOST);
        assert_eq!(document["smbwatch"]["sightings"].as_array().map(Vec::len), Some(2));
        incidents
            .entry(text(document, "smbwatch.incident.id"))
            .or_default()
            .push(text(document, "event.action"));
    }
    assert_eq!(incidents.len(), CONNECTIONS);
    assert!(incidents.values().all(|actions| actions.iter().collect::<BTreeSet<_>>().len() == actions.len()));
    assert_eq!(ended.account().lost, 0);
}

/// A client that was given no port tries 445, and then 139.
#[test]
fn the_second_port_of_a_refused_client_is_the_same_incident() {
    let Some((lab, container)) = masqueraded("the_second_port_of_a_refused_client_is_the_same_incident")
    else {
        return;
    };
    let _listener = listen(&lab, SERVER, 139);
    let mut agent = Agent::start_with(&lab, "incident_seconds = 300\n", &[]);
    agent.wait_until_said("attached to veth1 (");
    let _first = container.attempt(SERVER, 445);
    let refused = agent.wait_for_action(SERVER, 445, "connection-refused");
    let _second = container.attempt(SERVER, 139);
    let established = agent.wait_for_action(SERVER, 139, "connection-established");
    assert_eq!(text(&established, "smbwatch.incident.id"), text(&refused, "smbwatch.incident.id"));
    let attempts = json!([
        { "destination": { "port": 445 }, "action": "connection-refused", "outcome": "failure" },
        { "destination": { "port": 139 }, "action": "connection-established", "outcome": "success" },
    ]);
    assert_eq!(established["smbwatch"]["attempts"], attempts);
    assert_eq!(number(&established, "destination.port"), 139);
}
