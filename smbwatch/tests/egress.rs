//! What leaves a private host toward the Internet is told, with grade, outcome and counters; the rest is not.

mod support;

use std::io::{Read as _, Write as _};

use serde_json::Value;
use smbwatch_ebpf::testing::build;
use socket2::{Domain, Socket, Type};
use support::agent::{Agent, number, text};
use support::lab::{End, GATEWAY, HOST, Lab, NOBODY, SERVER, SERVER6};
use support::peer::{attempt, connect, listen, to};

#[test]
fn a_connection_is_told_by_grades_under_one_incident() {
    let Some(lab) = Lab::make("a_connection_is_told_by_grades_under_one_incident") else { return };
    let server = listen(&lab, SERVER, 445);
    let mut agent = Agent::start(&lab);

    let mut client = connect(&lab, SERVER, 445).expect("connect");
    let (mut served, from) = server.accept().expect("accept");
    let message = build::smb(0xfe, 100);
    client.write_all(&message).expect("write");
    let mut received = vec![0; message.len()];
    served.read_exact(&mut received).expect("read");
    assert_eq!(received, message);

    let grades = [
        ("connection-attempted", "attempted", "unknown", 21),
        ("connection-established", "established", "success", 47),
        ("smb-spoken", "smb", "success", 73),
    ];
    let alerts = grades.map(|(action, grade, outcome, severity)| {
        let alert = agent.wait_for_action(SERVER, 445, action);
        assert_eq!(text(&alert, "smbwatch.grade"), grade);
        assert_eq!(text(&alert, "event.outcome"), outcome);
        assert_eq!(number(&alert, "event.severity"), severity);
        assert_eq!(text(&alert, "source.ip"), HOST);
        assert_eq!(number(&alert, "source.port"), u64::from(from.port()));
        assert_eq!(text(&alert, "observer.egress.interface.name"), "eth0");
        alert
    });
    same(&alerts, "smbwatch.incident.id");
    same(&alerts, "network.community_id");
    let [attempted, established, smb] = &alerts;
    assert_eq!([number(attempted, "source.packets"), number(attempted, "source.bytes")], [1, 0]);
    assert_eq!([number(established, "source.packets"), number(established, "source.bytes")], [2, 0]);
    assert!(number(established, "smbwatch.flow.handshake.duration") > 0);
    assert_eq!(number(smb, "source.packets"), 3);
    assert_eq!(number(smb, "source.bytes"), message.len() as u64);
    assert_eq!(text(smb, "network.protocol"), "smb");
    let ended = agent.stop();
    assert!(ended.status.success());
    assert_eq!(ended.account().alerted, 3);
}

/// Whether all alerts have the same text in a field.
fn same(alerts: &[Value], path: &str) {
    let texts: Vec<&str> = alerts.iter().map(|alert| text(alert, path)).collect();
    assert!(!texts[0].is_empty() && texts.iter().all(|text| *text == texts[0]), "{path}: {texts:?}");
}

#[test]
fn refused_and_unanswered_are_told_apart() {
    let Some(lab) = Lab::make("refused_and_unanswered_are_told_apart") else { return };
    let mut agent = Agent::start(&lab);
    let refused = connect(&lab, SERVER, 445).expect_err("nothing listens");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let alert = agent.wait_for_action(SERVER, 445, "connection-refused");
    assert_eq!(text(&alert, "event.outcome"), "failure");
    assert_eq!(text(&alert, "smbwatch.grade"), "attempted");
    assert_eq!(number(&alert, "event.severity"), 21);

    // The kernel repeats the SYN after a second.
    let silent = attempt(&lab, NOBODY, 139);
    let alert = agent.wait_for_action(NOBODY, 139, "connection-unanswered");
    assert_eq!(text(&alert, "event.outcome"), "failure");
    assert_eq!(number(&alert, "source.packets"), 2);
    assert!(number(&alert, "event.duration") > 500_000_000, "{alert:#}");
    drop(silent);
    let actions: Vec<String> =
        agent.stop().documents.iter().map(|alert| text(alert, "event.action").to_owned()).collect();
    assert_eq!(
        actions,
        ["connection-attempted", "connection-refused", "connection-attempted", "connection-unanswered"]
    );
}

#[test]
fn reserved_destinations_private_networks_and_other_ports_are_silent() {
    let Some(lab) = Lab::make("reserved_destinations_private_networks_and_other_ports_are_silent") else {
        return;
    };
    let _web = listen(&lab, SERVER, 443);
    let mut agent = Agent::start(&lab);
    let _sockets = [
        // RFC 1918 to RFC 1918.
        attempt(&lab, GATEWAY, 445),
        attempt(&lab, "10.255.0.1", 139),
        attempt(&lab, "172.31.255.255", 445),
        attempt(&lab, "192.168.0.1", 445),
        // Reserved ranges, by their first or last address.
        attempt(&lab, "100.64.0.1", 445),
        attempt(&lab, "100.127.255.254", 445),
        attempt(&lab, "169.254.169.254", 445),
        attempt(&lab, "192.0.2.1", 445),
        attempt(&lab, "192.88.99.1", 445),
        attempt(&lab, "198.19.255.254", 445),
        attempt(&lab, "203.0.113.7", 139),
        attempt(&lab, "240.0.0.1", 445),
        // The port clause of the profile rule-105 holds for IPv4 alone.
        attempt(&lab, SERVER6, 445),
    ];
    let mut web = connect(&lab, SERVER, 443).expect("connect");
    web.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("write");
    // The neighbours of reserved ranges are the Internet.
    let neighbours = ["100.63.255.255", "100.128.0.0", "172.32.0.0", "203.0.114.0"];
    let _watched = neighbours.map(|address| attempt(&lab, address, 445));
    for address in neighbours {
        agent.wait_for_action(address, 445, "connection-attempted");
    }
    let ended = agent.stop();
    // On a slow machine a SYN may have been repeated by now.
    let strangers: Vec<&Value> =
        ended.documents.iter().filter(|alert| !neighbours.contains(&text(alert, "destination.ip"))).collect();
    assert!(strangers.is_empty(), "{strangers:#?}");
    assert_eq!(ended.account().alerted, ended.documents.len() as u64);
    assert_eq!(ended.account().lost, 0);
}

#[test]
fn sources_outside_the_private_ranges_are_silent() {
    let Some(lab) = Lab::make("sources_outside_the_private_ranges_are_silent") else { return };
    lab.run(End::Host, "ip address add 198.18.0.5/32 dev eth0");
    let agent = Agent::start(&lab);
    let address = to(SERVER, 445);
    lab.inside(End::Host, || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("make a socket");
        socket.bind(&to("198.18.0.5", 0).into()).expect("bind");
        socket.set_nonblocking(true).expect("make a socket non-blocking");
        let result = socket.connect(&address.into());
        assert_eq!(result.expect_err("not yet").raw_os_error(), Some(libc::EINPROGRESS));
    });
    assert_eq!(agent.stop().account().alerted, 0);
}
