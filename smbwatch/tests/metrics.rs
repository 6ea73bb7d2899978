//! What is seen of the agent from outside: it adds up, also in a flood, and no client delays the agent.

mod support;

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use smbwatch_ebpf::event::FlowEvent;
use smbwatch_ebpf::testing::build::{IPV4, Ipv4, Tcp, ethernet, smb};
use support::agent::{Agent, PATIENCE};
use support::lab::{End, HOST, Lab, NOBODY, SERVER};
use support::packet_socket::send_frames;
use support::peer::{self, listen};
use support::scrape::{Answer, ask, connect, socket};

const FLOOD: u32 = 200_000;
const RING: u64 = 1 << 16;
/// Bytes that the kernel puts before each record.
const HEADER: u64 = 8;

#[test]
fn every_scrape_adds_up_in_a_flood() {
    let Some(lab) = Lab::make("every_scrape_adds_up_in_a_flood") else { return };
    let config = format!(
        "owners = false\n\
         [[exceptions]]\ndestination = \"{NOBODY}/32\"\nreason = \"a test\"\n\
         [limits]\nring_bytes = {RING}\nalerts_per_second = 100\n"
    );
    let agent = Agent::start_with(&lab, &config, &[]);
    let frames: Vec<Vec<u8>> = (0..FLOOD).map(flood).collect();
    let mut scrapes = Vec::new();
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| send_frames(&lab, &frames));
        while !sender.is_finished() {
            scrapes.push(Sums::of(&Answer::metrics(&lab)));
        }
    });
    let deadline = Instant::now() + PATIENCE;
    while scrapes.last().is_none_or(|last| last.in_ring + last.held != 0) {
        assert!(Instant::now() < deadline, "{:?} still waits", scrapes.last());
        scrapes.push(Sums::of(&Answer::metrics(&lab)));
    }
    let most = |value: fn(&Sums) -> u64| scrapes.iter().map(value).max().unwrap_or(0);
    let with = |value: fn(&Sums) -> u64| scrapes.iter().filter(|sums| value(sums) != 0).count();
    eprintln!(
        "{} scrapes, {} while records were in the ring, {} while alerts were held; the last: {:?}",
        scrapes.len(),
        with(|sums| sums.in_ring),
        with(|sums| sums.held),
        scrapes.last()
    );
    assert!(scrapes.len() > 10, "only {} scrapes", scrapes.len());
    assert!(scrapes.is_sorted_by_key(|sums| sums.matched), "matched goes back: {scrapes:?}");
    for (what, value) in [
        ("in the ring", most(|sums| sums.in_ring)),
        ("alerted", most(|sums| sums.alerted)),
        ("suppressed", most(|sums| sums.suppressed)),
        ("excepted", most(|sums| sums.excepted)),
        ("lost", most(|sums| sums.lost)),
    ] {
        assert_ne!(value, 0, "nothing was ever {what}");
    }
    let last = scrapes.pop().expect("a scrape");
    assert_eq!(last.matched, u64::from(FLOOD));
    let account = agent.stop().account();
    assert_eq!((account.seen, account.alerted), (last.matched - last.excepted, last.alerted));
    assert_eq!((account.suppressed, account.lost), (last.suppressed, last.lost));
}

#[derive(Debug)]
struct Sums {
    matched: u64,
    alerted: u64,
    suppressed: u64,
    excepted: u64,
    lost: u64,
    in_ring: u64,
    held: u64,
}

impl Sums {
    /// The sums of a scrape, which must agree.
    fn of(scrape: &Answer) -> Self {
        let sums = Self {
            matched: scrape.sum("smbwatch_matched_total", ""),
            alerted: scrape.sum("smbwatch_alerts_total", ""),
            suppressed: scrape.sum("smbwatch_suppressed_total", ""),
            excepted: scrape.sum("smbwatch_excepted_total", ""),
            lost: scrape.sum("smbwatch_records_lost_total", "kind=\"flow\""),
            in_ring: scrape.sum("smbwatch_pending", "place=\"ring\""),
            held: scrape.sum("smbwatch_pending", "place=\"hold\""),
        };
        let Self { matched, alerted, suppressed, excepted, lost, in_ring, held } = sums;
        assert_eq!(matched, alerted + suppressed + excepted + lost + in_ring + held, "{}", scrape.body);
        assert!(in_ring <= RING / (FlowEvent::SIZE as u64 + HEADER), "{in_ring} cannot be in the ring");
        // The agent's own side, without the programs' counters.
        let taken = scrape.sum("smbwatch_records_total", "kind=\"flow\"");
        let undecoded = scrape.sum("smbwatch_records_lost_total", "kind=\"flow\",reason=\"undecoded\"");
        let risen = scrape.sum("smbwatch_rises_total", "");
        assert_eq!(taken + risen, alerted + suppressed + undecoded + held, "{}", scrape.body);
        sums
    }
}

