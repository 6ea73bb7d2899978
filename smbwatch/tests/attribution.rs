//! Who did it, where no connect was seen: sockets older than the agent, raw ones, and virtual machines.

mod support;

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};
use smbwatch_ebpf::testing::build::{IPV4, Ipv4, Tcp, ethernet};
use socket2::{Domain, Protocol, Socket, Type};
use support::agent::{Agent, number, text};
use support::container::Container;
use support::heir::Heir;
use support::lab::{End, HOST, Lab, SERVER};
use support::packet_socket::packet_socket;
use support::peer::{connect, listen, to};
use support::tap;

/// What an SMB message begins with, as far as the length of its frame.
const MESSAGE: &[u8] = b"\0\0\0\x04\xfeSMB";

fn spoken(agent: &mut Agent) -> Value {
    agent.wait_for_action(SERVER, 445, "smb-spoken")
}

fn method(alert: &Value) -> &str {
    text(alert, "smbwatch.attribution.method")
}

/// That an alert names this test.
fn assert_this_process(alert: &Value) {
    assert_eq!(number(alert, "process.pid"), u64::from(std::process::id()), "{alert:#}");
    let program = std::env::current_exe().expect("a path");
    assert_eq!(text(alert, "process.executable"), program.to_string_lossy());
    assert_eq!(alert["smbwatch"]["attribution"]["ambiguous"], json!(false));
}

#[test]
fn a_connection_that_is_older_than_the_agent_has_a_process() {
    let Some(lab) = Lab::make("a_connection_that_is_older_than_the_agent_has_a_process") else { return };
    let _listener = listen(&lab, SERVER, 445);
    let mut client = connect(&lab, SERVER, 445).expect("connect");
    let mut agent = Agent::start(&lab);
    client.write_all(MESSAGE).expect("write");
    let alert = spoken(&mut agent);
    assert_eq!(method(&alert), "socket-diag");
    assert_this_process(&alert);
    assert_eq!(alert.pointer("/smbwatch/flow/midstream"), Some(&json!(true)));
}

#[test]
fn so_has_one_inside_a_container() {
    let Some(lab) = Lab::make("so_has_one_inside_a_container") else { return };
    let container = Container::start(&lab, 1, "veth1");
    lab.run(End::Net, "ip route replace 10.9.1.0/24 via 10.20.0.5");
    let _listener = listen(&lab, SERVER, 445);
    let mut client = container.inside(|| TcpStream::connect(to(SERVER, 445)).expect("connect"));
    let mut agent = Agent::start(&lab);
    agent.wait_until_said("attached to veth1 (");
    client.write_all(MESSAGE).expect("write");
    let alert = spoken(&mut agent);
    assert_eq!((method(&alert), text(&alert, "source.ip")), ("socket-diag", container.address.as_str()));
    assert_this_process(&alert);
}

/// All that is left of it is what the agent looked up at its start.
#[test]
fn a_process_that_ends_before_its_connection_does_is_remembered() {
    let Some(lab) = Lab::make("a_process_that_ends_before_its_connection_does_is_remembered") else { return };
    let _listener = listen(&lab, SERVER, 445);
    let client = connect(&lab, SERVER, 445).expect("connect");
    // As hostile as a name and arguments can be.
    let program = lab.folder().join("a\n) S 1 (\x1b[1m");
    fs::copy("/bin/sleep", &program).expect("copy a program");
    let mut command = std::process::Command::new(&program);
    command.arg("600").args(std::iter::repeat_n("0".repeat(1 << 16), 15));
    let heir = Heir::spawn(&mut command, client.into());
    fs::remove_file(&program).expect("remove a program");

    let mut command = support::agent::command(&lab, "", &[]);
    command.env("RUST_LOG", "smbwatch=debug");
    let mut agent = Agent::spawn(command);
    agent.wait_until_said("connections are older than the agent");
    agent.wait_until_said("attached to ");
    let pid = heir.pid();
    drop(heir);
    let alert = agent.wait_for_action(SERVER, 445, "connection-ended");
    assert_eq!((method(&alert), number(&alert, "process.pid")), ("socket-diag", u64::from(pid)));
    assert_eq!(text(&alert, "process.name"), "a\u{fffd}) S 1 (\u{fffd}[1m");
    let shown = program.to_string_lossy().replace(['\n', '\x1b'], "\u{fffd}");
    assert_eq!(text(&alert, "process.executable"), format!("{shown} (deleted)"));
    assert_eq!(alert["process"]["args"], json!(["heir", "600"]));
    assert_eq!(alert["smbwatch"]["process"], json!({ "args_cut": true }));
}

