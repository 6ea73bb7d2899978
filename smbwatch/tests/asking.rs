//! What the commands are told by a running agent, and by a file where they ask none.

mod support;

use std::fs;
use std::net::TcpStream;
use std::process::Output;

use serde_json::{Value, json};
use support::agent::{Agent, PROGRAM};
use support::lab::{End, HOST, Lab, NOBODY, SERVER, tool};
use support::packet_socket::send_frames;
use support::peer::{attempt, connect, listen};
use support::scrape::Answer;

use smbwatch_ebpf::testing::build::{IPV4, Ipv4, Tcp, ethernet};

/// Another address that the lab's Internet has.
const OTHER: &str = "93.184.200.7";

fn config(lab: &Lab) -> String {
    let program = std::env::current_exe().expect("a path");
    let list = lab.folder().join("storage.txt");
    fs::write(&list, format!("{SERVER}\n192.0.2.0/24\n")).expect("write a list");
    format!(
        "[[exceptions]]\nreason = \"of the kernel\"\ndestination = \"{NOBODY}\"\nowner = \"storage\"\n\
         [[exceptions]]\nreason = \"of a list\"\ndestinations_file = {list:?}\nports = [445]\n\
         [[exceptions]]\nreason = \"of a program\"\ndestination = \"93.184.200.0/24\"\nexecutable = {program:?}\n\
         expires = \"2999-12-31\"\n\
         [[exceptions]]\nreason = \"over\"\nsource = \"{HOST}\"\nexpires = \"2020-12-31T12:00:00Z\"\n"
    )
}

/// A command that asks the lab's agent.
fn ask(lab: &Lab, args: &[&str]) -> Output {
    let mut command = tool(PROGRAM);
    command.args(args).arg("--run-dir").arg(lab.folder().join("run")).output().expect("run a command")
}

