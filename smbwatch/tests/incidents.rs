//! What a workload does again and again at one destination is one incident, told when it goes further.

mod support;

use std::io::Write as _;

use support::agent::{Agent, number, text};
use support::lab::{Lab, SERVER};
use support::peer::{connect, listen};

#[test]
fn repeats_of_an_incident_are_counted() {
    let Some(lab) = Lab::make("repeats_of_an_incident_are_counted") else { return };
    let _listener = listen(&lab, SERVER, 445);
    let mut agent = Agent::start_with(&lab, "incident_seconds = 300\n", &[]);
    for _ in 0..20 {
        drop(connect(&lab, SERVER, 445).expect("connect"));
    }
    let mut client = connect(&lab, SERVER, 445).expect("connect");
    client.write_all(b"\0\0\0\x04\xfeSMB").expect("write");
    let spoken = agent.wait_for_action(SERVER, 445, "smb-spoken");
    assert!(number(&spoken, "smbwatch.incident.repeats") >= 20 * 2);
    assert!(text(&spoken, "event.reason").contains(" times more since the last alert"));
    let ended = agent.stop();
    let actions: Vec<&str> = ended.documents.iter().map(|alert| text(alert, "event.action")).collect();
    assert_eq!(
        actions,
        ["connection-attempted", "connection-established", "connection-ended", "smb-spoken"],
        "the end of the first is told"
    );
    let incident = text(&spoken, "smbwatch.incident.id");
    assert!(ended.documents.iter().all(|alert| text(alert, "smbwatch.incident.id") == incident));
}

#[test]
fn an_incident_that_goes_on_is_told_again() {
    let Some(lab) = Lab::make("an_incident_that_goes_on_is_told_again") else { return };
    let _listener = listen(&lab, SERVER, 445);
    let mut agent = Agent::start_with(&lab, "incident_seconds = 1\n", &[]);
    let deadline = std::time::Instant::now() + support::agent::PATIENCE;
    while !agent.documents.iter().any(|alert| text(alert, "event.action") == "still-active") {
        assert!(std::time::Instant::now() < deadline, "it is never told again");
        drop(connect(&lab, SERVER, 445).expect("connect"));
        agent.next_within(std::time::Duration::from_millis(50));
    }
    let again = agent.documents.last().expect("an alert");
    assert!(number(again, "smbwatch.incident.repeats") > 0);
}
