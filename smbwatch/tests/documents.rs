//! ECS documents as other tools write them, and what is made of them.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read};

use fastrand::Rng;
use jiff::Timestamp;
use smbwatch::config::{Config, Profile};
use smbwatch::except::Exceptions;
use smbwatch::explain::{Basis, Packet, explain};
use smbwatch::source::ecs::{Documents, Event, MAX_LINE, rule};
use smbwatch_ebpf::testing::seed;

/// Each line of a stream, told by `tell`; `-` is a document that is no network event.
fn read(stream: impl BufRead, tell: impl Fn(&Event<'_>) -> String) -> Vec<String> {
    let mut documents = match Documents::open(stream) {
        Ok(documents) => documents,
        Err(error) => return vec![error.to_string()],
    };
    let mut told = Vec::new();
    loop {
        told.push(match documents.next_document() {
            Ok(Some(document)) => document.event.as_ref().map_or("-".to_owned(), &tell),
            Ok(None) => return told,
            Err(error) => error.to_string(),
        });
    }
}

/// What the rule asks, and how it went.
fn summary(event: &Event<'_>) -> String {
    let mut text = event.transport.as_deref().unwrap_or("?").to_owned();
    for (before, end) in [(" ", event.source), (" > ", event.destination)] {
        let port = end.port.map_or("?".to_owned(), |port| port.to_string());
        let _ = write!(text, "{before}{} {port}", end.address);
    }
    let _ = write!(text, " {:?}", event.outcome);
    if rule::matches(&Config::default(), event) {
        text.push_str(" match");
    }
    text
}

#[test]
fn every_integration_is_understood() {
    for (file, expected) in [
        (
            include_str!("data/ecs/packetbeat.ndjson"),
            vec![
                "tcp 10.0.0.5 50001 > 8.8.8.8 445 Unknown match",
                "tcp 10.0.0.5 50001 > 192.168.7.7 445 Unknown",
                "tcp 10.0.0.5 50001 > 8.8.4.4 139 Unanswered match",
                "tcp 10.0.0.5 50002 > 8.8.8.8 80 Established",
            ],
        ),
        (
            include_str!("data/ecs/network_traffic.ndjson"),
            vec!["tcp 10.0.0.5 50001 > 8.8.8.8 445 Unknown match"],
        ),
        (
            include_str!("data/ecs/auditbeat.ndjson"),
            vec!["tcp 172.16.3.4 41000 > 9.9.9.9 445 Unknown match", "-"],
        ),
        (
            include_str!("data/ecs/zeek.ndjson"),
            vec![
                "tcp 192.168.5.6 51000 > 8.8.8.8 445 Unanswered match",
                "tcp 192.168.5.6 51000 > 8.8.8.8 445 Refused match",
                "tcp 192.168.5.6 51000 > 8.8.8.8 445 Established match",
                "tcp 192.168.5.6 51000 > 8.8.8.8 8445 Established match",
                "tcp 192.168.5.6 51000 > 8.8.8.8 445 Established match",
                "tcp 192.168.5.6 51000 > 10.9.9.9 445 Established",
                "udp 192.168.5.6 51000 > 8.8.8.8 53 Unknown",
            ],
        ),
        (
            include_str!("data/ecs/panw.ndjson"),
            vec![
                "tcp 10.20.30.40 49152 > 8.8.8.8 445 Unknown match",
                "tcp 10.20.30.40 49152 > 8.8.8.8 445 Denied match",
                "tcp 10.20.30.40 49152 > 203.0.113.8 445 Unknown",
            ],
        ),
        (
            include_str!("data/ecs/endpoint.ndjson"),
            vec![
                "tcp 192.168.1.20 50100 > 1.1.1.1 445 Unknown match",
                "tcp 192.168.1.20 50100 > 1.1.1.1 445 Established match",
                "-",
            ],
        ),
        (
            include_str!("data/ecs/suricata.ndjson"),
            vec!["tcp 10.1.1.1 55406 > 8.8.8.8 445 Established match"],
        ),
        (include_str!("data/ecs/cisco_asa.ndjson"), vec!["tcp 10.3.3.3 1234 > 8.8.8.8 445 Denied match"]),
        (
            include_str!("data/ecs/aws_vpcflow.ndjson"),
            vec![
                "tcp 10.8.0.9 34892 > 8.8.8.8 445 Unknown match",
                "tcp 10.8.0.9 34892 > 8.8.8.8 445 Denied match",
                "tcp 10.8.0.9 34892 > 8.8.8.8 445 Denied match",
            ],
        ),
        (
            include_str!("data/ecs/wrapped.ndjson"),
            vec![
                "tcp 10.0.0.5 50001 > 8.8.8.8 445 Unknown match",
                "tcp 10.0.0.5 50001 > 8.8.8.8 445 Unknown match",
                "tcp 10.0.0.5 50001 > 8.8.8.8 445 Unknown match",
                "tcp 10.0.0.5 50000 > 8.8.8.8 445 Unknown match",
                "-",
            ],
        ),
    ] {
        assert_eq!(read(file.as_bytes(), summary), expected);
    }
}

/// Everything else that is there.
fn details(event: &Event<'_>) -> String {
    let Event { process, user, observer, source, destination, .. } = event;
    let mut text = event.time.to_string();
    let numbers = [source.bytes, source.packets, destination.bytes, destination.packets, event.duration];
    for number in numbers {
        let _ = write!(text, " {}", number.map_or("?".to_owned(), |number| number.to_string()));
    }
    let times = [event.start, event.end].map(|time| time.map(|time| time.to_string()));
    let pid = process.pid.map(|pid| pid.to_string());
    for part in [
        times[0].as_deref(),
        times[1].as_deref(),
        event.dataset.as_deref(),
        event.module.as_deref(),
        event.action.as_deref(),
        event.protocol.as_deref(),
        event.id.as_deref(),
        event.host.as_deref(),
        process.name.as_deref(),
        pid.as_deref(),
        process.executable.as_deref(),
        user.name.as_deref(),
        user.id.as_deref(),
        observer.name.as_deref(),
        observer.kind.as_deref(),
        observer.vendor.as_deref(),
        observer.product.as_deref(),
    ]
    .into_iter()
    .flatten()
    {
        let _ = write!(text, " {part}");
    }
    text
}

#[test]
fn who_when_and_how_much_are_read() {
    for (file, expected) in [
        (
            include_str!("data/ecs/packetbeat.ndjson"),
            "2026-03-04T05:06:07.89Z 1024 7 1024 5 1500000 2026-03-04T05:06:05.1Z 2026-03-04T05:06:05.1015Z \
             network_traffic.flow network_flow desk-12 smbclient 4711 /usr/bin/smbclient",
        ),
        (
            include_str!("data/ecs/auditbeat.ndjson"),
            "2026-03-04T05:07:00Z 500 5 400 4 1000000000 2026-03-04T05:06:59Z 2026-03-04T05:07:00Z socket system \
             network_flow desk-13 mount.cifs 815 /usr/sbin/mount.cifs mara 1000",
        ),
        (
            include_str!("data/ecs/zeek.ndjson"),
            "2026-03-04T05:08:00.123456Z 180 3 ? ? 3000000000 zeek.connection CzYx0a1Zk tap-1",
        ),
        (
            include_str!("data/ecs/panw.ndjson"),
            "2026-03-04T05:09:00Z 3000 22 2000 18 15000000000 2026-03-04T05:08:45Z 2026-03-04T05:09:00Z \
             panw.panos flow_terminated mara fw-1 firewall Palo Alto Networks PAN-OS",
        ),
        (
            include_str!("data/ecs/endpoint.ndjson"),
            "2026-03-04T05:10:00.5Z ? ? ? ? ? endpoint.events.network endpoint connection_attempted NIZ+0001 \
             desk-14 svchost.exe 1234 C:\\Windows\\System32\\svchost.exe SYSTEM S-1-5-18",
        ),
        (
            include_str!("data/ecs/cisco_asa.ndjson"),
            "2026-03-04T05:12:00Z ? ? ? ? ? cisco_asa.log firewall-rule asa-1 asa-1 firewall Cisco asa",
        ),
        (
            include_str!("data/ecs/network_traffic.ndjson"),
            "2026-03-04T05:06:07.89Z 1024 7 1024 5 1500000 2026-03-04T05:06:05.1Z 2026-03-04T05:06:05.1015Z \
             network_traffic.flow network_flow desk-12",
        ),
        (
            include_str!("data/ecs/wrapped.ndjson"),
            "2026-03-04T05:06:07.89Z 1024 7 1024 5 1500000 2026-03-04T05:06:05.1Z 2026-03-04T05:06:05.1015Z \
             network_traffic.flow network_flow AbC-1 desk-12",
        ),
    ] {
        assert_eq!(read(file.as_bytes(), details).first().map(String::as_str), Some(expected));
    }
    let mixed = read(include_str!("data/ecs/wrapped.ndjson").as_bytes(), details);
    assert_eq!(mixed.get(2).map(String::as_str), Some("2026-03-04T05:14:01Z ? ? ? ? ? made.up 77 m\u{e4}ra"));
}

#[test]
fn a_bad_line_is_named_and_the_next_one_is_read() {
    const GOOD: &str = r#"{"@timestamp":"2026-01-01T00:00:00Z","source":{"ip":"10.0.0.5","port":1},"destination":{"ip":"8.8.8.8","port":445},"network":{"transport":"tcp"}}"#;
    let good = |from: &str, to: &str| GOOD.replace(from, to);
    let long = good("tcp", &"x".repeat(MAX_LINE));
    for (line, message) in [
        ("not json", "line 2: column 2: expected ident"),
        ("{\"a\":1", "line 2: column 6: EOF while parsing an object"),
        ("{} {}", "line 2: column 4: trailing characters"),
        ("{\"event\":{\"id\":\"\u{0}\"}}", "line 2: column 17: control character"),
        ("[1,2]", "line 2: a document is an object; give one a line (`jq -c '.[]'` for an array)"),
        ("7", "line 2: a document is an object"),
        (
            "{\"took\":1,\"hits\":{\"hits\":[{\"_source\":{}}]}}",
            "line 2: the answer to a search; give its documents one a line",
        ),
        (&format!("{{\"source\":{}", "[".repeat(100_000)), "line 2: column 137: recursion limit exceeded"),
        (&long, "line 2: longer than 1048576 bytes; give one document a line"),
        (&good("10.0.0.5", "10.0.0.500"), "line 2: `source.ip` is \"10.0.0.500\", which is no IP address"),
        (&good("\"8.8.8.8\"", "8"), "line 2: `destination.ip` is \"8\", which is no IP address"),
        (&good("445", "-1"), "line 2: `destination.port` is \"-1\", which is no port"),
        (&good("445", "65536"), "line 2: `destination.port` is \"65536\", which is no port"),
        (&good("445", "4.5"), "line 2: `destination.port` is \"4.5\", which is no port"),
        (&good("445", "\"smb\""), "line 2: `destination.port` is \"smb\", which is no port"),
        (&good("2026-01", "2026-13"), "line 2: `@timestamp` is \"2026-13-01T00:00:00Z\", which is no time"),
        (&good("@timestamp", "time"), "line 2: neither `@timestamp` nor `event.start`"),
        (
            &good("8.8.8.8", &"8".repeat(1000)),
            "line 2: `destination.ip` is \"8888888888888888888888888888888888888888888888888888888888888888\", which",
        ),
    ] {
        let stream = format!("{GOOD}\r\n{line}\n \n{GOOD}");
        let told = read(stream.as_bytes(), summary);
        let [first, error, last] = told.as_slice() else { panic!("{line}: {told:?}") };
        assert_eq!(first, "tcp 10.0.0.5 1 > 8.8.8.8 445 Unknown match");
        assert!(error.starts_with(message), "{error:?} is not {message:?}");
        assert_eq!(first, last);
    }
    let told = read(b"\x1f\x8b\x08".as_slice(), summary);
    assert_eq!(
        told,
        ["line 1: the documents are compressed with gzip; give `zcat FILE | smbwatch replay --ecs -`"]
    );
}

#[test]
fn what_the_rule_does_not_ask_for_may_be_wrong() {
    let line = r#"{"@timestamp":0,"source":{"ip":"10.0.0.5","port":-1,"bytes":"many"},"destination":{"ip":"8.8.8.8","port":445},"network.transport":"tcp","event":{"start":"yesterday","duration":0.5},"process.pid":"x","host.name":{"first":"a"},"user.name":true}"#;
    assert_eq!(read(line.as_bytes(), details), ["1970-01-01T00:00:00Z ? ? ? ? ?"]);
    assert_eq!(read(line.as_bytes(), summary), ["tcp 10.0.0.5 ? > 8.8.8.8 445 Unknown match"]);
}

#[test]
fn a_failing_disk_ends_the_stream() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let told = read(BufReader::new(b"{}\n{}".chain(Failing)), summary);
    assert_eq!(told, ["-", "line 2: read: the disk is gone"]);
}

