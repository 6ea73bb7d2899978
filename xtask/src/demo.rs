//! `demo`: a private host leaks a file over SMB in a lab, and the real agent tells of it.

use std::fs;
use std::io::IsTerminal as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, process::Command};

use anyhow::{Context, Result, bail};

use crate::lab::{End, HOST, Lab, SERVER};
use crate::say::{more, say, show};
use crate::service::{Line, Service};
use crate::{build, document, interrupt, packages, process, root, samba, setup, workspace};

const READY_LIMIT: Duration = Duration::from_secs(15);
const ALERT_LIMIT: Duration = Duration::from_secs(15);
/// An incident may be told in several alerts: silence this long means that the last has come.
const SILENCE: Duration = Duration::from_millis(1500);

/// See the agent catch a leak, in a network of its own.
///
/// Makes two network namespaces, a private host and a small "Internet" with a Samba server,
/// starts the release build of the agent on the host, copies a file out with smbclient, and
/// shows the alert. Nothing leaves this machine, and everything is removed afterwards. The
/// alert's JSON document is the only thing on stdout.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only the part that needs root; the agent has been built.
    #[arg(long, hide = true, value_name = "AGENT")]
    built: Option<PathBuf>,
    /// Plain TCP instead of Samba.
    #[arg(long)]
    plain: bool,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    let agent = match &args.built {
        Some(agent) => agent.clone(),
        None => build()?,
    };
    if !root::is_root() {
        let mut again = root::command(env::current_exe().context("find xtask itself")?)?;
        again.args(["demo", "--built"]).arg(agent).args(args.plain.then_some("--plain"));
        say("demo", "the lab needs root: goes on through sudo");
        return Err(again.exec()).context("start sudo");
    }
    interrupt::catch()?;
    story(&agent, packages::lab().samba && !args.plain)
}

/// Builds the agent, as the invoking user; returns its path.
fn build() -> Result<PathBuf> {
    setup::toolchain()?;
    if !setup::lab().namespaces {
        bail!("the demo needs `ip` and `nsenter`: install iproute2 and util-linux");
    }
    build::agent(false)?;
    Ok(workspace::binaries(false).join("smbwatch"))
}

/// What is left in scope is taken down from the last to the first, also after an error.
fn story(program: &Path, samba: bool) -> Result<()> {
    let lab = Lab::make()?;
    say("1 lab", &format!("two network namespaces: a private host, {HOST}, and an Internet with {SERVER};"));
    more("no route leads from them to this machine or out of it");

    let server = if samba { samba::serve(&lab)? } else { listen(&lab)? };
    let what = if samba { "Samba's smbd" } else { "in place of Samba, a plain TCP listener" };
    say("2 server", &format!("{what} on {SERVER}, port 445"));

    let alerts = lab.folder().join("alerts.ndjson");
    let agent = start_agent(&lab, program, &alerts)?;
    let ready = agent.wait_for("word of being attached", READY_LIMIT, |line| {
        line.text().contains("attached") && line.text().contains("eth0")
    })?;
    say("3 watch", "smbwatch run, on the private host's eth0:");
    more(ready.text());

    say("4 leak", &leak(&lab, samba)?);
    say("5 alert", "what the agent says:");
    let heard = listen_to(&agent)?;
    let last = agent.interrupt()?;
    last.iter().filter(|line| matches!(line, Line::Out(_))).for_each(|line| more(line.text()));
    let documents = document::read(&alerts)?;
    let Some(worst) = document::worst(&documents) else {
        last.iter().for_each(|line| more(line.text()));
        bail!("no alert document came ({heard} lines on stdout)");
    };
    let delay = document::delay(worst).map(|d| format!(", {:.1} ms after its packet", d.as_secs_f64() * 1e3));
    more(&format!(
        "{} in all; the most severe as its document{}:",
        documents.len(),
        delay.unwrap_or_default()
    ));
    show(&format!("{worst:#}"));

    say("6 stop", "the agent's last words:");
    last.iter().filter(|line| matches!(line, Line::Err(_))).for_each(|line| more(line.text()));
    drop(server);
    drop(lab);
    more("agent, server and namespaces are gone");
    Ok(())
}

fn start_agent(lab: &Lab, program: &Path, alerts: &Path) -> Result<Service> {
    let config = lab.folder().join("smbwatch.toml");
    let file = alerts.display();
    fs::write(
        &config,
        format!("sinks = [{{ type = \"stdout\" }}, {{ type = \"file\", path = \"{file}\" }}]\n"),
    )
    .context("write the agent's configuration")?;
    let mut agent = lab.at(End::Host, program);
    agent
        .args(["run", "--format", "text", "--config"])
        .arg(config)
        .arg("--run-dir")
        .arg(lab.folder().join("run"));
    if std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        // The agent writes to a pipe, and its lines are shown on this terminal.
        agent.env("CLICOLOR_FORCE", "1");
    }
    Service::start("smbwatch", &mut agent)
}

/// Lets the private host break the rule; returns what happened.
fn leak(lab: &Lab, samba: bool) -> Result<String> {
    if samba {
        let report = samba::put(lab)?;
        return Ok(format!("smbclient //{SERVER}/share -U CORP\\alice -c 'put customers.csv'\n{report}"));
    }
    process::run(&mut peer(lab, End::Host, "connect")?)?;
    Ok(format!("a plain TCP connection to {SERVER}:445"))
}

/// Shows alerts as they come, until no more do; returns how many lines there were.
fn listen_to(agent: &Service) -> Result<usize> {
    let mut count = 0;
    let mut limit = ALERT_LIMIT;
    while let Some(line) = agent.next(Instant::now() + limit)? {
        if let Line::Out(text) = line {
            more(&text);
            count += 1;
            limit = SILENCE;
        }
    }
    Ok(count)
}

fn listen(lab: &Lab) -> Result<Service> {
    let listener = Service::start("listener", &mut peer(lab, End::Net, "listen")?)?;
    listener.wait_for("sign of readiness", READY_LIMIT, |line| line.text().contains("listening"))?;
    Ok(listener)
}

/// xtask itself as a TCP peer, at one end of the lab.
fn peer(lab: &Lab, end: End, side: &str) -> Result<Command> {
    let mut peer = lab.at(end, env::current_exe().context("find xtask itself")?);
    peer.args(["peer", side, &format!("{SERVER}:445")]);
    Ok(peer)
}
