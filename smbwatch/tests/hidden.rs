//! Traffic that is shaped so as not to be seen is seen, or its packets are counted as not judged.

mod support;

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::Value;
use smbwatch_ebpf::testing::build::{self, Extension, IPV4, IPV6, Ipv4, Ipv6, Tcp, ethernet};
use support::agent::{Agent, number, text};
use support::lab::{End, HOST, HOST6, Lab, SERVER, SERVER6};
use support::packet_socket::{send_by_ring, send_frames, send_packet};
use support::peer::{connect, listen, to};

#[test]
fn a_syn_is_seen_whatever_socket_sends_it() {
    let Some(lab) = Lab::make("a_syn_is_seen_whatever_socket_sends_it") else { return };
    let mut agent = Agent::start(&lab);
    send_by_ring(&lab, &ethernet(&[], IPV4, &ipv4().wrap(&Tcp::syn(1001, 445).bytes())));
    send_frames(&lab, [&ethernet(&[], IPV4, &ipv4().wrap(&Tcp::syn(1002, 445).bytes()))]);
    send_packet(&lab, &ipv4().wrap(&Tcp::syn(1003, 445).bytes()), server());
    for port in [1001, 1002, 1003] {
        let alert = from_port(&mut agent, port);
        assert_eq!(text(&alert, "event.action"), "connection-attempted");
        assert_eq!(alert.pointer("/process"), None, "no connect was called, and the socket is gone");
    }
}

#[test]
fn a_syn_is_seen_behind_options_tags_and_in_a_fragment() {
    let Some(lab) = Lab::make("a_syn_is_seen_behind_options_tags_and_in_a_fragment") else { return };
    let mut agent = Agent::start(&lab);
    let options = Ipv4 { options: vec![1; 40], ..ipv4() };
    let fragment = Ipv4 { fragment: 0x2000, ..ipv4() };
    let syn = |port| Tcp::syn(port, 445).bytes();
    let double = [(0x88a8, 10), (0x8100, 0x2014)];
    let triple = [(0x88a8, 10), (0x8100, 20), (0x8100, 30)];
    send_frames(
        &lab,
        &[
            ethernet(&[], IPV4, &options.wrap(&syn(1001))),
            ethernet(&[], IPV4, &fragment.wrap(&syn(1002)[..8])),
            ethernet(&double, IPV4, &ipv4().wrap(&syn(1003))),
            ethernet(&triple, IPV4, &ipv4().wrap(&syn(1004))),
        ],
    );
    from_port(&mut agent, 1001);
    let alert = from_port(&mut agent, 1002);
    assert_eq!(alert.pointer("/smbwatch/flow/partial"), Some(&Value::Bool(true)));
    let alert = from_port(&mut agent, 1003);
    assert_eq!(text(&alert, "network.vlan.id"), "10");
    assert_eq!(text(&alert, "network.inner.vlan.id"), "20");
    let ended = agent.stop();
    assert_eq!(ended.account().seen, 3);
    assert_eq!(ended.not_judged("too_many_tags"), 1);
}

#[test]
fn extension_headers_are_passed_up_to_a_bound_and_counted_beyond() {
    let Some(lab) = Lab::make("extension_headers_are_passed_up_to_a_bound_and_counted_beyond") else {
        return;
    };
    let mut agent = Agent::start_with(&lab, "", &["--profile", "strict"]);
    let behind = |count, port| {
        let kinds = [0, 60, 43, 44, 51, 60, 135, 139, 140].into_iter().take(count);
        let extensions = kinds.map(|kind| match kind {
            44 => Extension::fragment(0, true),
            51 => Extension::authentication(4),
            kind => Extension::eights(kind, 1),
        });
        let packet = Ipv6 { extensions: extensions.collect(), ..ipv6() };
        ethernet(&[], IPV6, &packet.wrap(&Tcp::syn(port, 445).bytes()))
    };
    send_frames(&lab, &[behind(0, 1000), behind(1, 1001), behind(8, 1008), behind(9, 1009)]);
    for port in [1000, 1001, 1008] {
        let alert = from_port(&mut agent, port);
        assert_eq!(text(&alert, "network.type"), "ipv6");
    }
    let ended = agent.stop();
    assert_eq!(ended.account().seen, 3);
    assert_eq!(ended.not_judged("too_many_extensions"), 1);
}