#[test]
fn the_rule_is_the_one_that_explain_tells() {
    let strict = Config { any_port: false, ..Config::of(Profile::Strict) };
    let ports = Config { any_port: false, ports: vec![4450], ..Config::default() };
    let default = Config { any_port: false, ..Config::default() };
    let addresses = [
        "10.0.0.5",
        "192.168.1.1",
        "172.32.0.1",
        "8.8.8.8",
        "192.0.0.9",
        "203.0.113.1",
        "100.64.0.1",
        "fd00::1",
        "2606:4700::1",
        "64:ff9b::808:808",
        "64:ff9b::a01:203",
        "ff02::1",
    ];
    let exceptions = Exceptions::new(&[]);
    for config in [&default, &strict, &ports] {
        let basis = Basis { config, exceptions: &exceptions, is_running: false };
        for (source, destination) in addresses.iter().flat_map(|a| addresses.map(|b| (*a, b))) {
            for port in [139, 445, 4450, 443] {
                let line = format!(
                    r#"{{"@timestamp":0,"source.ip":"{source}","destination.ip":"{destination}","destination.port":{port},"network.transport":"tcp"}}"#
                );
                let told = read(line.as_bytes(), |event| rule::matches(config, event).to_string());
                let parse = |text: &str| text.parse().expect("an address");
                let Ok(packet) = Packet::new(parse(source), parse(destination), port) else {
                    continue;
                };
                let explained = explain(basis, packet, Timestamp::now());
                assert_eq!(
                    told,
                    [explained.matches.to_string()],
                    "{source} {destination} {port}: {explained:?}"
                );
            }
        }
    }
}

