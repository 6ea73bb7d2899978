//! impacket's client and server, which are not Samba's: each dialogue is told with what was said.

mod support;

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::agent::{Agent, number, text};
use support::ecs::pointer;
use support::impacket::{self, Server};
use support::lab::{Lab, SERVER};
use support::samba::{self, PASSWORD, Samba};

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
        let client = impacket::client(&lab, SERVER, dialect);
        dialogue(client, &mut agent, dialect, &[&identity()[..], &open(share), &chosen(version)].concat());
    }
    let target = format!("CORP/alice:[hidden]@{SERVER}");
    assert!(agent.documents.iter().all(|alert| text(alert, "process.args.2") == target));
    end(agent);
}

#[test]
fn smbclient_is_told_with_what_it_says_to_impacket() {
    let test = "smbclient_is_told_with_what_it_says_to_impacket";
    let Some(lab) = Lab::make(test) else { return };
    if !impacket::is_here(test) || !samba::is_here(test) {
        return;
    }
    let _server = Server::serve(&lab, SERVER);
    let mut agent = Agent::start_with(&lab, "[smb]\nfile_names = 4\n", &[]);
    let client = samba::client(&lab, SERVER, &["--option=client min protocol=SMB2_02", "-mSMB2_02"]);
    let file = [("version", said("2.0.2")), ("files.0", said("customers.csv"))];
    dialogue(client, &mut agent, "smbclient", &[&identity()[..], &file].concat());
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
        let client = impacket::client(&lab, SERVER, dialect);
        dialogue(client, &mut agent, dialect, &[&identity()[..], &open("share"), &chosen(version)].concat());
    }
    // impacket encrypts as soon as it can.
    let hidden = [("encryption.used", Some(json!(true))), ("shares", None), ("files", None)];
    for (dialect, version) in [("SMB3_00", "3.0"), ("any", "")] {
        let client = impacket::client(&lab, SERVER, dialect);
        dialogue(client, &mut agent, dialect, &[&identity()[..], &hidden, &chosen(version)].concat());
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
fn dialogue(mut client: Command, agent: &mut Agent, dialect: &str, said: Said<'_>) {
    let mut client = client.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start the client");
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
}

fn end(agent: Agent) {
    let ended = agent.stop();
    assert!(ended.documents.iter().all(|alert| !alert.to_string().contains(PASSWORD)), "a password is told");
    assert_eq!(ended.account().lost, 0);
}
