//! What the commands print, and how they end.

mod support;

use std::fs;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::PathBuf;
use std::process::{Command, Output};

use support::agent::{Agent, PROGRAM, command};
use support::lab::{End, Lab};

#[test]
fn help_names_every_command_and_gives_examples() {
    let help = smbwatch(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8_lossy(&help.stdout);
    for part in ["run", "interfaces", "exceptions", "check", "explain", "ranges", "Examples:", "CAP_BPF"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert_eq!(smbwatch(&["walk"]).status.code(), Some(2));
    assert_eq!(smbwatch(&[]).status.code(), Some(2));
}

#[test]
fn check_says_whether_a_file_is_right_and_where_it_is_wrong() {
    let shown = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/smbwatch.toml");
    let right = smbwatch(&["check", shown]);
    assert_eq!(said(&right), (Some(0), format!("{shown}: ok\n"), String::new()));

    let file = TemporaryFile::new("wrong.toml", "profile = \"strict\"\nports = [445, \"smb\"]\n");
    let wrong = smbwatch(&["check", file.path()]);
    let (code, out, err) = said(&wrong);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    let place = format!("smbwatch: {}:2:15: ", file.path());
    assert!(err.starts_with(&place), "{err}");

    let (code, _, err) = said(&smbwatch(&["check", "/no/such/file"]));
    assert_eq!(code, Some(2));
    assert!(err.starts_with("smbwatch: /no/such/file: No such file"), "{err}");
}

#[test]
fn explain_ends_with_the_answer() {
    for (args, code, last) in [
        (vec!["10.0.0.5", "8.8.8.8"], 0, "destination 8.8.8.8 is in no reserved range: the Internet"),
        (vec!["10.0.0.5", "100.64.0.1", "139"], 1, "destination 100.64.0.1 is reserved: 100.64.0.0/10"),
        (vec!["8.8.8.8", "9.9.9.9"], 1, "source 8.8.8.8 is outside `sources`"),
        (vec!["fd00::1", "64:ff9b::a01:203"], 1, "source fd00::1 is outside `sources`"),
        (
            vec!["fd00::1", "64:ff9b::a01:203", "-p", "strict"],
            1,
            "judged by the IPv4 address inside, 10.1.2.3,",
        ),
    ] {
        let by = if args.contains(&"-p") {
            "by the profile strict\n"
        } else {
            "by the defaults; no agent answers at /nowhere/metrics.sock\n"
        };
        let args: Vec<&str> = ["explain", "--run-dir", "/nowhere"].into_iter().chain(args).collect();
        let (found, out, err) = said(&smbwatch(&args));
        assert_eq!((found, err.as_str()), (Some(code), ""), "{args:?}");
        let verdict = if code == 0 { "match" } else { "no match" };
        assert!(out.starts_with(&format!("{verdict}, {by}")), "{out}");
        assert!(out.lines().last().is_some_and(|line| line.contains(last)), "{out}");
    }
    let mixed = said(&smbwatch(&["explain", "10.0.0.5", "2606::1"]));
    let message = "smbwatch: no packet goes from 10.0.0.5 to 2606::1: one is IPv4 and the other IPv6; give two of one kind\n";
    assert_eq!(mixed, (Some(2), String::new(), message.to_owned()));
    assert_eq!(smbwatch(&["explain", "10.0.0.5"]).status.code(), Some(2));
    assert_eq!(smbwatch(&["explain", "10.0.0.5", "eight"]).status.code(), Some(2));
    assert_eq!(smbwatch(&["explain", "10.0.0.5", "8.8.8.8", "-c", "/no/such/file"]).status.code(), Some(2));
}

#[test]
fn ranges_lists_both_sides_of_a_profile() {
    let (code, out, err) = said(&smbwatch(&["ranges"]));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    for line in ["profile rule-105", "  10.0.0.0/8", "  100.64.0.0/10        reserved   Shared Address Space"]
    {
        assert!(out.lines().any(|found| found == line), "no `{line}` in {out}");
    }
    let (code, out, _) = said(&smbwatch(&["ranges", "--profile", "strict"]));
    assert_eq!(code, Some(0));
    for part in
        ["profile strict", "  fc00::/7", "the host's own public addresses", "192.0.0.9/32         matches"]
    {
        assert!(out.contains(part), "no `{part}` in {out}");
    }
    // A reader that goes early is no error.
    let mut sh = Command::new("sh");
    let closed = sh.args(["-c", "\"$0\" ranges | true; echo done"]).arg(PROGRAM).output().expect("start sh");
    assert_eq!(said(&closed), (Some(0), "done\n".to_owned(), String::new()));
}

#[test]
fn run_names_the_interfaces_there_are() {
    let Some(lab) = Lab::make("run_names_the_interfaces_there_are") else { return };
    let ended = Agent::spawn(command(&lab, "", &["-i", "eth1"])).wait();
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(ended.said, ["smbwatch: no interface `eth1`; there are: lo, eth0"]);
}

#[test]
fn run_waits_for_an_interface_where_there_is_none() {
    let Some(lab) = Lab::make("run_waits_for_an_interface_where_there_is_none") else { return };
    lab.run(End::Host, "ip link delete eth0");
    let mut agent = Agent::spawn(command(&lab, "", &[]));
    agent.wait_until_said("no interface is to be watched yet; waiting for one");
    lab.run(End::Host, "ip link add eth1 type veth peer name eth2");
    agent.wait_until_said("attached to eth1 (");
    assert!(agent.stop().status.success());
}

#[test]
fn run_refuses_to_be_the_second() {
    let Some(lab) = Lab::make("run_refuses_to_be_the_second") else { return };
    let first = Agent::start(&lab);
    let second = Agent::spawn(command(&lab, "", &[])).wait();
    assert_eq!(second.status.code(), Some(1));
    let message = format!(
        "smbwatch: another smbwatch (pid {}) watches this network namespace already; stop it first",
        first.pid()
    );
    assert_eq!(second.said, [message]);
    first.stop();
    Agent::start(&lab).stop();
}

#[test]
fn no_user_can_keep_an_agent_from_its_work() {
    let Some(lab) = Lab::make("no_user_can_keep_an_agent_from_its_work") else { return };
    let squatted = lab.inside(End::Host, || {
        // SAFETY: it changes the user of this thread alone, which ends here.
        assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) }, 0, "be nobody");
        UnixListener::bind_addr(&SocketAddr::from_abstract_name("smbwatch").expect("a name"))
    });
    let _squatted = squatted.expect("take the name");
    let mut agent = Agent::spawn(command(&lab, "", &[]));
    agent.wait_until_said(&format!("user 65534 (pid {}) holds the name", std::process::id()));
    agent.wait_until_said("attached to eth0 (");
    agent.stop();
}

#[test]
fn run_without_permission_names_what_it_needs() {
    let Some(lab) = Lab::make("run_without_permission_names_what_it_needs") else { return };
    // Where the program lies, others may not look.
    let program = lab.folder().join("smbwatch");
    fs::copy(PROGRAM, &program).expect("copy the program");
    let mut command = lab.at(End::Host, "setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(program);
    command.arg("run");
    let ended = Agent::spawn(command).wait();
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(
        ended.said,
        ["smbwatch: no permission to load BPF programs: run as root, or grant CAP_BPF, CAP_NET_ADMIN and \
          CAP_PERFMON (before Linux 5.8: CAP_SYS_ADMIN)"]
    );
}

/// Runs a command that ends by itself.
fn smbwatch(args: &[&str]) -> Output {
    Command::new(PROGRAM).args(args).output().expect("start smbwatch")
}

/// Exit status, standard output and standard error.
fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A file that is gone when dropped.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("smbw-t-{}-{name}", std::process::id()));
        fs::write(&path, text).expect("write a file");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a path of text")
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
