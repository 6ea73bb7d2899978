//! Sinks that change while alerts wait for them: nothing is lost, and the new one gets what the old one kept.

mod support;

use std::path::Path;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message as _;
use smbwatch::config::Config;
use smbwatch::sink::{Counts, Format, Outlet};
use support::agent::{Agent, PATIENCE};
use support::alerts::{Maker, start};
use support::lab::{End, Lab, SERVER};
use support::otlp::documents;
use support::peer::attempt;
use support::server::{Reply, Server};

/// Another address that the lab's Internet has.
const OTHER: &str = "93.184.200.7";

fn webhook(port: u16) -> String {
    format!("[[sinks]]\ntype = \"webhook\"\nname = \"siem\"\nurl = \"http://127.0.0.1:{port}/\"\n")
}

#[test]
fn a_sink_of_another_type_delivers_what_the_one_before_kept() {
    let test = "a_sink_of_another_type_delivers_what_the_one_before_kept";
    let Some(lab) = Lab::make(test) else { return };
    let stdout = "[[sinks]]\ntype = \"stdout\"\n";
    let otlp =
        "[[sinks]]\ntype = \"otlp\"\nname = \"siem\"\nurl = \"http://127.0.0.1:4318\"\nprotocol = \"http\"\n";
    let mut agent = Agent::start_with(&lab, &format!("{stdout}{}", webhook(8080)), &[]);
    let _first = attempt(&lab, SERVER, 445);
    let first = agent.wait_for_action(SERVER, 445, "connection-attempted");
    agent.wait_until_said("sink siem: ");

    let (sender, delivered) = channel();
    let _server = Server::start(&lab, 4318, move |asked| {
        let request = ExportLogsServiceRequest::decode(asked.body.as_slice()).expect("a request");
        sender.send(documents(request)).expect("the test waits");
        Reply::Answer(200, String::new())
    });
    let in_memory = format!("{stdout}{}spool_mib = 0\n", webhook(8080));
    assert!(!agent.reload(&lab, &in_memory), "what is on disk cannot move into memory");
    agent.wait_until_said(
        "sink siem: its alerts would be kept elsewhere than until now; give it another `name`",
    );
    assert!(agent.reload(&lab, &format!("{stdout}{otlp}")));
    let _second = attempt(&lab, OTHER, 445);
    let second = agent.wait_for_action(OTHER, 445, "connection-attempted");
    let mut awaited = vec![first, second];
    while !awaited.is_empty() {
        let arrived = delivered.recv_timeout(PATIENCE).expect("a delivery");
        awaited.retain(|alert| !arrived.contains(alert));
    }
    let ended = agent.stop();
    let siem = ended.said.iter().find(|line| line.trim_start().starts_with("siem: ")).expect("its account");
    assert!(!siem.contains("NOT"), "{siem}");
}

#[test]
fn what_a_removed_sink_kept_is_told_at_the_next_start() {
    let test = "what_a_removed_sink_kept_is_told_at_the_next_start";
    let Some(lab) = Lab::make(test) else { return };
    let mut agent = Agent::start_with(&lab, &webhook(8080), &[]);
    let _first = attempt(&lab, SERVER, 445);
    agent.wait_until_said("sink siem: ");
    agent.stop();
    let other = webhook(8081).replace("siem", "other");
    let mut agent = Agent::start_with(&lab, &other, &[]);
    agent.wait_until_said(" alerts wait for a sink called `siem`");
    agent.stop();
    let ended = Agent::start_with(&lab, &webhook(8080), &[]).stop();
    assert!(!ended.said.iter().any(|line| line.contains(".redb")), "{:?}", ended.said);
}

#[test]
fn a_sink_that_hangs_does_not_keep_the_next_from_spooling() {
    let test = "a_sink_that_hangs_does_not_keep_the_next_from_spooling";
    let Some(lab) = Lab::make(test) else { return };
    const COUNT: u64 = 10_000;
    let hanging = Server::start(&lab, 8080, |_| Reply::Hang);
    let mut outlet = Outlet::to(vec![start(&lab, &webhook(8080))]);
    let mut maker = Maker::new();
    outlet.send(maker.smb());
    wait(&outlet, "it is in the spool", |counts| counts.spooled == 1);

    let next = Config::parse(&webhook(8081), Path::new("test.toml"), None).expect("a configuration").sinks;
    let started = lab.inside(End::Host, || outlet.start_missing(&next, lab.folder(), Format::Json));
    outlet.adapt(&next, started.expect("start the next"));
    // More than a queue holds, while the one before still waits for its answer.
    for _ in 1..COUNT {
        wait(&outlet, "there is room", |counts| counts.queued < 4000);
        outlet.send(maker.smb());
    }
    let counts = wait(&outlet, "all are in the spool", |counts| counts.queued == 0);
    assert_eq!((counts.made, counts.spooled, counts.lost.total()), (COUNT, COUNT, 0), "{counts:?}");

    let (sender, arrived) = channel();
    let _server = Server::start(&lab, 8081, move |asked| {
        let text = String::from_utf8(asked.body).expect("text");
        sender.send(text.lines().count()).expect("the test waits");
        Reply::Answer(200, String::new())
    });
    drop(hanging);
    wait(&outlet, "all are delivered", |counts| counts.delivered == COUNT);
    assert_eq!(arrived.try_iter().sum::<usize>() as u64, COUNT);
}

#[test]
fn a_sink_that_is_removed_may_come_back_while_it_ends() {
    let test = "a_sink_that_is_removed_may_come_back_while_it_ends";
    let Some(lab) = Lab::make(test) else { return };
    let hanging = Server::start(&lab, 8080, |_| Reply::Hang);
    let mut outlet = Outlet::to(vec![start(&lab, &webhook(8080))]);
    let mut maker = Maker::new();
    outlet.send(maker.smb());
    wait(&outlet, "it is in the spool", |counts| counts.spooled == 1);
    outlet.adapt(&[], Vec::new());
    assert_eq!(outlet.counts().len(), 1, "what it keeps is told");

    let next = Config::parse(&webhook(8081), Path::new("test.toml"), None).expect("a configuration").sinks;
    let started = lab.inside(End::Host, || outlet.start_missing(&next, lab.folder(), Format::Json));
    outlet.adapt(&next, started.expect("start it again"));
    outlet.send(maker.smb());
    let _server = Server::start(&lab, 8081, |_| Reply::Answer(200, String::new()));
    drop(hanging);
    let counts = wait(&outlet, "both are delivered", |counts| counts.delivered == 2);
    assert_eq!((counts.made, counts.lost.total()), (2, 0), "{counts:?}");
}

fn wait(outlet: &Outlet, what: &str, mut done: impl FnMut(&Counts) -> bool) -> Counts {
    let deadline = Instant::now() + 3 * PATIENCE;
    loop {
        let counts = outlet.counts().pop().expect("a sink").1;
        assert!(counts.agrees(), "{counts:?}");
        if done(&counts) {
            return counts;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}: {counts:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
