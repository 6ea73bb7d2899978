//! What was captured before is judged like what passes now, by the kernel's programs and without them.

mod support;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use smbwatch_ebpf::testing::build::{IPV4, IPV6, Ipv4, Ipv6, Tcp, ethernet, smb};
use support::agent::{PROGRAM, document, number, text};
use support::capture::{Order, Sample, pcap};
use support::skip::{can_attach, skip};

fn data(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(folder);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let files = files.map(|file| file.expect("a file").path());
    let mut files: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|its| its.to_string_lossy().starts_with(extension)))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn replay(args: &[&str], file: &Path) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("replay").args(args).arg(file).output().expect("run a replay")
}

fn documents(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout).lines().map(document).collect()
}

fn actions(alerts: &[Value]) -> Vec<&str> {
    alerts.iter().map(|alert| text(alert, "event.action")).collect()
}

/// Alerts that the host's parser and the kernel's programs agree on.
fn agreed(args: &[&str], file: &Path) -> Option<Vec<Value>> {
    let all = |more: &[&str]| {
        let args = [&["--format", "json"], args, more].concat();
        let output = replay(&args, file);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {said}", file.display());
        (documents(&output), said)
    };
    let (offline, said) = all(&["--offline"]);
    if !can_attach("agreed") {
        return None;
    }
    let (kernel, said_by_kernel) = all(&[]);
    assert_eq!(offline, kernel, "{}", file.display());
    assert_eq!(said, said_by_kernel, "{}", file.display());
    Some(offline)
}

#[test]
fn the_kernel_and_the_host_agree_on_every_capture() {
    for (folder, extension) in [("captures", "pcap"), ("links", "pcap")] {
        for file in data(folder, extension) {
            for args in [&["--any-address"][..], &["--profile", "strict"], &[]] {
                let Some(alerts) = agreed(args, &file) else { return };
                assert!(!alerts.is_empty() || folder == "links", "{}", file.display());
            }
        }
    }
}

#[test]
fn a_replay_tells_the_grades_of_a_capture_at_its_own_times() {
    let file =
        data("captures", "pcap").into_iter().find(|file| file.ends_with("smb3.1.1.pcap")).expect("a file");
    let alerts = documents(&replay(&["--offline", "--format", "json"], &file));
    let expected = ["connection-attempted", "connection-established", "smb-spoken", "identity-sent"];
    assert_eq!(actions(&alerts), expected);
    let last = &alerts[3];
    assert_eq!(text(last, "event.created"), text(last, "@timestamp"), "the packets' time is all there is");
    assert_eq!(text(last, "smbwatch.smb.logons.0.user"), "alice");
    assert_eq!(text(last, "smbwatch.smb.version"), "3.1.1");
    assert_eq!(text(last, "host.name"), "replay");
    assert_eq!(text(last, "observer.egress.interface.name"), "capture");
}

/// Segments that a network device has put together, longer than the kernel runs programs on.
#[test]
fn large_segments_are_cut_as_on_the_wire() {
    let folder = Folder::make("large");
    let client = Ipv4::new([10, 0, 0, 1].into(), [8, 8, 8, 8].into());
    let syn = Tcp { sequence: 99, ..Tcp::syn(40000, 445) };
    let bulk = |sequence| {
        let payload = [smb(0xfe, 64), vec![0; 20_000]].concat();
        Tcp { sequence, ..Tcp::data(40000, 445, &payload) }
    };
    let length = u32::try_from(bulk(0).payload.len()).expect("a length");
    let mut frames = vec![ethernet(&[], IPV4, &client.wrap(&syn.bytes()))];
    for number in 0..60 {
        frames.push(ethernet(&[(0x8100, 7)], IPV4, &client.wrap(&bulk(100 + number * length).bytes())));
    }
    let source = "2001:db8::1".parse().expect("an address");
    let v6 = Ipv6::new(source, "2606:2800:220:1::1".parse().expect("an address"));
    frames.push(ethernet(&[], IPV6, &v6.wrap(&bulk(1).bytes())));
    let samples: Vec<Sample> = frames.iter().map(|frame| Sample::whole(1, 0, frame)).collect();
    let file = folder.file("large.pcap", &pcap(Order::Little, true, 1, &samples));
    let Some(alerts) = agreed(&["--any-address"], &file) else { return };
    let transfer = alerts.iter().find(|alert| text(alert, "event.action") == "data-transferring");
    let sent = number(transfer.expect("a transfer"), "source.bytes");
    assert!((1 << 20..(1 << 20) + 1500).contains(&sent), "{sent}");
    assert!(alerts.iter().any(|alert| text(alert, "network.type") == "ipv6"));
}

/// An empty list of reserved ranges says that nothing is reserved, and nothing else.
#[test]
fn nothing_reserved_is_not_any_address() {
    let folder = Folder::make("reserved");
    let config = folder.file("nothing.toml", b"reserved = []\n");
    let [client, server] = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
    let there = |segment: Tcp| ethernet(&[], IPV4, &Ipv4::new(client, server).wrap(&segment.bytes()));
    let back = |segment: Tcp| ethernet(&[], IPV4, &Ipv4::new(server, client).wrap(&segment.bytes()));
    let frames = [
        there(Tcp { sequence: 99, ..Tcp::syn(40000, 445) }),
        there(Tcp { sequence: 100, ..Tcp::data(40000, 445, &smb(0xfe, 64)) }),
        back(Tcp { sequence: 200, ..Tcp::data(445, 40000, &smb(0xfe, 64)) }),
    ];
    let samples: Vec<Sample> = frames.iter().map(|frame| Sample::whole(1, 0, frame)).collect();
    let file = folder.file("lan.pcap", &pcap(Order::Little, true, 1, &samples));
    // The server's answer begins a message too, from a private source to what is reserved no more.
    for (args, ports) in [
        (&["--config", config.to_str().expect("a path of text")][..], &[445, 445, 40000][..]),
        (&["--any-address"], &[445, 445]),
        (&[], &[]),
    ] {
        let Some(alerts) = agreed(args, &file) else { return };
        let told: Vec<u64> = alerts.iter().map(|alert| number(alert, "destination.port")).collect();
        assert_eq!(told, ports, "{args:?}");
    }
}