fn out(output: &Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Reason, decider and hits of each exception.
fn used(list: &Value) -> Vec<(String, String, Option<u64>)> {
    let rows = list["exceptions"].as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    rows.map(|row| (text(&row["reason"]), text(&row["decided_by"]), row["hits"].as_u64())).collect()
}

#[test]
fn exceptions_are_listed_with_what_was_counted() {
    let Some(lab) = Lab::make("exceptions_are_listed_with_what_was_counted") else { return };
    let agent = Agent::start_with(&lab, &config(&lab), &[]);
    let list = || serde_json::from_str::<Value>(&out(&ask(&lab, &["exceptions"]))).expect("JSON");
    let row = |reason: &str, by: &str, hits| (reason.to_owned(), by.to_owned(), hits);
    let unused = [
        row("of the kernel", "kernel", Some(0)),
        row("of a list", "agent", Some(0)),
        row("of a program", "agent", Some(0)),
        row("over", "agent", Some(0)),
    ];
    let listed = list();
    assert_eq!(used(&listed), unused);
    assert_eq!(listed["agent"], json!(lab.folder().join("run/metrics.sock")));
    let rows = &listed["exceptions"];
    assert_eq!(
        (&rows[0]["owner"], &rows[1]["listed"], &rows[1]["ports"]),
        (&json!("storage"), &json!(2), &json!([445]))
    );
    assert_eq!((&rows[2]["expired"], &rows[3]["expired"]), (&json!(false), &json!(true)));
    assert_eq!(rows[2]["destination"], json!("93.184.200.0/24"));

    send_frames(&lab, &vec![syn(NOBODY); 7]);
    let _listener = listen(&lab, SERVER, 445);
    drop(connect(&lab, SERVER, 445).expect("connect"));
    let _other = attempt(&lab, OTHER, 445);
    let deadline = std::time::Instant::now() + support::agent::PATIENCE;
    let counted = loop {
        let counted = used(&list());
        if counted.iter().take(3).all(|(.., hits)| hits.is_some_and(|hits| hits > 0)) {
            break counted;
        }
        assert!(std::time::Instant::now() < deadline, "{counted:?}");
    };
    assert_eq!(counted[0].2, Some(7));
    assert_eq!(counted[3].2, Some(0));

    let text = out(&ask(&lab, &["exceptions", "--format", "text"]));
    assert!(text.starts_with("exceptions of the running agent, used since its start\n\nUSED "), "{text}");
    for part in ["7 packets", "storage.txt (2 prefixes)", "2020-12-31T12:00:00Z, expired", "executable /"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    let ended = agent.stop();
    assert!(ended.documents.is_empty(), "{:?}", ended.documents);
    let account: u64 = list_sum(&counted[1..]);
    assert!(ended.account().excepted >= account && account > 0);
}

/// Tables are changed in place, or programs loaded anew; neither forgets.
#[test]
fn a_reload_forgets_no_count() {
    let Some(lab) = Lab::make("a_reload_forgets_no_count") else { return };
    let exception = |destination: &str| {
        format!("[[exceptions]]\nreason = \"{destination}\"\ndestination = \"{destination}\"\n")
    };
    let both = exception(OTHER) + &exception(NOBODY);
    let mut agent = Agent::start_with(&lab, &exception(NOBODY), &[]);
    let hits = || {
        let list: Value = serde_json::from_str(&out(&ask(&lab, &["exceptions"]))).expect("JSON");
        used(&list).into_iter().map(|(reason, _, hits)| (reason, hits)).collect::<Vec<_>>()
    };
    let row = |destination: &str, hits| (destination.to_owned(), Some(hits));
    send_frames(&lab, &vec![syn(NOBODY); 3]);
    assert_eq!(hits(), [row(NOBODY, 3)]);
    assert!(agent.reload(&lab, &both));
    send_frames(&lab, &[syn(NOBODY), syn(OTHER)]);
    assert_eq!(hits(), [row(OTHER, 1), row(NOBODY, 4)]);
    assert!(agent.reload(&lab, &format!("ports = [139, 445, 4450]\n{both}")), "other settings");
    send_frames(&lab, &[syn(NOBODY), syn(OTHER), syn(OTHER)]);
    assert_eq!(hits(), [row(OTHER, 3), row(NOBODY, 5)]);
    assert!(agent.reload(&lab, &exception(OTHER)));
    assert_eq!(hits(), [row(OTHER, 3)]);
    agent.stop();
}

/// A frame from the private host to a server's port.
fn syn(destination: &str) -> Vec<u8> {
    let address = |text: &str| text.parse().expect("an address");
    let packet = Ipv4::new(address(HOST), address(destination)).wrap(&Tcp::syn(40_000, 445).bytes());
    ethernet(&[], IPV4, &packet)
}

fn list_sum(rows: &[(String, String, Option<u64>)]) -> u64 {
    rows.iter().filter_map(|(.., hits)| *hits).sum()
}

#[test]
fn without_an_agent_a_file_is_listed_and_nothing_is_counted() {
    let Some(lab) = Lab::make("without_an_agent_a_file_is_listed_and_nothing_is_counted") else { return };
    let refused = ask(&lab, &["exceptions"]);
    let message = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1));
    assert!(message.contains("no agent answers at ") && message.contains("--config"), "{message}");

    let file = lab.folder().join("smbwatch.toml");
    fs::write(&file, config(&lab)).expect("write a file");
    let path = file.to_str().expect("a path of text");
    let list: Value =
        serde_json::from_str(&out(&ask(&lab, &["exceptions", "--config", path]))).expect("JSON");
    assert_eq!(list["file"], json!(path));
    assert!(used(&list).iter().all(|(.., hits)| hits.is_none()), "{list:#}");
    assert_eq!(list["exceptions"][1]["listed"], json!(2));
    let text = out(&ask(&lab, &["exceptions", "--config", path, "--format", "text"]));
    assert!(text.starts_with(&format!("exceptions of {path}; nothing is counted")), "{text}");

    let explained = out(&ask(&lab, &["explain", HOST, SERVER, "--config", path]));
    assert!(explained.starts_with(&format!("no match, by {path}\n")), "{explained}");
    fs::write(&file, "").expect("write a file");
    let text = out(&ask(&lab, &["exceptions", "--config", path, "--format", "text"]));
    assert_eq!(text, format!("no exceptions of {path}; nothing is counted, for no agent was asked\n"));
}

