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

/// What an alert says at the end of a dialogue: by path below `smbwatch.smb`, or none where nothing may be said.
type Said<'a> = &'a [(&'a str, Option<Value>)];

#[test]
fn each_dialect_is_told_with_what_was_said() {
    let test = "each_dialect_is_told_with_what_was_said";
    let Some(lab) = Lab::make(test) else { return };
    let Some(_samba) = Samba::serve(&lab, test) else { return };
    let mut agent = Agent::start_with(&lab, "[smb]\nfile_names = 4\n", &[]);
    let said = |value: Value| Some(value);
    let path = format!(r"\\{SERVER}\share");
    let sent = [
        ("logons.0.user", said(json!("alice"))),
        ("logons.0.domain", said(json!("CORP"))),
        ("logons.0.response", said(json!("ntlmv2"))),
        ("logons.0.anonymous", said(json!(false))),
        ("logons.0.status", said(json!("STATUS_SUCCESS"))),
    ];
    let open = [("shares.1.path", said(json!(path))), ("files.0", said(json!("customers.csv")))];
    for (dialect, version) in [
        ("SMB2_02", "2.0.2"),
        ("SMB2_10", "2.1"),
        ("SMB3_00", "3.0"),
        ("SMB3_02", "3.0.2"),
        ("SMB3_11", "3.1.1"),
    ] {
        let only = [format!("--option=client min protocol={dialect}"), format!("-m{dialect}")];
        let args: Vec<&str> = only.iter().map(String::as_str).collect();
        let all = [&sent[..], &open, &[("version", said(json!(version)))]].concat();
        dialogue(&lab, &mut agent, dialect, &args, "identity-sent", &all);
    }
    let old = ["--option=client min protocol=NT1", "-mNT1"];
    let all =
        [&sent[..], &[("version", said(json!("1.0"))), ("shares.1.name", said(json!("SHARE")))]].concat();
    let alert = dialogue(&lab, &mut agent, "NT1", &old, "identity-sent", &all);
    assert_eq!(alert["tags"], json!(["smb", "egress", "smb1"]));
    assert!(text(&alert, "event.reason").ends_with(", by SMB 1"));

    let signed = [("signing.required", said(json!(true)))];
    dialogue(
        &lab,
        &mut agent,
        "signed",
        &["--client-protection=sign"],
        "identity-sent",
        &[&sent[..], &signed].concat(),
    );
    let hidden = [("encryption.used", said(json!(true))), ("shares", None), ("files", None)];
    let args = ["--client-protection=encrypt"];
    dialogue(&lab, &mut agent, "encrypted", &args, "identity-sent", &[&sent[..], &hidden].concat());
    let wrong = [
        ("logons.0.user", said(json!("alice"))),
        ("logons.0.status", said(json!("STATUS_LOGON_FAILURE"))),
        ("shares", None),
    ];
    dialogue(&lab, &mut agent, "wrong password", &["-U", "alice%wrong"], "identity-sent", &wrong);
    let guest = [("logons.0.user", said(json!("stranger"))), ("logons.0.guest", said(json!(true)))];
    dialogue(&lab, &mut agent, "guest", &["-U", "stranger%any"], "identity-sent", &guest);
    let anonymous = [("logons.0.anonymous", said(json!(true))), ("logons.0.user", None)];
    dialogue(&lab, &mut agent, "anonymous", &["-U", "%"], "smb-spoken", &anonymous);

    let ended = agent.stop();
    assert!(ended.documents.iter().all(|alert| !alert.to_string().contains(PASSWORD)));
    let anonymous = ended.documents.last().expect("an alert");
    assert_eq!((text(anonymous, "smbwatch.grade"), number(anonymous, "event.severity")), ("smb", 73));
}

/// Runs smbclient; what was said is compared at the end of its connection. Gives that alert.
fn dialogue(lab: &Lab, agent: &mut Agent, name: &str, args: &[&str], highest: &str, said: Said<'_>) -> Value {
    let mut child = client(lab, SERVER, args);
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start smbclient");
    let pid = u64::from(child.id());
    let of = |action: &'static str| {
        move |alert: &Value| number(alert, "process.pid") == pid && text(alert, "event.action") == action
    };
    child.wait().expect("wait for smbclient");
    let ended = agent.wait_for(name, of("connection-ended"));
    let count = agent.documents.iter().filter(|alert| number(alert, "process.pid") == pid).count();
    let actions: Vec<_> = agent.documents[agent.documents.len() - count..]
        .iter()
        .map(|alert| text(alert, "event.action"))
        .collect();
    assert_eq!(actions[actions.len() - 2], highest, "{name}: {actions:?}");
    for (path, value) in said {
        let found = ended.pointer(&pointer(&format!("smbwatch.smb.{path}")));
        assert_eq!(found, value.as_ref(), "{name}: {path} in {:#}", ended["smbwatch"]["smb"]);
    }
    ended
}

#[test]
fn a_transfer_is_told_while_it_goes_on() {
    let test = "a_transfer_is_told_while_it_goes_on";
    let Some(lab) = Lab::make(test) else { return };
    let Some(_samba) = Samba::serve(&lab, test) else { return };
    let mut agent = Agent::start(&lab);
    let size = 100 << 20;
    std::fs::File::create(lab.folder().join("dump"))
        .and_then(|file| file.set_len(size))
        .expect("make a file");
    let mut put = client(&lab, SERVER, &["-c", "put dump; get dump again"]);
    assert!(put.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("run smbclient").success());
    let transferring = agent.wait_for_action(SERVER, 445, "data-transferring");
    let sent = number(&transferring, "source.bytes");
    assert!((1 << 20..2 << 20).contains(&sent), "{sent}");
    assert_eq!(number(&transferring, "event.severity"), 99);
    let ended = agent.wait_for_action(SERVER, 445, "connection-ended");
    for path in ["source.bytes", "destination.bytes"] {
        let bytes = number(&ended, path);
        assert!((size..size + size / 50).contains(&bytes), "{path}: {bytes}");
    }
    assert_eq!(agent.stop().account().lost, 0);
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
    let smb = alerts.iter().find(|alert| text(alert, "event.action") == "smb-spoken").expect("an alert");
    assert!((8..4096).contains(&number(smb, "source.bytes")), "{smb:#}");
    assert!(number(smb, "smbwatch.flow.wire.bytes") > number(smb, "source.bytes"), "{smb:#}");
    assert_eq!(number(smb, "network.bytes"), number(smb, "source.bytes") + number(smb, "destination.bytes"));
}
