//! What the agent read of others does not outlive it.

mod support;

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus};

use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use nix::sys::signal::Signal;
use support::agent::{Agent, command};
use support::lab::Lab;

#[test]
fn a_crash_leaves_no_core_file() {
    let Some(lab) = Lab::make("a_crash_leaves_no_core_file") else { return };
    let mut sleep = Command::new("sleep");
    let mut other = dumping(sleep.arg("600").current_dir(lab.folder())).spawn().expect("start sleep");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(other.id().cast_signed()), Signal::SIGABRT)
        .expect("kill");
    if !other.wait().expect("wait for sleep").core_dumped() {
        return support::skip::skip("a_crash_leaves_no_core_file", "no process leaves a core file here");
    }
    let mut agent = command(&lab, "", &[]);
    dumping(agent.current_dir(lab.folder()));
    let mut agent = Agent::spawn(agent);
    agent.wait_until_said("attached to ");
    let status: ExitStatus = agent.stop_by(Signal::SIGABRT).status;
    assert_eq!((status.signal(), status.core_dumped()), (Some(libc::SIGABRT), false));
}

/// Lets a command leave a core file of any size.
fn dumping(command: &mut Command) -> &mut Command {
    let unlimited = || Ok(setrlimit(Resource::RLIMIT_CORE, RLIM_INFINITY, RLIM_INFINITY)?);
    // SAFETY: between fork and exec there is one system call.
    unsafe { command.pre_exec(unlimited) }
}
