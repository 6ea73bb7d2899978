//! A real SMB client copies a file to a real server on the Internet, and is told with name and arguments.

mod support;

use std::process::Stdio;

use serde_json::{Value, json};
use support::agent::{Agent, number, text};
use support::ecs::pointer;
use support::lab::{Lab, SERVER, SERVER6};
use support::samba::{PASSWORD, Samba, client};

#[test]
fn smbclient_is_told_on_the_ports_of_smb_and_on_any_other() {
    let test = "smbclient_is_told_on_the_ports_of_smb_and_on_any_other";
    let Some(lab) = Lab::make(test) else { return };
    let Some(_samba) = Samba::serve(&lab, test) else { return };
    let mut agent = Agent::start(&lab);
    put(&lab, &mut agent, &[], 445, &GRADES);
    put(&lab, &mut agent, &["-p", "139"], 139, &GRADES);
    put(&lab, &mut agent, &["-p", "8445"], 8445, &GRADES[2..]);
    let ended = agent.stop();
    assert!(ended.status.success());
    assert_eq!(ended.account().alerted, 13);
    assert!(ended.documents.iter().all(|alert| !alert.to_string().contains(PASSWORD)));
}

#[test]
fn smbclient_is_told_over_ipv6_in_the_strict_profile() {
    let test = "smbclient_is_told_over_ipv6_in_the_strict_profile";
    let Some(lab) = Lab::make(test) else { return };
    let Some(_samba) = Samba::serve(&lab, test) else { return };
    let mut agent = Agent::start_with(&lab, "", &["--profile", "strict"]);
    let mut child = client(&lab, SERVER6, &[])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("start smbclient");
    let alert = agent.wait_for_action(SERVER6, 445, "smb-spoken");
    assert!(child.wait().expect("wait for smbclient").success());
    assert_eq!(text(&alert, "network.type"), "ipv6");
    assert_eq!(text(&alert, "rule.ruleset"), "strict");
    assert_eq!(number(&alert, "process.pid"), u64::from(child.id()));
}

const GRADES: [&str; 5] =
    ["connection-attempted", "connection-established", "smb-spoken", "identity-sent", "connection-ended"];

/// Copies a file by smbclient, and compares the alerts with what is known of it.
fn put(lab: &Lab, agent: &mut Agent, args: &[&str], port: u16, actions: &[&str]) {
    let mut child = client(lab, SERVER, args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("start smbclient");
    let pid = child.id();
    let alerts: Vec<Value> =
        actions.iter().map(|action| agent.wait_for_action(SERVER, port, action)).collect();
    assert!(child.wait().expect("wait for smbclient").success());

    // smbclient overwrites the password in its arguments.
    let share = format!("//{SERVER}/share");
    let mut arguments =
        vec!["smbclient", &share, "-s", "/dev/null", "-U", r"CORP\alice", "-c", "put customers.csv"];
    arguments.extend(args);
    for alert in &alerts {
        for (path, value) in [
            ("smbwatch.incident.id", alerts[0].pointer(&pointer("smbwatch.incident.id")).cloned()),
            ("network.community_id", alerts[0].pointer(&pointer("network.community_id")).cloned()),
            ("process.pid", Some(json!(pid))),
            ("process.name", Some(json!("smbclient"))),
            ("process.args", Some(json!(arguments))),
            ("process.args_count", Some(json!(arguments.len()))),
            ("process.command_line", Some(json!(arguments.join(" ")))),
            ("process.parent.pid", Some(json!(std::process::id()))),
            ("user.id", Some(json!("0"))),
            ("user.name", Some(json!("root"))),
            ("related.user.0", Some(json!("root"))),
            ("smbwatch.attribution.method", Some(json!("owner"))),
            ("smbwatch.flow.by_content", Some(json!(actions[0] == "smb-spoken"))),
        ] {
            assert!(value.is_some(), "{path}");
            assert_eq!(alert.pointer(&pointer(path)), value.as_ref(), "{path}");
        }
        assert!(text(alert, "process.executable").ends_with("/smbclient"), "{alert:#}");
        assert!(text(alert, "network.community_id").starts_with("1:"));
    }
    eprintln!("{:#}", alerts[alerts.len() - 1]);
    let smb = &alerts[alerts.len() - 3];
    assert!((8..4096).contains(&number(smb, "source.bytes")), "{smb:#}");
    assert!(number(smb, "smbwatch.flow.wire.bytes") > number(smb, "source.bytes"), "{smb:#}");
    assert_eq!(number(smb, "network.bytes"), number(smb, "source.bytes") + number(smb, "destination.bytes"));
}
