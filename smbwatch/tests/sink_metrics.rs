//! The account of each sink agrees at every scrape, in a flood too, whether the other side is there or not.

mod support;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use smbwatch_ebpf::testing::build::{IPV4, Ipv4, Tcp, ethernet};
use support::agent::{Agent, PATIENCE};
use support::lab::{HOST, Lab};
use support::packet_socket::send_frames;
use support::scrape::Answer;

const FLOOD: u32 = 4_000;
const SINKS: [&str; 5] = ["stdout", "file", "filtered", "forgetful", "dead"];

#[test]
fn every_sink_adds_up_at_every_scrape_of_a_flood() {
    let Some(lab) = Lab::make("every_sink_adds_up_at_every_scrape_of_a_flood") else { return };
    let config = format!(
        "owners = false\n\
         [[sinks]]\ntype = \"stdout\"\n\
         [[sinks]]\ntype = \"file\"\nname = \"file\"\npath = \"{0}/alerts.ndjson\"\n\
         [[sinks]]\ntype = \"file\"\nname = \"filtered\"\npath = \"{0}/grave.ndjson\"\nseverity = 99\n\
         [[sinks]]\ntype = \"webhook\"\nname = \"forgetful\"\nurl = \"http://127.0.0.1:1/\"\nspool_mib = 0\n\
         [[sinks]]\ntype = \"webhook\"\nname = \"dead\"\nurl = \"http://127.0.0.1:1/\"\n\
         [limits]\nalerts_per_second = 1000000\n",
        lab.folder().display()
    );
    let agent = Agent::start_with(&lab, &config, &[]);
    let frames: Vec<Vec<u8>> = (0..FLOOD).map(frame).collect();
    let mut scrapes = 0_u32;
    let began = Instant::now();
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| send_frames(&lab, &frames));
        while !sender.is_finished() {
            agrees(&Answer::metrics(&lab));
            scrapes += 1;
        }
    });
    let deadline = Instant::now() + PATIENCE;
    let last = loop {
        let scrape = Answer::metrics(&lab);
        agrees(&scrape);
        scrapes += 1;
        if scrape.sum("smbwatch_pending", "") + scrape.sum("smbwatch_sink_queue", "") == 0 {
            break scrape;
        }
        assert!(Instant::now() < deadline, "alerts still wait: {}", scrape.body);
    };
    let of = |metric: &str, sink: &str| last.sum(metric, &format!("sink=\"{sink}\""));
    let alerts = last.sum("smbwatch_alerts_total", "");
    eprintln!("{scrapes} scrapes of {alerts} alerts, {} of the spool's", of("smbwatch_sink_spool", "dead"));
    assert!(scrapes > 5 && alerts > 2000, "{scrapes} scrapes of {alerts} alerts");
    assert_eq!(of("smbwatch_sink_delivered_total", "file"), of("smbwatch_sink_made_total", "file"));
    assert_eq!(of("smbwatch_sink_filtered_total", "filtered"), alerts);
    assert_ne!(last.sum("smbwatch_sink_lost_total", "sink=\"forgetful\",reason=\"spool_full\""), 0);
    assert_eq!(
        of("smbwatch_sink_spool", "dead"),
        alerts - of("smbwatch_sink_lost_total", "dead"),
        "{}",
        last.body
    );
    assert!(of("smbwatch_sink_spool_size_bytes", "dead") > 1000 * of("smbwatch_sink_spool", "dead"));
    let age = age(&last, "dead");
    assert!(age > Duration::ZERO && age <= began.elapsed(), "{age:?} of {:?}", began.elapsed());
    assert_eq!(self::age(&last, "file"), Duration::ZERO);
    let spooled = of("smbwatch_sink_spool", "dead");
    agent.stop();

    // What waited is inherited, and as old as it is.
    let agent = Agent::start_with(&lab, &config, &[]);
    let scrape = Answer::metrics(&lab);
    agrees(&scrape);
    assert_eq!(scrape.sum("smbwatch_sink_inherited_total", "sink=\"dead\""), spooled);
    assert!(self::age(&scrape, "dead") > age);
    agent.stop();
}

fn agrees(scrape: &Answer) {
    let alerts = scrape.sum("smbwatch_alerts_total", "");
    for sink in SINKS {
        let of = |metric: &str| scrape.sum(metric, &format!("sink=\"{sink}\""));
        let made = of("smbwatch_sink_made_total");
        assert_eq!(made + of("smbwatch_sink_filtered_total"), alerts, "{sink}: {}", scrape.body);
        assert_eq!(
            made + of("smbwatch_sink_inherited_total"),
            of("smbwatch_sink_delivered_total")
                + of("smbwatch_sink_lost_total")
                + of("smbwatch_sink_queue")
                + of("smbwatch_sink_spool"),
            "{sink}: {}",
            scrape.body
        );
    }
}

fn age(scrape: &Answer, sink: &str) -> Duration {
    let label = format!("sink=\"{sink}\"");
    let found = scrape.samples().find(|(name, labels, _)| {
        *name == "smbwatch_sink_spool_age_seconds" && labels.contains(label.as_str())
    });
    let seconds = found.and_then(|(_, _, value)| value.parse().ok()).expect("an age");
    Duration::from_secs_f64(seconds)
}

/// A flow of its own.
fn frame(number: u32) -> Vec<u8> {
    let source = HOST.parse().expect("an address");
    let destination = Ipv4Addr::from(0x5db9_0000 + (number >> 15));
    let port = u16::try_from(number & 0x7fff).expect("15 bits") + 1024;
    ethernet(&[], IPV4, &Ipv4::new(source, destination).wrap(&Tcp::syn(port, 445).bytes()))
}
