//! Where alerts go: files are opened again on request, and wait for room on a full disk.

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use smbwatch_ebpf::testing::build::{IPV4, Ipv4, Tcp, ethernet};
use support::agent::{Agent, PATIENCE, PROGRAM, command, document, number, text};
use support::lab::{End, HOST, Lab, SERVER, tool};
use support::packet_socket::send_frames;

#[test]
fn a_file_that_was_moved_away_is_opened_again() {
    let Some(lab) = Lab::make("a_file_that_was_moved_away_is_opened_again") else { return };
    let path = lab.folder().join("alerts.ndjson");
    let mut agent = Agent::start_with(&lab, &both(&path), &[]);
    send(&lab, &mut agent, 1001);
    let moved = lab.folder().join("alerts.ndjson.1");
    wait_until("the first alert is in the file", || ports(&path) == [1001]);
    fs::rename(&path, &moved).expect("move the file away");
    agent.signal(Signal::SIGHUP);
    wait_until("there is a new file", || path.exists());
    send(&lab, &mut agent, 1002);
    wait_until("the second alert is there", || ports(&path) == [1002]);
    // The next alert finds out by itself.
    fs::remove_file(&path).expect("remove the file");
    send(&lab, &mut agent, 1003);
    let ended = agent.stop();
    assert_eq!(ports(&moved), [1001]);
    assert_eq!(ports(&path), [1003]);
    let line = format!("  file {}: 3 delivered", path.display());
    assert!(ended.said.iter().any(|said| said.ends_with(&line)), "{:?}", ended.said);
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).expect("the file").permissions());
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn a_full_disk_costs_nothing_until_the_end() {
    let Some(lab) = Lab::make("a_full_disk_costs_nothing_until_the_end") else { return };
    let disk = lab.folder().join("disk");
    fs::create_dir(&disk).expect("create a folder");
    let path = disk.join("alerts.ndjson");
    let run = command(&lab, &both(&path), &[]);
    // A disk of 16 KiB, mounted for the agent alone.
    let mut private = tool("unshare");
    private.args(["--mount", "sh", "-c", "mount -t tmpfs -o size=16k none \"$0\" && exec \"$@\""]).arg(&disk);
    private.arg(run.get_program()).args(run.get_args());
    let mut agent = Agent::spawn(private);
    agent.wait_until_said("attached to ");
    let inside =
        PathBuf::from(format!("/proc/{}/root", agent.pid())).join(path.strip_prefix("/").expect("/"));

    for port in 1..=8 {
        send(&lab, &mut agent, port);
    }
    let failing = agent.wait_until_said("No space left on device");
    assert!(failing.ends_with("alerts wait in memory"), "{failing}");
    let before = ports(&inside);
    // Whoever makes room so leaves a file open that nobody sees.
    fs::remove_file(&inside).expect("make room");
    agent.wait_until_said("writing works again");
    let all: Vec<u64> = (1..=8).collect();
    wait_until("all are in a file", || [before.clone(), ports(&inside)].concat() == all);

    for port in 9..=20 {
        send(&lab, &mut agent, port);
    }
    let ended = agent.stop();
    assert_eq!(ended.account().alerted, 20);
    let told = ended.said.iter().filter(|line| line.contains("No space left")).count();
    assert_eq!(told, 2, "{:?}", ended.said);
    assert!(ended.said.iter().any(|said| said.ends_with("stdout: 20 delivered")), "{:?}", ended.said);
    let name = format!("  file {}: ", path.display());
    let line = ended.said.iter().find(|line| line.contains(&name) && line.contains(" NOT delivered"));
    let line = line.unwrap_or_else(|| panic!("no account of the file in {:?}", ended.said));
    let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [delivered, undelivered, ..] = numbers[..] else { panic!("{line}") };
    assert_eq!(delivered + undelivered, 20, "{line}");
    assert!(delivered >= 8 && undelivered > 1, "{line}");
}

#[test]
fn a_sink_that_cannot_be_opened_ends_the_start() {
    let Some(lab) = Lab::make("a_sink_that_cannot_be_opened_ends_the_start") else { return };
    let ended = Agent::spawn(command(&lab, &both(Path::new("/no/such/folder/alerts")), &[])).wait();
    assert_eq!(ended.status.code(), Some(1));
    let message = "smbwatch: sink file /no/such/folder/alerts: open /no/such/folder/alerts; does its folder exist?: \
                   No such file or directory (os error 2)";
    assert_eq!(ended.said, [message]);
}

#[test]
fn text_is_one_line_for_each_alert() {
    let Some(lab) = Lab::make("text_is_one_line_for_each_alert") else { return };
    let mut run = lab.at(End::Host, PROGRAM);
    run.args(["run", "--format", "text", "--run-dir"]).arg(lab.folder().join("run"));
    let mut child = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start the agent");
    let mut err = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    assert!(err.any(|line| line.contains("attached to ")));
    send_frames(&lab, &[syn(1001)]);
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    out.read_line(&mut line).expect("read a line");
    // Without a terminal there are no colours.
    let (time, rest) = line.split_once(' ').expect("a time");
    assert!(time.len() == "12:34:56.789Z".len() && time.ends_with('Z'), "{line}");
    let expected = "LOW      connection-attempted   unknown process \
                    10.20.0.5:1001 -> 93.184.216.34:445 eth0 0 B out 0 B in\n";
    assert_eq!(rest, expected);
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("stop the agent");
    assert!(child.wait().expect("wait for the agent").success());
}

/// Sinks: standard output, and a file.
fn both(path: &Path) -> String {
    format!("[[sinks]]\ntype = \"stdout\"\n[[sinks]]\ntype = \"file\"\npath = \"{}\"\n", path.display())
}

/// Makes one alert, and waits for it on standard output.
fn send(lab: &Lab, agent: &mut Agent, port: u16) {
    send_frames(lab, &[syn(port)]);
    let alert = agent.wait_for("the flow", |alert: &Value| number(alert, "source.port") == u64::from(port));
    assert_eq!(text(&alert, "destination.ip"), SERVER);
}

fn syn(port: u16) -> Vec<u8> {
    let address = |text: &str| text.parse().expect("an address");
    let packet = Ipv4::new(address(HOST), address(SERVER));
    ethernet(&[], IPV4, &packet.wrap(&Tcp::syn(port, 445).bytes()))
}

/// The source ports of the alerts in a file.
fn ports(path: &Path) -> Vec<u64> {
    ports_of(&fs::read_to_string(path).unwrap_or_default())
}

/// The source ports of alerts, all of whose lines are whole.
fn ports_of(lines: &str) -> Vec<u64> {
    assert!(lines.is_empty() || lines.ends_with('\n'), "the last line is whole");
    lines.lines().map(|line| number(&document(line), "source.port")).collect()
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::yield_now();
    }
}
