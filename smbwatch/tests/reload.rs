//! A configuration that changes while the agent runs: all of it holds from then on, or nothing; and no packet goes
//! unseen meanwhile.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use support::agent::{Agent, PATIENCE, configure, number, text};
use support::lab::{HOST6, Lab, SERVER, SERVER6};
use support::peer::{attempt, connect, listen};

/// Another address that the lab's Internet has.
const OTHER: &str = "93.184.200.7";

fn excepting(destination: &str) -> String {
    format!("[[exceptions]]\nreason = \"a test\"\ndestination = \"{destination}\"\n")
}

/// Whether a connection to the server is told, seen by one elsewhere that is told after it.
fn is_told(agent: &mut Agent, lab: &Lab, end: u16) -> bool {
    let from = agent.documents.len();
    drop(connect(lab, SERVER, 445).expect("connect"));
    let _other = attempt(lab, OTHER, end);
    agent.wait_for_action(OTHER, end, "connection-attempted");
    agent.documents[from..].iter().any(|alert| text(alert, "destination.ip") == SERVER)
}

#[test]
fn a_configuration_is_read_again_by_a_signal_and_a_wrong_one_is_not_taken() {
    let test = "a_configuration_is_read_again_by_a_signal_and_a_wrong_one_is_not_taken";
    let Some(lab) = Lab::make(test) else { return };
    let _listener = listen(&lab, SERVER, 445);
    let ports =
        |range: std::ops::Range<u16>| range.map(|port| port.to_string()).collect::<Vec<_>>().join(", ");
    let ports = format!("ports = [445, {}]\n", ports(4450..4455));
    let mut agent = Agent::start_with(&lab, &ports, &[]);
    assert!(is_told(&mut agent, &lab, 4450));

    let excepted = format!("{ports}{}", excepting(SERVER));
    assert!(agent.reload(&lab, &excepted));
    assert!(!is_told(&mut agent, &lab, 4451), "the kernel's exception is in force");

    assert!(!agent.reload(&lab, "ports = [445]\nnonsense = 1\n"));
    agent.wait_until_said("smbwatch.toml:3:1: unknown field `nonsense`");
    assert!(!is_told(&mut agent, &lab, 4452), "what was in force stays");

    assert!(agent.reload(&lab, &format!("{ports}{}ports = [139]\n", excepting(SERVER))));
    assert!(is_told(&mut agent, &lab, 4453), "it is for another port now");
    assert!(agent.reload_again());
    agent.wait_until_said("the configuration is as it was");
    agent.stop().account();
}

#[test]
fn a_file_that_changes_is_read_without_a_signal() {
    let Some(lab) = Lab::make("a_file_that_changes_is_read_without_a_signal") else { return };
    let mut agent = Agent::start_with(&lab, "", &[]);
    configure(&lab, &excepting(SERVER));
    agent.wait_until_said("the new configuration is in force");
    let _excepted = attempt(&lab, SERVER, 445);
    let _other = attempt(&lab, OTHER, 445);
    agent.wait_for_action(OTHER, 445, "connection-attempted");
    assert_eq!(agent.documents.len(), 1);
    // Torn, as it is while an editor writes.
    fs::write(lab.folder().join("smbwatch.toml"), "ports = [").expect("write");
    agent.wait_until_said("the configuration before stays in force");
}

/// Programs that are loaded anew go on with what those before them knew.
#[test]
fn a_connection_goes_on_under_another_profile() {
    let Some(lab) = Lab::make("a_connection_goes_on_under_another_profile") else { return };
    let (listener, listener6) = (listen(&lab, SERVER, 445), listen(&lab, SERVER6, 445));
    let mut agent = Agent::start(&lab);
    let mut client = connect(&lab, SERVER, 445).expect("connect");
    let (mut server, _) = listener.accept().expect("accept");
    client.write_all(&[0; 1000]).expect("write");
    server.read_exact(&mut [0; 1000]).expect("read");
    let established = agent.wait_for_action(SERVER, 445, "connection-established");

    assert!(agent.reload(&lab, "profile = \"strict\"\n"));
    client.write_all(&[0; 500]).expect("write");
    server.read_exact(&mut [0; 500]).expect("read");
    drop((client, server));
    let ended = agent.wait_for_action(SERVER, 445, "connection-ended");
    assert_eq!(number(&ended, "source.bytes"), 1500, "what was sent before counts");
    assert_eq!(text(&ended, "smbwatch.incident.id"), text(&established, "smbwatch.incident.id"));
    assert_eq!(text(&ended, "process.pid"), text(&established, "process.pid"));

    drop(connect(&lab, SERVER6, 445).expect("connect"));
    let ipv6 = agent.wait_for_action(SERVER6, 445, "connection-established");
    assert_eq!(text(&ipv6, "source.ip"), HOST6);
    drop(listener6);
    agent.stop().account();
}

