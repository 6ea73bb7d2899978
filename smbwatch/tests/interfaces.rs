//! Interfaces are found by what they are, and followed as they come, change and go.

mod support;

use std::process::Command;

use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use serde_json::Value;
use support::agent::{Agent, PROGRAM, command, text};
use support::container::Container;
use support::lab::{End, Lab, SERVER, output};
use support::peer::attempt;

#[test]
fn a_container_that_starts_later_is_watched_and_followed() {
    let Some(lab) = Lab::make("a_container_that_starts_later_is_watched_and_followed") else { return };
    let mut agent = Agent::start(&lab);
    let container = Container::start(&lab, 1, "veth1");
    agent.wait_until_said("attached to veth1 (tcx, workload)");
    let first = container.attempt(SERVER, 445);
    let alert = agent.wait_for("the container at its link", |alert| at(alert, "veth1"));
    assert_eq!(text(&alert, "source.ip"), container.address);

    lab.run(End::Host, "ip link set veth1 down");
    lab.run(End::Host, "ip link set veth1 name lxc1");
    agent.wait_until_said("veth1 is lxc1 now");
    lab.run(End::Host, "ip link set lxc1 up");
    let second = container.attempt(SERVER, 139);
    agent.wait_for("the container at the new name", |alert| at(alert, "lxc1"));

    // Its sockets would keep the namespace.
    drop((first, second, container));
    agent.wait_until_said("detached from lxc1");
    assert!(agent.stop().status.success());
}

#[test]
fn an_interface_that_comes_back_is_watched_again() {
    for back_end in ["tcx", "clsact"] {
        let Some(lab) = Lab::make("an_interface_that_comes_back_is_watched_again") else { return };
        let config = format!("[interfaces]\nback_end = \"{back_end}\"\n");
        let mut agent = Agent::start_with(&lab, &config, &[]);
        lab.run(End::Host, "ip link add veth1 type veth peer name far1");
        agent.wait_until_said("attached to veth1 (");
        // It keeps its index, and loses what was attached.
        let net = format!("/run/netns/{}", lab.name(End::Net));
        let away = format!("ip link set veth1 netns {net}");
        let back = format!("nsenter --net={net} ip link set veth1 netns /run/netns/{}", lab.name(End::Host));
        lab.run(End::Host, &away);
        lab.run(End::Host, &back);
        let times = |agent: &Agent| agent.said.iter().filter(|line| line.contains("to veth1 (")).count();
        while times(&agent) < 2 {
            agent.next_line();
        }
        assert_eq!(attached(&lab, "veth1"), back_end);
        lab.run(End::Host, &away);
        agent.wait_until_said("detached from veth1");
    }
}

#[test]
fn a_default_route_makes_an_uplink() {
    let Some(lab) = Lab::make("a_default_route_makes_an_uplink") else { return };
    let mut agent = Agent::start(&lab);
    lab.run(End::Host, "ip link add br0 type bridge");
    lab.run(End::Host, "ip address add 10.30.0.1/24 dev br0");
    lab.run(End::Host, "ip link set br0 up");
    lab.run(End::Host, "ip route replace default dev br0");
    agent.wait_until_said("attached to br0 (tcx)");
    lab.run(End::Host, "ip -6 route delete default");
    agent.wait_until_said("attached to eth0 (tcx, workload)");
    // IPv4 routes go with the interface, without a message.
    lab.run(End::Host, "ip link set br0 down");
    agent.wait_until_said("detached from br0");
    lab.run(End::Host, &format!("ip route add default via {}", support::lab::GATEWAY));
    let uplink = |line: &String| line.ends_with("attached to eth0 (tcx)");
    while agent.said.iter().filter(|line| uplink(line)).count() < 2 {
        agent.next_line();
    }
    let _client = attempt(&lab, SERVER, 445);
    agent.wait_for_action(SERVER, 445, "connection-refused");
    assert_eq!(agent.stop().account().seen, 2);
}

