//! `smbwatch check --connect`: each sink that cannot be reached is named, with what to do.

mod support;

use std::fs;

use support::agent::PROGRAM;
use support::lab::{End, Lab};
use support::server::{Reply, Server};

#[test]
fn each_sink_that_cannot_be_reached_is_named() {
    let Some(lab) = Lab::make("each_sink_that_cannot_be_reached_is_named") else { return };
    let key = lab.folder().join("key");
    fs::write(&key, "topsecret").expect("write the key");
    let _server = Server::start(&lab, 9200, |asked| {
        let right = asked.headers.get("authorization").is_some_and(|value| value == "ApiKey right");
        Reply::Answer(if right { 200 } else { 401 }, String::new())
    });
    let elastic = "type = \"elasticsearch\"\nurl = \"http://127.0.0.1:9200\"";
    let key = key.display();
    for (sink, message) in [
        ("type = \"stdout\"".to_owned(), None),
        (elastic.to_owned() + "\napi_key = { env = \"RIGHT\" }", None),
        (
            format!("{elastic}\napi_key = {{ file = \"{key}\" }}"),
            Some("sink elasticsearch: answered 401 Unauthorized; give it a key that may write there"),
        ),
        (
            elastic.to_owned() + "\napi_key = { env = \"NOT_SET\" }",
            Some("sink elasticsearch: read the key in the environment variable NOT_SET: set it"),
        ),
        (
            "type = \"webhook\"\nname = \"siem\"\nurl = \"http://127.0.0.1:1/secret\"".to_owned(),
            Some("sink siem: connect to http://127.0.0.1:1: Connection refused (os error 111)"),
        ),
        (
            "type = \"journald\"\nsocket = \"/no/such\"".to_owned(),
            Some(
                "sink journald: connect to /no/such; is systemd-journald running?: No such file or directory \
                 (os error 2)",
            ),
        ),
        (
            "type = \"syslog\"\naddress = \"tcp://127.0.0.1:2\"".to_owned(),
            Some("sink syslog: connect to tcp://127.0.0.1:2: Connection refused (os error 111)"),
        ),
    ] {
        let path = lab.folder().join("smbwatch.toml");
        fs::write(&path, format!("[[sinks]]\n{sink}\n")).expect("write the configuration");
        let mut check = lab.at(End::Host, PROGRAM);
        let output =
            check.arg("check").arg("--connect").arg(&path).env("RIGHT", "right").output().expect("check");
        let said = String::from_utf8_lossy(&output.stderr);
        let expected = message.map(|message| format!("smbwatch: {message}\n")).unwrap_or_default();
        assert_eq!(said, expected, "{sink}");
        assert_eq!(output.status.code(), Some(if message.is_some() { 2 } else { 0 }), "{sink}");
    }
}