#[test]
fn a_flow_that_another_configuration_excepts_is_told_no_more() {
    let Some(lab) = Lab::make("a_flow_that_another_configuration_excepts_is_told_no_more") else { return };
    let listener = listen(&lab, SERVER, 445);
    let mut agent = Agent::start(&lab);
    let client = connect(&lab, SERVER, 445).expect("connect");
    let (server, _) = listener.accept().expect("accept");
    agent.wait_for_action(SERVER, 445, "connection-established");
    assert!(agent.reload(&lab, &excepting(SERVER)));
    drop((client, server));
    let _other = attempt(&lab, OTHER, 445);
    agent.wait_for_action(OTHER, 445, "connection-attempted");
    let ended = agent.stop();
    assert!(ended.account().excepted > 0);
    assert!(ended.documents.iter().all(|alert| text(alert, "event.action") != "connection-ended"));
}

#[test]
fn interfaces_and_sinks_follow() {
    let Some(lab) = Lab::make("interfaces_and_sinks_follow") else { return };
    let file = lab.folder().join("alerts.ndjson");
    let sinks = format!("[[sinks]]\ntype = \"stdout\"\n[[sinks]]\ntype = \"file\"\npath = {file:?}\n");
    let mut agent = Agent::start(&lab);
    assert!(agent.reload(&lab, &sinks));
    let _attempt = attempt(&lab, SERVER, 445);
    agent.wait_for_action(SERVER, 445, "connection-attempted");
    let deadline = Instant::now() + PATIENCE;
    while !fs::read_to_string(&file).expect("the sink's file").contains(SERVER) {
        assert!(Instant::now() < deadline, "the file has no alert");
        std::thread::yield_now();
    }

    assert!(agent.reload(&lab, "[interfaces]\nexclude = [\"eth0\"]\n"));
    agent.wait_until_said("detached from eth0");
    assert!(agent.reload(&lab, ""));
    let _again = attempt(&lab, OTHER, 445);
    agent.wait_for_action(OTHER, 445, "connection-attempted");
    let file = fs::read_to_string(&file).expect("the sink's file");
    assert!(!file.contains(OTHER), "it is no sink any more");

    // Nothing of a configuration is taken whose sink does not open.
    let nowhere = "[[sinks]]\ntype = \"file\"\npath = \"/nowhere/at/all\"\n";
    assert!(!agent.reload(&lab, &format!("{}{nowhere}", excepting(OTHER))));
    let _still = attempt(&lab, OTHER, 139);
    agent.wait_for_action(OTHER, 139, "connection-attempted");
    agent.stop().account();
}

/// Each connection that is opened during 1,000 reloads, some of which load the programs anew, is told.
#[test]
fn no_connection_goes_unseen_during_a_thousand_reloads() {
    let test = "no_connection_goes_unseen_during_a_thousand_reloads";
    let Some(lab) = Lab::make(test) else { return };
    let plain = "[scan]\ndestinations = 0\n[limits]\nalerts_per_second = 1000000\n";
    let configs = [
        format!("{plain}{}{}", excepting("9.0.0.0/8"), excepting("9.1.0.0/16")),
        // The ranges of private hosts are compared by the programs themselves, which need not be loaded anew here.
        format!(
            "reserved = [\"10.0.0.0/8\", \"172.16.0.0/12\", \"192.168.0.0/16\", \"9.1.0.0/16\"]\n{plain}"
        ),
        format!("any_port = false\n{plain}{}", excepting("9.1.0.0/24")),
    ];
    let mut agent = Agent::start_with(&lab, &configs[0], &[]);
    let done = AtomicBool::new(false);
    let opened = std::thread::scope(|scope| {
        let opening = scope.spawn(|| {
            let mut opened = BTreeSet::new();
            while !done.load(Ordering::Relaxed) {
                let number = u32::try_from(opened.len()).expect("a number");
                let address = Ipv4Addr::from_bits((8 << 24) + 1 + number).to_string();
                drop(attempt(&lab, &address, 445));
                opened.insert(address);
                std::thread::sleep(Duration::from_millis(4));
            }
            opened
        });
        for number in 1..=1000 {
            let config = if number % 50 == 0 { &configs[2] } else { &configs[number % 2] };
            assert!(agent.reload(&lab, config), "{:?}", agent.said.last());
        }
        done.store(true, Ordering::Relaxed);
        opening.join().expect("open connections")
    });
    let ended = agent.stop();
    let told: BTreeSet<String> =
        ended.documents.iter().map(|alert| text(alert, "destination.ip").to_owned()).collect();
    assert!(opened.len() > 1000, "{} connections", opened.len());
    assert_eq!(opened.difference(&told).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(ended.account().lost, 0);
}
