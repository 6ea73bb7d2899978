//! Who may speak SMB to the Internet is not told, and is counted; and no one else.

mod support;

use std::fs;

use support::agent::{Agent, text};
use support::lab::{Lab, SERVER};
use support::peer::{attempt, connect, listen};

/// Another address that the lab's Internet has, by which the end of a test is known.
const OTHER: &str = "93.184.200.7";

/// An agent that has heard of a connection to the server, and then of one elsewhere.
fn heard(lab: &Lab, exceptions: &str) -> support::agent::Ended {
    let _listener = listen(lab, SERVER, 445);
    let mut agent = Agent::start_with(lab, exceptions, &[]);
    drop(connect(lab, SERVER, 445).expect("connect"));
    let _other = attempt(lab, OTHER, 445);
    agent.wait_for_action(OTHER, 445, "connection-attempted");
    agent.stop()
}

fn told(ended: &support::agent::Ended) -> bool {
    ended.documents.iter().any(|alert| text(alert, "destination.ip") == SERVER)
}

#[test]
fn an_exception_is_counted_by_its_reason() {
    let Some(lab) = Lab::make("an_exception_is_counted_by_its_reason") else { return };
    let program = std::env::current_exe().expect("a path");
    for (keys, excepted) in [
        (format!("destination = \"{SERVER}\"\nports = [445]\nexpires = \"2999-12-31\""), true),
        (format!("destination = \"{SERVER}\"\nports = [139]"), false),
        (format!("destination = \"{SERVER}\"\nexpires = \"2020-12-31\"\nowner = \"storage\""), false),
        ("source = \"10.99.0.0/16\"".to_owned(), false),
        (format!("destination = \"{SERVER}\"\nexecutable = {program:?}"), true),
        (format!("destination = \"{SERVER}\"\nexecutable = \"/usr/bin/rclone\""), false),
        (format!("destination = \"{SERVER}\"\ncontainer = \"backup-*\""), false),
    ] {
        let ended = heard(&lab, &format!("[[exceptions]]\nreason = \"a test\"\n{keys}\n"));
        assert_eq!(told(&ended), !excepted, "{keys}");
        assert_eq!(ended.account().excepted > 0, excepted, "{keys}: {:?}", ended.said);
        let counted = ended.said.iter().any(|line| line.contains("by `a test`"));
        assert_eq!(counted, excepted, "{keys}: {:?}", ended.said);
        let expired = ended.said.iter().filter(|line| line.contains("has expired")).count();
        assert_eq!(expired, usize::from(keys.contains("2020")), "{:?}", ended.said);
    }
}

#[test]
fn a_list_is_read_again_and_a_bad_one_changes_nothing() {
    let Some(lab) = Lab::make("a_list_is_read_again_and_a_bad_one_changes_nothing") else { return };
    let list = lab.folder().join("storage.txt");
    fs::write(&list, format!("# storage\n{SERVER}\n")).expect("write a list");
    let config = format!("[[exceptions]]\nreason = \"a test\"\ndestinations_file = {list:?}\n");
    assert!(!told(&heard(&lab, &config)));

    let _listener = listen(&lab, SERVER, 445);
    let mut agent = Agent::start_with(&lab, &config, &[]);
    fs::write(&list, "nonsense\n").expect("write a list");
    agent.wait_until_said("storage.txt: line 1: `nonsense` is no address range");
    drop(connect(&lab, SERVER, 445).expect("connect"));
    fs::write(&list, "1.2.3.0/24\n").expect("write a list");
    let deadline = std::time::Instant::now() + support::agent::PATIENCE;
    while agent.documents.is_empty() {
        assert!(std::time::Instant::now() < deadline, "the list is not read again");
        drop(connect(&lab, SERVER, 445).expect("connect"));
        agent.next_within(std::time::Duration::from_millis(100));
    }
    assert!(agent.stop().account().excepted > 0);
}
