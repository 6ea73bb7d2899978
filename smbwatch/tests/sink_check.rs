//! `smbwatch check --connect`: each sink that cannot be reached is named, with what to do.

mod support;

use std::fs;
use std::process::Command;

use support::agent::PROGRAM;
use support::broker::{Broker, front};
use support::lab::{End, Lab};
use support::listener::{Identity, Listener};
use support::otlp::{Receiver, taken};
use support::proxy::{Proxy, page};
use support::sasl::User;
use support::server::{Reply, Server};
use tonic::Status;

#[test]
fn each_sink_that_cannot_be_reached_is_named() {
    let Some(lab) = Lab::make("each_sink_that_cannot_be_reached_is_named") else { return };
    let key = lab.folder().join("key");
    fs::write(&key, "topsecret").expect("write the key");
    let _collector = Receiver::start(&lab, 4317, None, |_, key| match key.as_deref() {
        Some("Bearer right") => Ok(taken()),
        _ => Err(Status::unauthenticated("who is it?")),
    });
    let _by_http = Server::start(&lab, 4318, |asked| {
        let right = asked.headers.get("authorization").is_some_and(|value| value == "Bearer right");
        let answer = if asked.path != "/v1/logs" {
            404
        } else if right {
            200
        } else {
            401
        };
        Reply::Answer(answer, String::new())
    });
    let _another = Proxy::start(&lab, 4319, |_, _| page(404));
    let _server = Server::start(&lab, 9200, |asked| {
        // `smbwatch` and `right`.
        let keys = ["ApiKey right", "Basic c21id2F0Y2g6cmlnaHQ="];
        let right = asked
            .headers
            .get("authorization")
            .is_some_and(|value| keys.contains(&value.to_str().expect("text")));
        Reply::Answer(if right { 200 } else { 401 }, String::new())
    });
    let elastic = "type = \"elasticsearch\"\nurl = \"http://127.0.0.1:9200\"";
    let otlp = |more: &str| format!("type = \"otlp\"\nurl = \"http://127.0.0.1:{more}");
    let key = key.display();
    for (sink, message) in [
        ("type = \"stdout\"".to_owned(), None),
        (elastic.to_owned() + "\napi_key = { env = \"RIGHT\" }", None),
        (
            format!("{elastic}\napi_key = {{ file = \"{key}\" }}"),
            Some("sink elasticsearch: answered 401 Unauthorized; give it a key that may write there"),
        ),
        (elastic.to_owned() + "\nuser = \"smbwatch\"\npassword = { env = \"RIGHT\" }", None),
        (
            format!("{elastic}\nuser = \"smbwatch\"\npassword = {{ file = \"{key}\" }}"),
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
        (otlp("4317\"\nbearer = { env = \"RIGHT\" }"), None),
        (
            otlp(&format!("4317\"\nbearer = {{ file = \"{key}\" }}")),
            Some(
                "sink otlp: http://127.0.0.1:4317: answered Unauthenticated: who is it?; give it a key that may \
                 write there",
            ),
        ),
        (otlp("4319\""), Some("sink otlp: http://127.0.0.1:4319: answered 404 Not Found; correct its `url`")),
        (otlp("4318\"\nprotocol = \"http\"\nbearer = { env = \"RIGHT\" }"), None),
        (otlp("4318/v1/logs\"\nprotocol = \"http\"\nheaders.Authorization = { env = \"BEARER\" }"), None),
        (
            otlp(&format!("4318\"\nprotocol = \"http\"\nbearer = {{ file = \"{key}\" }}")),
            Some("sink otlp: answered 401 Unauthorized; give it a key that may write there"),
        ),
        (
            otlp("4318/v1/log\"\nprotocol = \"http\""),
            Some("sink otlp: answered 404 Not Found; correct its `url`"),
        ),
        (otlp("1\""), Some("sink otlp: connect to http://127.0.0.1:1: Connection refused (os error 111)")),
        (
            otlp("1\"\nprotocol = \"http\""),
            Some("sink otlp: connect to http://127.0.0.1:1: Connection refused (os error 111)"),
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
        (
            "type = \"syslog\"\naddress = \"unix:///no/such\"".to_owned(),
            Some(
                "sink syslog: connect to unix:///no/such; does a receiver listen there?: No such file or directory \
                 (os error 2)",
            ),
        ),
    ] {
        expect(&lab, lab.at(End::Host, PROGRAM), &sink, message);
    }
}

#[test]
fn a_cluster_that_is_spoken_to_wrongly_is_named() {
    let test = "a_cluster_that_is_spoken_to_wrongly_is_named";
    let Some(lab) = Lab::make(test) else { return };
    let Some(broker) = Broker::find(test) else { return };
    let _plain = broker.start(&lab, 9092, 9092);
    let _tls = broker.start(&lab, 9192, 9093);
    let _both = broker.start(&lab, 9292, 9094);
    let folder = |name: &str| {
        let folder = lab.folder().join(name);
        fs::create_dir(&folder).expect("make a folder");
        folder
    };
    let stranger = Identity::make(&folder("stranger"), b"");
    let identity = Identity::make(&folder("broker"), b"");
    let user = User { name: "smbwatch", password: "topsecret" };
    let _by_tls = front(&lab, 9093, Some(&identity), None, 9192);
    let _by_both = front(&lab, 9094, Some(&identity), Some(user), 9292);
    let picky = Identity::make(&folder("picky"), b"").ask_for(&stranger);
    let _by_certificate = front(&lab, 9095, Some(&picky), None, 9192);
    let tls = format!("tls = true\nca = \"{}\"", identity.ca.display());
    let sasl = |variable: &str| {
        let password = format!("password = {{ env = \"{variable}\" }}");
        format!("{tls}\nsasl = {{ mechanism = \"SCRAM-SHA-512\", user = \"smbwatch\", {password} }}")
    };
    let trust = |ca: &str| format!("tls = true\nca = \"{ca}\"");
    let strange = trust(stranger.ca.to_str().expect("text"));
    let untrusted = "its certificate is by none of the authorities in `ca`, for another host, or out of date";
    for (end, settings, parts) in [
        ("localhost:9092", "", [].as_slice()),
        ("localhost:9093", &tls, &[]),
        ("localhost:9094", &sasl("RIGHT"), &[]),
        (
            "127.0.0.1:1",
            "",
            &["127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused"],
        ),
        ("localhost:9092", &tls, &["localhost:9092/bootstrap: ", "; does it speak TLS?"]),
        ("localhost:9093", "", &["localhost:9093/bootstrap: Disconnected", "; does it want `tls`?"]),
        ("localhost:9093", "tls = true", &["localhost:9093/bootstrap: ", untrusted]),
        ("localhost:9093", &strange, &["localhost:9093/bootstrap: ", untrusted]),
        ("127.0.0.1:9093", &tls, &["127.0.0.1:9093/bootstrap: ", untrusted]),
        ("localhost:9093", &trust("/no/such"), &["read /no/such: No such file or directory"]),
        (
            "localhost:9095",
            &trust(picky.ca.to_str().expect("text")),
            &["localhost:9095/bootstrap: ", "name `certificate` and `key`"],
        ),
        ("localhost:9094", &tls, &["localhost:9094/bootstrap: Disconnected", "; does it want `sasl`?"]),
        ("localhost:9094", &sasl("WRONG"), &["SASL authentication error: Authentication failed"]),
        ("localhost:9094", &sasl("NOT_SET"), &["read the key in the environment variable NOT_SET: set it"]),
    ] {
        let path = lab.folder().join("smbwatch.toml");
        let sink =
            format!("[[sinks]]\ntype = \"kafka\"\nbrokers = [\"{end}\"]\ntopic = \"smbwatch\"\n{settings}");
        fs::write(&path, &sink).expect("write the configuration");
        let mut check = lab.at(End::Host, PROGRAM);
        check.arg("check").arg("--connect").arg(&path).env("RIGHT", "topsecret").env("WRONG", "letmein");
        let output = check.output().expect("check");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(parts.iter().all(|part| said.contains(part)), "{sink}\n{said}");
        assert!(!said.contains("topsecret") && !said.contains("letmein"), "{said}");
        assert_eq!(said.is_empty(), parts.is_empty(), "{sink}\n{said}");
        assert_eq!(output.status.code(), Some(if parts.is_empty() { 0 } else { 2 }), "{sink}");
    }
}

#[test]
fn each_receiver_that_is_not_trusted_is_named() {
    let Some(lab) = Lab::make("each_receiver_that_is_not_trusted_is_named") else { return };
    let identity = |name: &str, protocol: &[u8]| {
        let folder = lab.folder().join(name);
        fs::create_dir(&folder).expect("create a folder");
        Identity::make(&folder, protocol)
    };
    let [web, grpc, another] =
        [identity("web", b"http/1.1"), identity("grpc", b"h2"), identity("another", b"http/1.1")];
    let _listeners = [(8443, Some(&web)), (4317, Some(&grpc))]
        .map(|(port, identity)| Listener::start(&lab, port, identity, drop));
    // It answers what it does not understand.
    let _plain = Server::start(&lab, 8080, |_| Reply::Answer(200, String::new()));
    let issuer = "; name the authority that has issued it by `ca`";
    for (kind, scheme, port, more, identity) in [
        ("webhook", "url = \"https", 8443, "", &web),
        ("elasticsearch", "url = \"https", 8443, "", &web),
        ("otlp", "url = \"https", 4317, "", &grpc),
        ("otlp", "url = \"https", 8443, "protocol = \"http\"", &web),
        ("syslog", "address = \"tls", 8443, "", &web),
    ] {
        let expect = |host: &str, port: u16, ca: Option<&Identity>, said: Option<&str>| {
            let place = format!("{scheme}://{host}:{port}");
            let ca = ca.map(|identity| format!("ca = \"{}\"", identity.ca.display())).unwrap_or_default();
            let sink = format!("type = \"{kind}\"\n{place}\"\n{more}\n{ca}");
            let (_, url) = place.split_once('"').expect("a URL");
            let message = said.map(|said| format!("sink {kind}: connect to {url}: {said}"));
            self::expect(&lab, lab.at(End::Host, PROGRAM), &sink, message.as_deref());
        };
        // There is more to ask of others, who hang up.
        if ["webhook", "syslog"].contains(&kind) {
            expect("localhost", port, Some(identity), None);
        }
        let peer = "invalid peer certificate: ";
        // An authority of the same name; and those of the system.
        expect("localhost", port, Some(&another), Some(&format!("{peer}BadSignature{issuer}")));
        expect("localhost", port, None, Some(&format!("{peer}UnknownIssuer{issuer}")));
        let name = "certificate not valid for name \"127.0.0.1\"; certificate is only valid for \
                    DnsName(\"localhost\")";
        expect("127.0.0.1", port, Some(identity), Some(&format!("{peer}{name}")));
        let corrupt = "received corrupt message of type InvalidContentType; TLS is not spoken there";
        expect("localhost", 8080, Some(identity), Some(corrupt));
    }
    let sink = format!("type = \"otlp\"\nurl = \"https://localhost:8443\"\nca = \"{}\"", web.ca.display());
    let message = "sink otlp: connect to https://localhost:8443: received fatal alert: NoApplicationProtocol; \
                   something else is spoken there; correct `url` or `protocol`";
    expect(&lab, lab.at(End::Host, PROGRAM), &sink, Some(message));
}

#[test]
fn each_receiver_that_asks_for_a_certificate_is_named() {
    let Some(lab) = Lab::make("each_receiver_that_asks_for_a_certificate_is_named") else { return };
    let [own, another, receiver] = ["own", "another", "receiver"].map(|name| {
        let folder = lab.folder().join(name);
        fs::create_dir(&folder).expect("create a folder");
        Identity::make(&folder, b"")
    });
    let receiver = receiver.ask_for(&own);
    let _server = Server::start_as(&lab, 8443, Some(&receiver), |_| Reply::Answer(200, String::new()));
    let _receiver = Receiver::start(&lab, 4317, Some(&receiver), |_, _| Ok(taken()));
    let [own_key, own] = [&own.key, &own.ca].map(|path| path.display().to_string());
    let [strange_key, strange] = [&another.key, &another.ca].map(|path| path.display().to_string());
    for (kind, address, url) in [
        ("webhook", "url", "https://localhost:8443"),
        ("elasticsearch", "url", "https://localhost:8443"),
        ("otlp", "url", "https://localhost:4317"),
        ("syslog", "address", "tls://localhost:8443"),
    ] {
        let ca = receiver.ca.display();
        let sink = format!("type = \"{kind}\"\n{address} = \"{url}\"\nca = \"{ca}\"");
        let shown = |certificate: &str, key: &str| {
            format!("{sink}\ncertificate = \"{certificate}\"\nkey = \"{key}\"")
        };
        let named = |said: &str| Some(format!("sink {kind}: connect to {url}: {said}"));
        let made = |said: &str| match kind {
            "syslog" => named(said),
            _ => Some(format!("sink {kind}: {said}")),
        };
        let mismatch =
            format!("use {own} with the key in {strange_key}: keys may not be consistent: KeyMismatch");
        for (sink, message) in [
            (shown(&own, &own_key), None),
            (sink.clone(), named("received fatal alert: CertificateRequired; name `certificate` and `key`")),
            (
                shown(&strange, &strange_key),
                named("received fatal alert: DecryptError; it does not take this `certificate`"),
            ),
            (shown(&own, &strange_key), made(&mismatch)),
            (
                shown("/no/such", &own_key),
                made("read the certificates in /no/such: I/O error: No such file or directory (os error 2)"),
            ),
        ] {
            expect(&lab, lab.at(End::Host, PROGRAM), &sink, message.as_deref());
        }
    }
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let Some(lab) = Lab::make("a_file_that_cannot_be_written_is_named") else { return };
    let disk = lab.folder().join("disk");
    fs::create_dir(&disk).expect("create a folder");
    let path = disk.join("alerts").display().to_string();
    let sink = |path: &str| format!("type = \"file\"\nname = \"all\"\npath = \"{path}\"");
    let message =
        "sink all: open /no/such/alerts; does its folder exist?: No such file or directory (os error 2)";
    expect(&lab, lab.at(End::Host, PROGRAM), &sink("/no/such/alerts"), Some(message));
    expect(&lab, lab.at(End::Host, PROGRAM), &sink(&path), None);
    // Root may write wherever the file system lets it.
    let mut check = lab.at(End::Host, "unshare");
    check.args(["--mount", "sh", "-c", "mount -t tmpfs -o ro none \"$0\" && exec \"$@\""]);
    check.arg(&disk).arg(PROGRAM);
    let message = format!("sink all: open {path}: Read-only file system (os error 30)");
    expect(&lab, check, &sink(&path), Some(&message));
}

#[test]
fn a_receiver_of_another_protocol_is_named() {
    let Some(lab) = Lab::make("a_receiver_of_another_protocol_is_named") else { return };
    let _by_grpc = Receiver::start(&lab, 4317, None, |_, _| Ok(taken()));
    let _by_http = Server::start(&lab, 4318, |_| Reply::Answer(200, String::new()));
    for (port, protocol, name) in [(4317, "http", "HTTP"), (4318, "grpc", "gRPC")] {
        let sink = format!("type = \"otlp\"\nurl = \"http://127.0.0.1:{port}\"\nprotocol = \"{protocol}\"");
        let (said, code) = check(&lab, lab.at(End::Host, PROGRAM), &sink);
        let advice = format!("does it speak {name}? if not, correct `url` or `protocol`");
        let message = format!("smbwatch: sink otlp: {advice}: http://127.0.0.1:{port}: ");
        assert!(said.starts_with(&message), "{said}");
        assert_eq!(code, Some(2));
    }
}

/// Checks a sink, and expects a message or success.
fn expect(lab: &Lab, command: Command, sink: &str, message: Option<&str>) {
    let (said, code) = check(lab, command, sink);
    let expected = message.map(|message| format!("smbwatch: {message}\n")).unwrap_or_default();
    assert_eq!(said, expected, "{sink}");
    assert_eq!(code, Some(if message.is_some() { 2 } else { 0 }), "{sink}");
}

/// Checks a sink, and tells what is said and the exit code.
fn check(lab: &Lab, mut check: Command, sink: &str) -> (String, Option<i32>) {
    let path = lab.folder().join("smbwatch.toml");
    fs::write(&path, format!("[[sinks]]\n{sink}\n")).expect("write the configuration");
    let output = check
        .arg("check")
        .arg("--connect")
        .arg(&path)
        .env("RIGHT", "right")
        .env("BEARER", "Bearer right")
        .output()
        .expect("check");
    (String::from_utf8_lossy(&output.stderr).into_owned(), output.status.code())
}
