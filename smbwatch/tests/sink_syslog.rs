//! What a real rsyslogd and a real systemd-journald understand of an alert.

mod support;

use std::sync::Arc;

use serde_json::Value;
use support::agent::text;
use support::alerts::{Maker, close, send, start, wait_for};
use support::lab::Lab;
use support::receivers::syslog::{Syslog, Way, document};
use support::receivers::{Kind, Mood, Receiver as _, journal, wait_until};
use support::skip::skip;

#[test]
fn rsyslog_understands_every_alert_by_every_way() {
    let test = "rsyslog_understands_every_alert_by_every_way";
    let Some(lab) = Lab::make(test) else { return };
    if let Some(reason) = Kind::SyslogTls.obstacle() {
        return skip(test, reason);
    }
    for way in [Way::Unix, Way::Udp, Way::Tcp, Way::Tls] {
        let mut receiver = Syslog::new(&lab, way);
        receiver.start(Mood::Taking);
        let sink = start(&lab, &receiver.config());
        // No more than a socket's buffer has room for.
        let made = send(&sink, &mut Maker::new(), 20);
        wait_for(&sink, "all are sent", |counts| counts.delivered == 20);
        close(sink);
        wait_until("all have arrived", || receiver.lines().len() >= made.len());
        assert_eq!(receiver.arrived(), made, "{way:?}");
        let facility = if way == Way::Tcp { 19 } else { 3 };
        let priority = (facility * 8 + 3).to_string();
        let process = std::process::id().to_string();
        for line in receiver.lines() {
            let header = line.trim_end_matches(document(&line));
            let words: Vec<&str> = header.split_whitespace().collect();
            assert_eq!(
                words,
                [&priority, "host.example", "smbwatch", &process, "smb-to-internet"],
                "{way:?}"
            );
        }
    }
}

#[test]
fn rsyslog_that_asks_for_a_certificate_loses_nothing_of_those_without() {
    let test = "rsyslog_that_asks_for_a_certificate_loses_nothing_of_those_without";
    let Some(lab) = Lab::make(test) else { return };
    if let Some(reason) = Kind::SyslogTls.obstacle() {
        return skip(test, reason);
    }
    let mut receiver = Syslog::new(&lab, Way::Tls).asking();
    receiver.start(Mood::Taking);
    let stranger = start(&lab, &receiver.config().replace("name = \"tls\"", "name = \"stranger\""));
    send(&stranger, &mut Maker::new(), 20);
    let folder = lab.folder().display();
    let own = format!("certificate = \"{folder}/cert.pem\"\nkey = \"{folder}/key.pem\"");
    let sink = start(&lab, &format!("{}\n{own}", receiver.config()));
    let made = send(&sink, &mut Maker::new(), 20);
    wait_for(&sink, "all are sent", |counts| counts.delivered == 20);
    close(sink);
    wait_until("all have arrived", || receiver.lines().len() >= made.len());
    let counts = close(stranger);
    assert_eq!((counts.spooled, counts.delivered), (20, 0), "{counts:?}");
    assert_eq!(receiver.arrived(), made);
}

#[test]
fn the_journal_gets_every_alert_with_its_fields() {
    let test = "the_journal_gets_every_alert_with_its_fields";
    let Some(lab) = Lab::make(test) else { return };
    if let Some(reason) = Kind::Journald.obstacle() {
        return skip(test, reason);
    }
    let mut journal = journal::Journal::new(&lab);
    journal.start(Mood::Taking);
    let sink = start(&lab, &journal.config());
    let mut maker = Maker::new();
    let mut made = send(&sink, &mut maker, 100);
    // Longer than a datagram may be.
    let mut long = maker.smb();
    long.event.reason = "line\n".repeat(100_000);
    made.push(long.event.id.clone());
    sink.send(&Arc::new(long));
    wait_for(&sink, "all are delivered", |counts| counts.delivered == 101);
    close(sink);
    wait_until("all are in the journal", || journal.entries().len() == made.len());
    for (entry, id) in journal.entries().iter().zip(&made) {
        assert_eq!(
            (entry["SMBWATCH_EVENT_ID"].as_str(), entry["PRIORITY"].as_str()),
            (Some(id.as_str()), Some("3"))
        );
        assert_eq!(entry["SMBWATCH_DESTINATION_IP"], "93.184.216.34");
        let alert: Value =
            serde_json::from_str(entry["SMBWATCH_ALERT"].as_str().expect("text")).expect("JSON");
        assert_eq!(text(&alert, "event.id"), id);
        assert_eq!(entry["MESSAGE"].as_str().expect("text"), text(&alert, "event.reason"));
    }
}
