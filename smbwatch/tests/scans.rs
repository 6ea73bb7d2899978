//! A workload that tries many destinations is told as one scan.

mod support;

use serde_json::json;
use support::agent::{Agent, number, text};
use support::lab::{Lab, SERVER};
use support::peer::{attempt, listen};

#[test]
fn a_worm_is_one_scan() {
    let Some(lab) = Lab::make("a_worm_is_one_scan") else { return };
    let _listener = listen(&lab, SERVER, 445);
    let mut agent = Agent::start(&lab);
    let targets: Vec<String> = (1..=100).map(|number| format!("93.184.200.{number}")).collect();
    let _clients: Vec<_> = targets.iter().map(|target| attempt(&lab, target, 445)).collect();
    let scan = agent.wait_for("the scan", |alert| text(alert, "event.action") == "scan-detected");
    assert_eq!(number(&scan, "event.severity"), 73);
    assert_eq!(number(&scan, "smbwatch.scan.destinations"), 20);
    assert_eq!(scan["smbwatch"]["scan"]["samples"][0], json!("93.184.200.1:445"));
    assert_eq!(number(&scan, "process.pid"), u64::from(std::process::id()));
    let grown = |destinations| {
        move |alert: &serde_json::Value| {
            text(alert, "event.action") == "scan-continued"
                && number(alert, "smbwatch.scan.destinations") == destinations
        }
    };
    agent.wait_for("twice as many", grown(40));
    let last = agent.wait_for("four times as many", grown(80));
    assert_eq!(text(&last, "smbwatch.incident.id"), text(&scan, "smbwatch.incident.id"));
    // Silence and refusals of its parts are counted.
    let ended = agent.stop();
    let singles = ended.documents.iter().filter(|alert| alert.pointer("/smbwatch/scan").is_none());
    let attempted = singles.clone().filter(|alert| text(alert, "event.action") == "connection-attempted");
    assert_eq!(attempted.count(), 19);
    assert!(singles.clone().all(|alert| text(alert, "event.action") != "connection-established"));
    assert_eq!(ended.account().lost, 0);
}
