//! What files say of a destination gets into its alerts, and follows the files.

mod support;

use std::fs;

use nix::sys::signal::Signal;
use serde_json::Value;
use support::agent::{Agent, number, text};
use support::lab::{Lab, NOBODY, SERVER};
use support::peer::{attempt, listen};

/// A configuration with two lists in the lab's folder, and two databases.
fn configuration(lab: &Lab) -> String {
    let list = |file: &str, format: &str, severity: u8| {
        let path = lab.folder().join(file);
        let path = path.display();
        format!("[[threat_lists]]\npath = \"{path}\"\nformat = \"{format}\"\nseverity = {severity}\n")
    };
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/geo");
    let geo = format!("[geo]\ncountry = \"{data}/country.mmdb\"\nasn = \"{data}/asn.mmdb\"\n");
    list("blocklist.txt", "plain", 99) + &list("feed.json", "stix", 73) + &geo
}

#[test]
fn a_list_raises_the_severity_until_it_changes() {
    let Some(lab) = Lab::make("a_list_raises_the_severity_until_it_changes") else { return };
    let path = lab.folder().join("blocklist.txt");
    fs::write(&path, format!("{SERVER}/28 # a test\n")).expect("write");
    let feed = format!(
        r#"{{"type": "bundle", "objects": [{{"type": "indicator", "name": "A test", "confidence": 50,
            "pattern": "[ipv4-addr:value = '{NOBODY}']", "valid_from": "2020-01-01T00:00:00Z",
            "object_marking_refs": ["marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487"]}}]}}"#
    );
    fs::write(lab.folder().join("feed.json"), feed).expect("write");
    let _server = listen(&lab, SERVER, 445);
    let mut agent = Agent::start_with(&lab, &configuration(&lab), &[]);

    let _client = attempt(&lab, SERVER, 445);
    let alert = agent.wait_for_action(SERVER, 445, "connection-attempted");
    assert_eq!(number(&alert, "event.severity"), 99);
    assert_eq!(text(&alert, "threat.feed.name"), "blocklist");
    for (field, value) in [
        ("ip", SERVER),
        ("type", "ipv4-addr"),
        ("name", "93.184.216.32/28"),
        ("provider", "blocklist"),
        ("confidence", ""),
    ] {
        assert_eq!(text(&alert, &format!("threat.indicator.{field}")), value);
    }
    assert!(text(&alert, "event.reason").ends_with("; 93.184.216.32/28 is listed by blocklist"));
    assert_eq!(text(&alert, "destination.geo.country_iso_code"), "US");
    assert_eq!(text(&alert, "server.geo.continent_code"), "NA");
    assert_eq!(number(&alert, "destination.as.number"), 64500);
    assert_eq!(text(&alert, "destination.as.organization.name"), "Example Networks");
    assert_eq!(alert.pointer("/source/geo"), None);

    let _client = attempt(&lab, NOBODY, 445);
    let alert = agent.wait_for_action(NOBODY, 445, "connection-attempted");
    assert_eq!(number(&alert, "event.severity"), 73);
    for (field, value) in [
        ("name", "93.184.216.99/32"),
        ("description", "A test"),
        ("confidence", "Medium"),
        ("marking.tlp", "CLEAR"),
    ] {
        assert_eq!(text(&alert, &format!("threat.indicator.{field}")), value);
    }

    fs::write(&path, "nonsense\n").expect("write");
    agent.wait_until_said(
        "blocklist.txt:1:1: `nonsense` is no address and no prefix; what was read before stays",
    );
    let new = lab.folder().join("new");
    fs::write(&new, "# nobody\n").expect("write");
    fs::rename(new, &path).expect("rename");
    agent.wait_until_said("blocklist.txt: 0 prefixes of the list `blocklist`");
    // That is said before the list is taken.
    let is_calm = (0..50).any(|_| {
        let client = attempt(&lab, SERVER, 445);
        let port = client.local_addr().ok().and_then(|end| end.as_socket()).map(|end| u64::from(end.port()));
        let alert = agent.wait_for("a further attempt", |alert| {
            port == Some(number(alert, "source.port"))
                && text(alert, "event.action") == "connection-attempted"
        });
        number(&alert, "event.severity") == 21 && text(&alert, "threat.indicator.type").is_empty()
    });
    assert!(is_calm, "the empty list still raises the severity");
}

/// `new` and `seen` of the alert of one attempt.
fn tries(lab: &Lab, agent: &mut Agent) -> (Option<bool>, u64) {
    let client = attempt(lab, SERVER, 445);
    let port = client.local_addr().ok().and_then(|end| end.as_socket()).map(|end| u64::from(end.port()));
    let alert = agent.wait_for("an attempt", |alert| port == Some(number(alert, "source.port")));
    let novelty = alert.pointer("/smbwatch/novelty/new").and_then(Value::as_bool);
    (novelty, novelty.map_or(0, |_| number(&alert, "smbwatch.novelty.seen")))
}

#[test]
fn what_was_seen_survives_restarts_kills_and_damage() {
    let Some(lab) = Lab::make("what_was_seen_survives_restarts_kills_and_damage") else { return };
    let state = lab.folder().join("state");
    let store = state.join("first-seen.redb");
    let configuration = format!("[state]\ndir = \"{}\"\n", state.display());

    let mut agent = Agent::start_with(&lab, &configuration, &[]);
    assert_eq!(tries(&lab, &mut agent), (None, 0));
    agent.stop();
    fs::create_dir(&state).expect("a folder");

    let mut agent = Agent::start_with(&lab, &configuration, &[]);
    assert_eq!(tries(&lab, &mut agent), (Some(true), 1));
    assert_eq!(tries(&lab, &mut agent), (Some(false), 2));
    agent.stop();

    let mut agent = Agent::start_with(&lab, &configuration, &[]);
    assert_eq!(tries(&lab, &mut agent), (Some(false), 3));
    agent.stop_by(Signal::SIGKILL);

    let mut agent = Agent::start_with(&lab, &configuration, &[]);
    // The last second may be lost.
    assert!(matches!(tries(&lab, &mut agent), (Some(false), 3 | 4)));
    let ended = agent.stop();
    assert!(!ended.said.iter().any(|line| line.contains("first-seen")), "{:#?}", ended.said);

    fs::write(&store, "nonsense").expect("write");
    let mut agent = Agent::start_with(&lab, &configuration, &[]);
    agent.wait_until_said("first-seen.redb.damaged, and what is new is learned anew");
    assert_eq!(tries(&lab, &mut agent), (Some(true), 1));
    assert!(state.join("first-seen.redb.damaged").exists());
}
