//! impacket's client and server, which are not Samba's: each dialogue is told with what was said.

mod support;

use serde_json::{Value, json};
use support::agent::{Agent, number, text};
use support::ecs::pointer;
use support::impacket::{self, Server};
use support::lab::{Lab, SERVER};
use support::samba::{PASSWORD, Samba};

/// What an alert says at the end of a dialogue: by path below `smbwatch.smb`, or none where nothing may be said.
type Said<'a> = &'a [(&'a str, Option<Value>)];

#[test]
fn impacket_is_told_with_what_it_says_to_its_own_server() {
    let test = "impacket_is_told_with_what_it_says_to_its_own_server";
    let Some(lab) = Lab::make(test) else { return };
    if !impacket::is_here(test) {
        return;
    }
    let _server = Server::serve(&lab, SERVER);
    let mut agent = Agent::start_with(&lab, "[smb]\nfile_names = 4\n", &[]);
    // Without Unicode, which its server does not offer by SMB 1, it asks in capitals.
    for (dialect, version, share) in
        [("SMB1", "1.0", "SHARE"), ("SMB2_02", "2.0.2", "share"), ("any", "", "share")]
    {
        dialogue(&lab, &mut agent, dialect, &[&identity()[..], &open(share), &chosen(version)].concat());
    }
    end(agent);
}

#[test]
fn impacket_is_told_with_what_it_says_to_samba() {
    let test = "impacket_is_told_with_what_it_says_to_samba";
    let Some(lab) = Lab::make(test) else { return };
    let Some(_samba) = Samba::serve(&lab, test) else { return };
    if !impacket::is_here(test) {
        return;
    }
    let mut agent = Agent::start_with(&lab, "[smb]\nfile_names = 4\n", &[]);
    for (dialect, version) in [("SMB1", "1.0"), ("SMB2_02", "2.0.2"), ("SMB2_10", "2.1")] {
        dialogue(&lab, &mut agent, dialect, &[&identity()[..], &open("share"), &chosen(version)].concat());
    }
    // impacket encrypts as soon as it can.
    let hidden = [("encryption.used", Some(json!(true))), ("shares", None), ("files", None)];
    for (dialect, version) in [("SMB3_00", "3.0"), ("any", "")] {
        dialogue(&lab, &mut agent, dialect, &[&identity()[..], &hidden, &chosen(version)].concat());
    }
    end(agent);
}

fn said(text: &str) -> Option<Value> {
    Some(json!(text))
}

/// The dialect, but where impacket's release decides which it is.
fn chosen(version: &str) -> Vec<(&'static str, Option<Value>)> {
    if version.is_empty() { Vec::new() } else { vec![("version", said(version))] }
}

fn identity() -> [(&'static str, Option<Value>); 5] {
    [
        ("logons.0.user", said("alice")),
        ("logons.0.domain", said("CORP")),
        ("logons.0.response", said("ntlmv2")),
        ("logons.0.anonymous", Some(json!(false))),
        ("logons.0.status", said("STATUS_SUCCESS")),
    ]
}

fn open(share: &str) -> [(&'static str, Option<Value>); 2] {
    [("shares.0.path", said(&format!(r"\\{SERVER}\{share}"))), ("files.0", said("customers.csv"))]
}

/// Runs the client; what was said is compared at the end of its connection.
fn dialogue(lab: &Lab, agent: &mut Agent, dialect: &str, said: Said<'_>) {
    let mut client = impacket::client(lab, SERVER, dialect).spawn().expect("start impacket's client");
    let pid = u64::from(client.id());
    assert!(client.wait().expect("wait for the client").success(), "{dialect}");
    let ended = agent.wait_for(dialect, |alert| {
        number(alert, "process.pid") == pid && text(alert, "event.action") == "connection-ended"
    });
    let of_it = agent.documents.iter().filter(|alert| number(alert, "process.pid") == pid);
    let actions: Vec<_> = of_it.map(|alert| text(alert, "event.action")).collect();
    assert!(actions.contains(&"identity-sent"), "{dialect}: {actions:?}");
    for (path, value) in said {
        let found = ended.pointer(&pointer(&format!("smbwatch.smb.{path}")));
        assert_eq!(found, value.as_ref(), "{dialect}: {path} in {:#}", ended["smbwatch"]["smb"]);
    }
    let target = format!("CORP/alice:[hidden]@{SERVER}");
    assert_eq!(text(&ended, "process.args.2"), target, "{:#}", ended["process"]);
}

fn end(agent: Agent) {
    let ended = agent.stop();
    assert!(ended.documents.iter().all(|alert| !alert.to_string().contains(PASSWORD)), "a password is told");
    assert_eq!(ended.account().lost, 0);
}