#[test]
fn the_configuration_chooses() {
    let Some(lab) = Lab::make("the_configuration_chooses") else { return };
    lab.run(End::Host, "ip link add veth1 type veth peer name veth2");
    lab.run(End::Host, "ip link add br0 type bridge");
    for (config, args, watched) in [
        ("exclude = [\"veth*\"]", &[][..], &["eth0"][..]),
        ("", &[], &["eth0", "veth1", "veth2"]),
        ("include = [\"veth?\"]\nexclude = [\"veth2\"]", &[], &["veth1"]),
        ("include = [\"br0\"]", &[], &["br0"]),
        ("exclude = [\"*\"]", &["-i", "veth2"], &["veth2"]),
    ] {
        let mut command = command(&lab, &format!("[interfaces]\n{config}\n"), args);
        command.env("RUST_LOG", "smbwatch=debug");
        let mut agent = Agent::spawn(command);
        agent.wait_until_said("all interfaces that are to be watched are");
        let names = agent.said.iter().filter_map(|line| line.split_once("attached to "));
        let mut names: Vec<&str> = names.filter_map(|(_, rest)| rest.split(' ').next()).collect();
        names.sort_unstable();
        assert_eq!(names, watched, "{config} {args:?}");
        agent.stop();
    }
}

#[test]
fn lost_messages_are_made_good() {
    let Some(lab) = Lab::make("lost_messages_are_made_good") else { return };
    let mut command = command(&lab, "", &[]);
    command.env("RUST_LOG", "debug,netlink_proto=error");
    let mut agent = Agent::spawn(command);
    agent.wait_until_said("attached to eth0 (");
    agent.signal(Signal::SIGSTOP);
    waitid(Id::Pid(agent.pid()), WaitPidFlag::WSTOPPED).expect("wait until the agent stands");
    let batch = lab.folder().join("batch");
    lab.run(End::Host, "ip link add br0 type bridge");
    let churn = "link set br0 mtu 1400\nlink set br0 mtu 1500\n".repeat(5000);
    std::fs::write(&batch, churn + "link add veth3 type veth peer name veth4\n").expect("write a batch");
    output(lab.at(End::Host, "ip").arg("-batch").arg(&batch));
    agent.signal(Signal::SIGCONT);
    agent.wait_until_said("messages about interfaces were lost");
    agent.wait_until_said("attached to veth3 (");
    agent.wait_until_said("attached to veth4 (");
    assert_eq!(attached(&lab, "veth3"), "tcx");
}

#[test]
fn interfaces_lists_what_the_kernel_says() {
    let Some(lab) = Lab::make("interfaces_lists_what_the_kernel_says") else { return };
    lab.run(End::Host, "ip link add br0 type bridge");
    let config = lab.folder().join("interfaces.toml");
    std::fs::write(&config, "[interfaces]\nexclude = [\"br*\"]\n").expect("write a configuration");
    let list = |args: &[&str]| output(lab.at(End::Host, PROGRAM).arg("interfaces").args(args));
    let config = config.to_str().expect("a path of text");
    assert_eq!(
        list(&["--format", "text", "--config", config]),
        "INTERFACE  KIND      ROLE    CLIENTS AT  WATCHED BY\n\
         lo         loopback  -       -           loopback: nothing leaves by it\n\
         eth0       veth      uplink  egress      not attached\n\
         br0        bridge    -       -           excluded by the configuration\n"
    );
    for back_end in ["tcx", "clsact"] {
        let agent = Agent::start_with(&lab, &format!("[interfaces]\nback_end = \"{back_end}\"\n"), &[]);
        let listed: Value = serde_json::from_str(&list(&[])).expect("a list");
        let eth0 = listed.as_array().and_then(|rows| rows.iter().find(|row| row["name"] == "eth0"));
        let eth0 = eth0.expect("eth0 is listed");
        assert_eq!((eth0["role"].as_str(), eth0["direction"].as_str()), (Some("uplink"), Some("egress")));
        assert_eq!(eth0["attached"], back_end);
        agent.stop();
    }
    assert_eq!(attached(&lab, "eth0"), "no");
    let mut nobody: Command = lab.at(End::Host, "setpriv");
    let program = lab.folder().join("smbwatch");
    std::fs::copy(PROGRAM, &program).expect("copy the program");
    nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(program);
    let listed = output(nobody.args(["interfaces", "--format", "text"]));
    assert!(listed.contains("not known (needs root)"), "{listed}");
}

/// By what `smbwatch interfaces` says that an interface is watched.
fn attached(lab: &Lab, name: &str) -> String {
    let listed = output(lab.at(End::Host, PROGRAM).args(["interfaces", "--format", "json"]));
    let listed: Vec<Value> = serde_json::from_str(&listed).expect("a list");
    let row = listed.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    row["attached"].as_str().expect("a state").to_owned()
}

/// Whether an alert is of this interface.
fn at(alert: &Value, interface: &str) -> bool {
    let sightings = alert["smbwatch"]["sightings"].as_array();
    sightings.is_some_and(|all| all.iter().any(|sighting| sighting["interface"] == interface))
}