#[test]
fn a_split_first_message_only_delays_recognition() {
    use std::io::{Read as _, Write as _};
    let Some(lab) = Lab::make("a_split_first_message_only_delays_recognition") else { return };
    let server = listen(&lab, SERVER, 8445);
    let mut agent = Agent::start(&lab);
    let mut client = connect(&lab, SERVER, 8445).expect("connect");
    client.set_nodelay(true).expect("set TCP_NODELAY");
    let (mut served, from) = server.accept().expect("accept");
    let message = build::smb(0xfe, 60);
    let (head, tail) = message.split_at(6);
    for part in [head, tail, &message] {
        client.write_all(part).expect("write");
        // What has arrived has left as a segment of its own.
        served.read_exact(&mut vec![0; part.len()]).expect("read");
    }
    let alert = from_port(&mut agent, from.port());
    assert_eq!(text(&alert, "event.action"), "smb-spoken");
    assert_eq!(alert.pointer("/smbwatch/flow/by_content"), Some(&Value::Bool(true)));
    assert_eq!(alert.pointer("/smbwatch/flow/midstream"), Some(&Value::Bool(true)));
    assert_eq!(text(&alert, "smbwatch.attribution.method"), "owner");
    assert_eq!(number(&alert, "process.pid"), u64::from(std::process::id()));
}

#[test]
fn a_message_in_the_syn_is_seen() {
    let Some(lab) = Lab::make("a_message_in_the_syn_is_seen") else { return };
    let mut agent = Agent::start(&lab);
    let message = build::smb(0xff, 60);
    let frame = |source, destination| {
        let tcp = Tcp { payload: message.clone(), ..Tcp::syn(source, destination) };
        ethernet(&[], IPV4, &ipv4().wrap(&tcp.bytes()))
    };
    send_frames(&lab, &[frame(1001, 445), frame(1002, 8445)]);
    for port in [1001, 1002] {
        assert_eq!(text(&from_port(&mut agent, port), "event.action"), "smb-spoken");
    }
    // TCP Fast Open: bit 0 allows it, bit 2 does without a cookie from an earlier connection (ip-sysctl).
    lab.run(End::Host, "sysctl -qw net.ipv4.tcp_fastopen=5");
    lab.inside(End::Host, || fast_open(&message));
    let alert = agent.wait_for_action(SERVER, 9445, "smb-spoken");
    assert_eq!(number(&alert, "source.packets"), 1);
    assert_eq!(number(&alert, "source.bytes"), message.len() as u64);
    assert_eq!(number(&alert, "process.pid"), u64::from(std::process::id()));
}

fn fast_open(message: &[u8]) {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("make a socket");
    socket.set_nonblocking(true).expect("make a socket non-blocking");
    let sent = socket.send_to_with_flags(message, &to(SERVER, 9445).into(), libc::MSG_FASTOPEN);
    assert_eq!(sent.expect("send"), message.len());
}

fn ipv4() -> Ipv4 {
    Ipv4::new(HOST.parse().expect("an address"), server())
}

fn ipv6() -> Ipv6 {
    let address = |text: &str| text.parse::<Ipv6Addr>().expect("an address");
    Ipv6::new(address(HOST6), address(SERVER6))
}

fn server() -> Ipv4Addr {
    SERVER.parse().expect("an address")
}

/// The first alert of a connection from this source port.
fn from_port(agent: &mut Agent, port: u16) -> Value {
    agent.wait_for(&format!("source port {port}"), |alert| number(alert, "source.port") == u64::from(port))
}
