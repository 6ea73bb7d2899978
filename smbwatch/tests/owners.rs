//! Processes that end right after they connect are named all the same, with executable and arguments.
//!
//! It is its own harness, because the process that connects has to be one of a single thread that does
//! nothing else: the test starts its own executable again.

mod support;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::memfd::{MFdFlags, memfd_create};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use support::agent::{Agent, number, text};
use support::lab::{End, Lab, NOBODY, SERVER};
use support::peer::listen;

/// The first argument of a process that is to connect.
const CLIENT: &str = "short-lived-client";
const TRIES: usize = 1000;
const NAMED: usize = 999;

/// How a client connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Blocking,
    NonBlocking,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|first| first == CLIENT) {
        client(&arguments);
    }
    let tests = vec![
        Trial::test("a_process_that_ends_right_after_connect_is_named", || named(Mode::Blocking)),
        Trial::test("a_process_that_does_not_even_wait_for_connect_is_named", || named(Mode::NonBlocking)),
        Trial::test("a_process_is_named_wherever_its_executable_lies", wherever_it_lies),
        Trial::test("a_long_command_line_is_cut", long_command_line),
    ];
    // One after another: what else runs makes it easier for the agent to be in time.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    libtest_mimic::run(&arguments, tests).exit_code()
}

/// `short-lived-client MODE ADDRESS …`: connects, and ends without ado.
fn client(arguments: &[String]) -> ! {
    let address: SocketAddr = arguments[3].parse().expect("an address");
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("make a socket");
    socket.set_nonblocking(arguments[2] == format!("{:?}", Mode::NonBlocking)).expect("choose a mode");
    let connected = socket.connect(&address.into());
    // SAFETY: nothing is left to be done.
    unsafe { libc::_exit(i32::from(connected.is_err())) }
}

/// What a client is started with, behind its name.
fn arguments(mode: Mode) -> Vec<String> {
    let address = if mode == Mode::Blocking { SERVER } else { NOBODY };
    vec![CLIENT.to_owned(), format!("{mode:?}"), format!("{address}:445")]
}

fn named(mode: Mode) -> Result<(), Failed> {
    let Some(lab) = Lab::make(&format!("owners {mode:?}")) else { return Ok(()) };
    let server = listen(&lab, SERVER, 445);
    std::thread::spawn(move || server.incoming().for_each(drop));
    let agent = Agent::start_with(&lab, "[limits]\nalerts_per_second = 1000000\n", &[]);
    let program = std::env::current_exe()?;
    let mut tries = HashMap::new();
    lab.inside(End::Host, || {
        for number in 0..TRIES {
            let mut command = Command::new(&program);
            command.args(arguments(mode)).arg("--password=secret").arg(format!("--try={number}"));
            let mut child = command.spawn().expect("start a client");
            tries.insert(u64::from(child.id()), number);
            child.wait().expect("wait for a client");
        }
    });

    let mut attempts = 0;
    let mut unnamed = Vec::new();
    for alert in agent.stop().documents {
        if text(&alert, "event.action") != "connection-attempted" {
            continue;
        }
        attempts += 1;
        let number = tries.get(&number(&alert, "process.pid"));
        let number = number.unwrap_or_else(|| panic!("none of our processes: {alert:#}"));
        let mut expected = vec![program.to_string_lossy().into_owned()];
        expected.extend(arguments(mode));
        expected.extend(["--password=[hidden]".to_owned(), format!("--try={number}")]);
        let facts = [
            ("/process/executable", json!(program)),
            ("/process/args", json!(expected)),
            ("/process/parent/pid", json!(std::process::id())),
        ];
        if facts.iter().any(|(path, value)| alert.pointer(path) != Some(value)) {
            unnamed.push(alert);
        }
    }
    assert_eq!(attempts, TRIES);
    let count = TRIES - unnamed.len();
    eprintln!("{mode:?}: {count} of {TRIES} named");
    assert!(count >= NAMED, "{count} of {TRIES} were named; {:#}", unnamed[0]);
    Ok(())
}

fn wherever_it_lies() -> Result<(), Failed> {
    let Some(lab) = Lab::make("wherever_it_lies") else { return Ok(()) };
    let program = std::env::current_exe()?;
    let mut agent = Agent::start(&lab);

    // In a file system that is mounted for it alone; as a file that is a mount; and as one that is gone.
    let disk = lab.folder().join("disk");
    fs::create_dir(&disk)?;
    let (deep, bound, gone) = (disk.join("a/b/deep"), disk.join("bound"), disk.join("gone"));
    let mount = "mount -t tmpfs none \"${1%/disk/*}/disk\" && mkdir -p \"${1%/*}\"";
    run_client(&lab, &deep, &format!("{mount} && cp \"$0\" \"$1\" && exec \"$@\""));
    named_as(&mut agent, &deep.to_string_lossy());
    run_client(&lab, &bound, "touch \"$1\" && mount --bind \"$0\" \"$1\" && exec \"$@\"");
    named_as(&mut agent, &bound.to_string_lossy());
    let remove = "cp \"$0\" \"$1\" && exec 3<\"$1\" && rm \"$1\" && shift && exec /proc/self/fd/3 \"$@\"";
    run_client(&lab, &gone, remove);
    named_as(&mut agent, &format!("{} (deleted)", gone.display()));

    let mut nowhere = File::from(memfd_create("nowhere", MFdFlags::MFD_CLOEXEC)?);
    nowhere.write_all(&fs::read(&program)?)?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), nowhere.as_raw_fd());
    run_to_end(lab.at(End::Host, &path).args(arguments(Mode::NonBlocking)));
    named_as(&mut agent, "/memfd:nowhere (deleted)");
    Ok(())
}

fn long_command_line() -> Result<(), Failed> {
    let Some(lab) = Lab::make("long_command_line") else { return Ok(()) };
    let mut agent = Agent::start(&lab);
    let many: Vec<String> = (1000..1200).map(|number| format!("argument-{number}")).collect();
    let program = std::env::current_exe()?;
    run_to_end(lab.at(End::Host, &program).args(arguments(Mode::NonBlocking)).args(&many));
    let alert = named_as(&mut agent, &program.to_string_lossy());
    let args = alert.pointer("/process/args").and_then(Value::as_array).expect("arguments");
    assert!(args.len() > 20 && args.contains(&json!("argument-1015")), "{alert:#}");
    Ok(())
}

/// Runs a client by a shell script in a mount namespace of its own: `$0` is this program, `$1` the path that
/// it shall have, and the client's arguments follow.
fn run_client(lab: &Lab, path: &Path, script: &str) {
    let mut command = lab.at(End::Host, "unshare");
    let program: PathBuf = std::env::current_exe().expect("this program");
    command.args(["--mount", "sh", "-c", script]).arg(program).arg(path);
    run_to_end(command.args(arguments(Mode::NonBlocking)));
}

/// Lets a client run to its end, which comes before the connection's.
fn run_to_end(command: &mut Command) {
    let output = command.output().expect("start a client");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Waits for an alert about a process with this executable.
fn named_as(agent: &mut Agent, executable: &str) -> Value {
    agent.wait_for(executable, |alert| text(alert, "process.executable") == executable)
}