#[test]
fn only_tcp_matches_and_zeek_needs_no_port() {
    for (rest, matches) in [
        (r#""network.transport":"tcp","destination.port":445"#, true),
        (r#""network.iana_number":"6","destination.port":139"#, true),
        (r#""network.iana_number":17,"destination.port":445"#, false),
        (r#""network.transport":"udp","network.iana_number":6,"destination.port":445"#, false),
        (r#""destination.port":445"#, false),
        (r#""network.transport":"tcp""#, false),
        (r#""network.transport":"tcp","destination.port":443"#, false),
        (r#""network.transport":"tcp","destination.port":443,"event.dataset":"zeek.smb_cmd""#, true),
        (r#""network.transport":"tcp","event":{"dataset":["zeek.smb_mapping"]}"#, true),
        (r#""network.transport":"tcp","data_stream":{"dataset":"zeek.smb_files"}"#, true),
        (r#""network.transport":"tcp","event.dataset":"zeek.ssl""#, false),
        (r#""network.transport":"udp","event.dataset":"zeek.smb_cmd""#, false),
    ] {
        let line = format!(r#"{{"@timestamp":0,"source.ip":"10.0.0.5","destination.ip":"8.8.8.8",{rest}}}"#);
        let told = read(line.as_bytes(), |event| rule::matches(&Config::default(), event).to_string());
        assert_eq!(told, [matches.to_string()], "{rest}");
    }
}

#[test]
fn damage_costs_the_line_that_it_hits() {
    let seed = seed();
    let mut rng = Rng::with_seed(seed);
    let files = [
        include_str!("data/ecs/packetbeat.ndjson"),
        include_str!("data/ecs/zeek.ndjson"),
        include_str!("data/ecs/wrapped.ndjson"),
    ];
    let lines: Vec<&str> = files.iter().flat_map(|file| file.lines()).collect();
    let good: Vec<Vec<String>> = lines.iter().map(|line| read(line.as_bytes(), details)).collect();
    for (line, good) in lines.iter().zip(&good) {
        for cut in 0..line.len() {
            assert_ne!(
                &read(line.get(..cut).unwrap_or("{").as_bytes(), details),
                good,
                "{line} cut at {cut}"
            );
        }
    }
    for round in 0..20_000 {
        let hit = rng.usize(..lines.len());
        let mut bytes = lines.get(hit).expect("a line").as_bytes().to_vec();
        for _ in 0..rng.usize(1..6) {
            let place = rng.usize(..bytes.len());
            // A new line would make two of one.
            *bytes.get_mut(place).expect("a byte") = rng.u8(b' '..);
        }
        let next = rng.usize(..lines.len());
        bytes.push(b'\n');
        bytes.extend(lines.get(next).expect("a line").as_bytes());
        let told = read(bytes.as_slice(), details);
        assert_eq!(told.get(1..), good.get(next).map(Vec::as_slice), "round {round} of seed {seed}");
    }
}