#[test]
fn of_several_who_hold_a_socket_none_is_chosen() {
    let Some(lab) = Lab::make("of_several_who_hold_a_socket_none_is_chosen") else { return };
    let _listener = listen(&lab, SERVER, 445);
    let mut client = connect(&lab, SERVER, 445).expect("connect");
    let heir = Heir::start(Path::new("/bin/sleep"), client.try_clone().expect("a copy").into());
    let mut agent = Agent::start(&lab);
    client.write_all(MESSAGE).expect("write");
    let alert = spoken(&mut agent);
    assert_eq!((method(&alert), alert.pointer("/process")), ("socket-diag", None));
    assert_eq!(alert["smbwatch"]["attribution"]["ambiguous"], json!(true));
    let candidates = alert["smbwatch"]["attribution"]["candidates"].as_array().expect("candidates");
    let mut pids: Vec<u64> = candidates.iter().map(|candidate| number(candidate, "pid")).collect();
    pids.sort_unstable();
    let mut expected = [std::process::id(), heir.pid()].map(u64::from);
    expected.sort_unstable();
    assert_eq!(pids, expected);
    assert_eq!(text(&alert, "user.name"), "root", "the socket's user is certain");
    assert!(text(&alert, "event.reason").starts_with("One of 2 processes"));
}

#[test]
fn a_packet_socket_has_a_process() {
    let Some(lab) = Lab::make("a_packet_socket_has_a_process") else { return };
    let mut agent = Agent::start(&lab);
    let socket = lab.inside(End::Host, || packet_socket("eth0"));
    socket.send(&frame(HOST)).expect("send a frame");
    let alert = agent.wait_for_action(SERVER, 445, "connection-attempted");
    assert_eq!(method(&alert), "procfs");
    assert_this_process(&alert);
}

#[test]
fn a_raw_socket_has_a_process_or_candidates() {
    let Some(lab) = Lab::make("a_raw_socket_has_a_process_or_candidates") else { return };
    let mut agent = Agent::start(&lab);
    let raw = || Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)));
    let socket = lab.inside(End::Host, raw).expect("make a raw socket");
    socket.send_to(&packet(HOST), &to(SERVER, 0).into()).expect("send a packet");
    let alert = agent.wait_for_action(SERVER, 445, "connection-attempted");
    assert_eq!(method(&alert), "procfs");
    // Where raw sockets are not listed by cookie, those of other tests may be meant as well.
    if alert["smbwatch"]["attribution"]["ambiguous"] == json!(false) {
        assert_this_process(&alert);
    }
}

#[test]
fn a_virtual_machine_is_told_by_who_holds_its_tap() {
    let Some(lab) = Lab::make("a_virtual_machine_is_told_by_who_holds_its_tap") else { return };
    if !Path::new("/dev/net/tun").exists() {
        return support::skip::skip("a_virtual_machine_is_told_by_who_holds_its_tap", "no /dev/net/tun");
    }
    let tap = lab.inside(End::Host, || tap::tun("tap7", libc::IFF_TAP | libc::IFF_NO_PI));
    let mut tap = tap.expect("make a tap");
    lab.run(End::Host, "ip link set tap7 up");
    let mut agent = Agent::start(&lab);
    agent.wait_until_said("attached to tap7 (");
    tap.write_all(&frame("10.7.7.7")).expect("send a frame");
    let alert = agent.wait_for_action(SERVER, 445, "connection-attempted");
    assert_eq!((method(&alert), text(&alert, "source.ip")), ("procfs", "10.7.7.7"));
    assert_this_process(&alert);
}

/// A first SYN to the server.
fn packet(source: &str) -> Vec<u8> {
    let address = |text: &str| text.parse().expect("an address");
    let header = Ipv4::new(address(source), address(SERVER));
    header.wrap(&Tcp::syn(40000, 445).bytes())
}

fn frame(source: &str) -> Vec<u8> {
    ethernet(&[], IPV4, &packet(source))
}