#[test]
fn what_came_before_an_error_is_told() {
    let folder = Folder::make("cut");
    let file =
        data("captures", "pcap").into_iter().find(|file| file.ends_with("smb3.1.1.pcap")).expect("a file");
    let bytes = fs::read(file).expect("read a capture");
    let whole = documents(&replay(&["--offline", "--format", "json"], &folder.file("whole.pcap", &bytes)));
    let output =
        replay(&["--offline", "--format", "json"], &folder.file("cut.pcap", &bytes[..bytes.len() - 3]));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("packet 25, at byte ") && said.contains("24 packets"), "{said}");
    assert_eq!(documents(&output), whole);
}

#[test]
fn what_is_no_capture_is_refused_by_name() {
    let folder = Folder::make("refused");
    for (name, bytes, message) in [
        ("empty", &b""[..], "the capture is empty"),
        ("gzip.pcap.gz", b"\x1f\x8b\x08\0\0\0\0\0", "zcat"),
        ("alerts.ndjson", b"{\"@timestamp\": 1}", "`--ecs`"),
    ] {
        let output = replay(&["--offline"], &folder.file(name, bytes));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(message) && said.contains(name), "{said}");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    }
    let output = replay(&["--offline"], Path::new("/nowhere.pcap"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere.pcap"));
}

#[test]
fn a_capture_comes_over_a_pipe() {
    let file = data("captures", "pcap").into_iter().find(|file| file.ends_with("smb1.pcap")).expect("a file");
    let mut command = Command::new(PROGRAM);
    command
        .args(["replay", "--offline", "--format", "json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("run a replay");
    let bytes = fs::read(&file).expect("read a capture");
    child.stdin.take().expect("a pipe").write_all(&bytes).expect("write a capture");
    let piped = child.wait_with_output().expect("wait for the replay");
    let from_file = replay(&["--offline", "--format", "json"], &file);
    assert_eq!(documents(&piped), documents(&from_file));
    assert!(documents(&piped).iter().any(|alert| alert["tags"][2] == "smb1"));
}

#[test]
fn documents_of_other_tools_are_judged() {
    for file in data("ecs", "ndjson") {
        let output = replay(&["--ecs", "--format", "json"], &file);
        let alerts = documents(&output);
        assert!(!alerts.is_empty(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
        for alert in &alerts {
            assert!(
                text(alert, "source.ip").starts_with("10.")
                    || text(alert, "source.ip").starts_with("192.168.")
                    || text(alert, "source.ip").starts_with("172."),
                "{alert:#}"
            );
            assert_ne!(number(alert, "destination.port"), 0, "{alert:#}");
        }
    }
}

#[test]
fn a_line_that_cannot_be_read_is_told_with_its_number() {
    let folder = Folder::make("lines");
    let good = "{\"@timestamp\":\"2026-01-02T03:04:05Z\",\"network\":{\"transport\":\"tcp\"},\
                \"source\":{\"ip\":\"10.0.0.1\",\"port\":1},\"destination\":{\"ip\":\"8.8.8.8\",\"port\":445}}\n";
    let file = folder
        .file("events.ndjson", format!("{good}no json\n{}", good.replace("8.8.8.8", "8.8.4.4")).as_bytes());
    let output = replay(&["--ecs", "--format", "json"], &file);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(documents(&output).len(), 2, "{said}");
    assert!(said.contains("line 2") && said.contains("3 documents"), "{said}");
    assert_eq!(output.status.code(), Some(1));
}

/// Without privileges, the way out is named.
#[test]
fn without_privileges_offline_is_proposed() {
    let file = data("captures", "pcap").remove(0);
    let setpriv = || {
        let mut command = support::lab::tool("setpriv");
        command.args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--inh-caps=-all",
            "--bounding-set=-all",
        ]);
        command
    };
    if !nix::unistd::geteuid().is_root() || setpriv().arg("true").status().is_err() {
        return skip("without_privileges_offline_is_proposed", "needs root and setpriv");
    }
    // Where others may run and read them.
    let folder = Folder::make("plain");
    let (program, copy) =
        (folder.0.join("smbwatch"), folder.file("plain.pcap", &fs::read(&file).expect("read")));
    fs::copy(PROGRAM, &program).expect("copy the program");
    let run = |args: &[&str]| {
        let mut command = setpriv();
        command.arg(&program).arg("replay").args(args).arg(&copy).output().expect("run a replay")
    };
    let refused = run(&[]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--offline"), "{refused:?}");
    assert!(run(&["--offline"]).status.success());
}

/// A folder that is gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn make(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("smbw-t-{}-{name}", std::process::id()));
        fs::create_dir(&folder).expect("make a folder");
        Self(folder)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        File::create(&path).and_then(|mut file| file.write_all(bytes)).expect("write a file");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
