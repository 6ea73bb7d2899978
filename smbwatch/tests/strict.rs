//! What the strict profile adds: IPv6, carrier-grade NAT, and IPv4 inside IPv6.

mod support;

use std::net::Ipv6Addr;

use serde_json::Value;
use smbwatch_ebpf::testing::build::{IPV6, Ipv6, Tcp, ethernet};
use support::agent::{Agent, number, text};
use support::lab::{End, GATEWAY6, HOST6, Lab, NOBODY, SERVER, SERVER6};
use support::packet_socket::send_frames;
use support::peer::{attempt, to};

/// NAT64 (RFC 6052) of 93.184.216.34, and of 10.1.2.3.
const NAT64: &str = "64:ff9b::5db8:d822";
const NAT64_PRIVATE: &str = "64:ff9b::a01:203";

#[test]
fn ipv6_leaves_for_the_internet_or_stays() {
    let Some(lab) = Lab::make("ipv6_leaves_for_the_internet_or_stays") else { return };
    let mut agent = Agent::start_with(&lab, "", &["--profile", "strict"]);
    let silent = [
        GATEWAY6,
        // Unique-local, link-local, documentation, discard-only, benchmarking.
        "fdff::1",
        "2001:db8::1",
        "3fff::1",
        "100::1",
        "2001:2::1",
        NAT64_PRIVATE,
        "64:ff9b:1::1",
        "100.64.0.1",
        "203.0.113.7",
    ];
    let _silent = silent.map(|address| attempt(&lab, address, 445));
    let told = [SERVER6, NAT64, "2001:1::1", NOBODY];
    let _told = told.map(|address| attempt(&lab, address, 445));
    for address in told {
        let alert = agent.wait_for_action(address, 445, "connection-attempted");
        assert_eq!(text(&alert, "rule.ruleset"), "strict");
        assert_eq!(text(&alert, "smbwatch.attribution.method"), "owner");
        assert_eq!(number(&alert, "process.pid"), u64::from(std::process::id()));
    }
    let ended = agent.stop();
    let mut destinations: Vec<&str> =
        ended.documents.iter().map(|alert| text(alert, "destination.ip")).collect();
    // The server itself refuses; the other addresses have no one.
    destinations.dedup();
    destinations.retain(|address| !told.contains(address));
    assert!(destinations.is_empty(), "{destinations:?}");
}

#[test]
fn ipv4_inside_ipv6_is_judged_as_ipv4() {
    let Some(lab) = Lab::make("ipv4_inside_ipv6_is_judged_as_ipv4") else { return };
    let mut agent = Agent::start_with(&lab, "", &["--profile", "strict"]);
    let address = |text: &str| text.parse::<Ipv6Addr>().expect("an address");
    // Mapped addresses belong on no wire, which does not keep anyone from sending them.
    let frame = |destination: &str, port| {
        let packet = Ipv6::new(address(HOST6), address(destination));
        ethernet(&[], IPV6, &packet.wrap(&Tcp::syn(port, 445).bytes()))
    };
    send_frames(
        &lab,
        &[
            frame("::ffff:93.184.216.34", 1001),
            frame("::ffff:10.1.2.3", 1002),
            frame(NAT64, 1003),
            frame(NAT64_PRIVATE, 1004),
        ],
    );
    for port in [1001, 1003] {
        agent.wait_for("a public address inside", |alert| number(alert, "source.port") == port);
    }
    assert_eq!(agent.stop().account().seen, 2);
}

#[test]
fn a_dual_stack_socket_that_connects_by_ipv4_has_an_owner() {
    let Some(lab) = Lab::make("a_dual_stack_socket_that_connects_by_ipv4_has_an_owner") else { return };
    let mut agent = Agent::start(&lab);
    // Leaves as IPv4, although the caller named an IPv6 address.
    let _socket = attempt(&lab, &format!("::ffff:{SERVER}"), 445);
    let alert = agent.wait_for_action(SERVER, 445, "connection-attempted");
    assert_eq!(text(&alert, "network.type"), "ipv4");
    assert_eq!(number(&alert, "process.pid"), u64::from(std::process::id()));
}

#[test]
fn carrier_grade_nat_and_own_public_addresses_are_sources() {
    let Some(lab) = Lab::make("carrier_grade_nat_and_own_public_addresses_are_sources") else { return };
    let sources = ["100.64.0.5", "198.35.26.96"];
    for source in sources {
        lab.run(End::Host, &format!("ip address add {source}/32 dev eth0"));
    }
    let mut agent = Agent::start_with(&lab, "", &["--profile", "strict"]);
    // This address came after the agent had looked.
    lab.run(End::Host, "ip address add 198.35.26.97/32 dev eth0");
    for source in ["198.35.26.97"].iter().chain(&sources) {
        lab.inside(End::Host, || attempt_from(source));
    }
    for source in sources {
        agent.wait_for(source, |alert: &Value| text(alert, "source.ip") == source);
    }
    let ended = agent.stop();
    let strangers = ended.documents.iter().filter(|alert| !sources.contains(&text(alert, "source.ip")));
    assert_eq!(strangers.count(), 0);
}

fn attempt_from(source: &str) {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("make a socket");
    socket.bind(&to(source, 0).into()).expect("bind");
    socket.set_nonblocking(true).expect("make a socket non-blocking");
    let result = socket.connect(&to(NOBODY, 445).into());
    assert_eq!(result.expect_err("not yet").raw_os_error(), Some(libc::EINPROGRESS));
}