#[test]
fn explain_is_answered_by_the_agent_that_runs() {
    let Some(lab) = Lab::make("explain_is_answered_by_the_agent_that_runs") else { return };
    lab.run(End::Host, "ip address add 93.184.1.1/32 dev lo");
    let agent = Agent::start_with(&lab, &config(&lab), &[]);
    let list = lab.folder().join("storage.txt");
    for (source, destination, port, code, last) in [
        (HOST, SERVER, "445", 1, format!("excepted by `of a list`, which {} lists", list.display())),
        (HOST, SERVER, "139", 0, "the exception `over` has expired (until 2020-12-31T12:00:00Z)".to_owned()),
        (
            HOST,
            NOBODY,
            "445",
            1,
            format!("destination {NOBODY} is excepted: {NOBODY}/32 (of the kernel), of storage"),
        ),
        (
            "10.0.0.1",
            OTHER,
            "445",
            0,
            "excepted until 3000-01-01T00:00:00Z by `of a program`, if the workload is".to_owned(),
        ),
        (
            "93.184.1.1",
            SERVER,
            "445",
            1,
            "source 93.184.1.1 is an address of this host and outside".to_owned(),
        ),
    ] {
        let output = ask(&lab, &["explain", source, destination, port]);
        let text = out(&output);
        let verdict = if code == 0 { "match" } else { "no match" };
        assert!(text.starts_with(&format!("{verdict}, as the running agent is configured\n")), "{text}");
        assert!(
            text.lines().last().is_some_and(|line| line.trim_start().starts_with(&last)),
            "{last}: {text}"
        );
        assert_eq!(output.status.code(), Some(code), "{text}");
    }
    agent.stop();
    let agent = Agent::start_with(&lab, "", &["--profile", "strict"]);
    let text = out(&ask(&lab, &["explain", "93.184.1.1", SERVER]));
    assert!(text.contains("source 93.184.1.1 is inside `sources`: 93.184.1.1/32"), "{text}");
    // By another configuration than the agent's.
    let text = out(&ask(&lab, &["explain", HOST, SERVER, "--profile", "rule-105"]));
    assert!(text.starts_with("match, by the profile rule-105\n"), "{text}");
    agent.stop();
    let text = out(&ask(&lab, &["explain", HOST, SERVER]));
    assert!(text.starts_with("match, by the defaults; no agent answers at "), "{text}");
}

#[test]
fn what_names_hosts_and_owners_is_not_told_by_tcp() {
    let Some(lab) = Lab::make("what_names_hosts_and_owners_is_not_told_by_tcp") else { return };
    let config = config(&lab) + "[metrics]\nlisten = \"127.0.0.1:9445\"\n";
    let agent = Agent::start_with(&lab, &config, &[]);
    let explain = format!("/explain/{HOST}/{SERVER}/445");
    for (target, unix, tcp) in [
        ("/exceptions", 200, 404),
        (explain.as_str(), 200, 404),
        ("/explain/10.0.0.1/2606::1/445", 400, 404),
        ("/explain/10.0.0.1/8.8.8.8/70000", 400, 404),
        ("/explain", 404, 404),
        ("/metrics", 200, 200),
        ("/healthz", 200, 200),
    ] {
        let answer = lab.inside(End::Host, || {
            let mut stream = TcpStream::connect("127.0.0.1:9445").expect("connect");
            let request = format!("GET {target} HTTP/1.0\r\n\r\n");
            std::io::Write::write_all(&mut stream, request.as_bytes()).expect("ask");
            Answer::read(stream)
        });
        assert_eq!((Answer::of(&lab, target, "*/*").status, answer.status), (unix, tcp), "{target}");
        for name in ["storage", "of the kernel", NOBODY, SERVER] {
            assert!(!answer.body.contains(name) && !answer.head.contains(name), "{target}: {}", answer.body);
        }
    }
    agent.stop();
}