#[test]
fn connections_are_counted_by_how_far_they_have_come() {
    let Some(lab) = Lab::make("connections_are_counted_by_how_far_they_have_come") else { return };
    let config = "[[exceptions]]\ndestination = \"93.184.200.7\"\nports = [445]\nreason = \"a test\"\n";
    let agent = Agent::start_with(&lab, config, &[]);
    let _listener = listen(&lab, SERVER, 445);
    let mut open: Vec<_> = (0..3).map(|_| peer::connect(&lab, SERVER, 445).expect("connect")).collect();
    open[0].write_all(&smb(0xfe, 64)).expect("send");
    drop(open.pop());
    peer::connect(&lab, SERVER, 139).expect_err("nobody listens");
    send_frames(&lab, &[frame(1, NOBODY), frame(2, NOBODY), frame(3, "93.184.200.7")]);
    let mut expected =
        [("attempted", 2), ("refused", 1), ("established", 1), ("smb", 1), ("ended", 1), ("excepted", 1)];
    expected.sort_unstable();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let scrape = Answer::metrics(&lab);
        let flows = scrape.samples().filter(|(name, _, value)| *name == "smbwatch_flows" && *value != "0");
        let mut flows: Vec<(&str, u64)> = flows
            .map(|(_, state, count)| {
                (state.split('"').nth(1).unwrap_or(""), count.parse().expect("a number"))
            })
            .collect();
        flows.sort_unstable();
        if flows == expected {
            break;
        }
        assert!(Instant::now() < deadline, "{flows:?}");
    }
    agent.stop();
}

#[test]
fn clients_that_never_read_or_never_ask_delay_nothing() {
    let Some(lab) = Lab::make("clients_that_never_read_or_never_ask_delay_nothing") else { return };
    let mut agent = Agent::start(&lab);
    let mut clients: Vec<_> = (0..32).map(|_| connect(&lab)).collect();
    clients.iter_mut().step_by(2).for_each(|client| ask(client, "/metrics", "*/*"));
    for port in 1..=100 {
        send_frames(&lab, &[frame(port, SERVER)]);
        assert!(agent.next_within(Duration::from_secs(1)).is_some(), "no alert of port {port} in time");
    }
    // Others get their turn when those have had theirs.
    let scrape = Answer::metrics(&lab);
    assert_eq!(scrape.sum("smbwatch_alerts_total", "grade=\"attempted\""), 100);
    drop(clients);
    assert_eq!(agent.stop().account().alerted, 100);
}

#[test]
fn health_is_that_an_interface_is_watched() {
    let Some(lab) = Lab::make("health_is_that_an_interface_is_watched") else { return };
    let agent = Agent::start(&lab);
    let health = || Answer::of(&lab, "/healthz", "*/*");
    assert_eq!(
        (health().status, health().body.as_str()),
        (200, "interfaces: 1 watched, 0 waiting, 0 refused\n")
    );
    lab.run(End::Host, "ip link delete eth0");
    let deadline = Instant::now() + PATIENCE;
    while health().status == 200 {
        assert!(Instant::now() < deadline, "it does not see that eth0 is gone");
    }
    assert_eq!(
        (health().status, health().body.as_str()),
        (503, "interfaces: 0 watched, 0 waiting, 0 refused\n")
    );
    agent.stop();
}

#[test]
fn both_sockets_answer_in_both_formats() {
    let Some(lab) = Lab::make("both_sockets_answer_in_both_formats") else { return };
    let agent = Agent::start_with(&lab, "[metrics]\nlisten = \"127.0.0.1:9445\"\n", &[]);
    let mode = std::fs::metadata(socket(&lab)).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let open_metrics = Answer::of(&lab, "/metrics", "application/openmetrics-text; version=1.0.0");
    assert!(
        open_metrics.head.contains("application/openmetrics-text; version=1.0.0"),
        "{}",
        open_metrics.head
    );
    assert!(
        open_metrics.body.ends_with("# EOF\n")
            && open_metrics.body.contains("# TYPE smbwatch_matched counter")
    );
    let answer = lab.inside(End::Host, || {
        let mut stream = TcpStream::connect("127.0.0.1:9445").expect("connect");
        std::io::Write::write_all(&mut stream, b"GET /metrics HTTP/1.0\r\n\r\n").expect("ask");
        Answer::read(stream)
    });
    assert!(answer.head.contains("text/plain; version=0.0.4"), "{}", answer.head);
    assert!(answer.body.contains("# TYPE smbwatch_matched_total counter"), "{}", answer.body);
    assert_eq!(Answer::of(&lab, "/", "*/*").status, 404);
    agent.stop();
    assert!(!socket(&lab).exists(), "the socket is left behind");
}

/// A flow of its own, every eighth of them to an exception.
fn flood(number: u32) -> Vec<u8> {
    if number.is_multiple_of(8) {
        return frame(1, NOBODY);
    }
    let destination = Ipv4Addr::from(0x5db9_0000 + (number >> 15));
    frame((number & 0x7fff) as u16 + 1024, &destination.to_string())
}

fn frame(source_port: u16, destination: &str) -> Vec<u8> {
    let address = |text: &str| text.parse::<Ipv4Addr>().expect("an address");
    let packet = Ipv4::new(address(HOST), address(destination)).wrap(&Tcp::syn(source_port, 445).bytes());
    ethernet(&[], IPV4, &packet)
}
