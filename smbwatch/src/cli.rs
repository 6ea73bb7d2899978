//! The command line: what can be typed, and what each command prints.

use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use crate::config::sinks::SinkConfig;
use crate::config::{self, Config, Given, Profile};
use crate::explain::Packet;
use crate::messages;
use crate::pipeline;
use crate::probe::{Lock, check_permission};
use crate::ranges::Kind;
use crate::replay;
use crate::sink::{self, Format};
use crate::{exceptions_command, explain_command, interfaces_command};

const AFTER_HELP: &str = "\
Examples:
  smbwatch run                               watch what leaves by uplinks, and what containers send
  smbwatch run -i eth0 --profile strict      one interface, IPv6 and carrier-grade NAT too
  smbwatch run --format json | jq .process   alerts as ECS documents
  smbwatch interfaces                        what is watched, and why something is not
  smbwatch replay --offline traffic.pcapng   the same for what was captured before
  smbwatch explain 10.0.0.5 8.8.8.8          would that match, and why?
  smbwatch exceptions                        who may, until when, and how often that was so

`smbwatch run` needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON. RUST_LOG=debug says more.";

/// Watches a Linux host for SMB leaving toward the Internet, and says who did it.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch this host, until SIGINT or SIGTERM.
    ///
    /// Alerts go to standard output, or to the sinks that the configuration names instead; messages go to standard
    /// error. SIGHUP has the configuration read again, and files opened again. At the end a summary tells what was
    /// seen, alerted, suppressed and lost.
    Run(Run),
    /// List the interfaces: what each is to this host, and how it is watched, or why not.
    ///
    /// An agent need not run. Without root it is not known what is attached.
    Interfaces {
        /// A configuration file, whose choice of interfaces counts.
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
        #[command(flatten)]
        output: Output,
    },
    /// List the exceptions, and how often each was used.
    ///
    /// The running agent tells its own, with what it and its programs have counted. With --config those of a file
    /// are listed, of which nothing is counted.
    Exceptions {
        /// A configuration file to read instead of asking the agent.
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
        #[command(flatten)]
        output: Output,
        #[command(flatten)]
        folder: Folder,
    },
    /// Say whether a configuration file is right, and if not, where and why.
    ///
    /// Exits with 0 if it is, and with 2 if it is not.
    Check {
        /// The file.
        config: PathBuf,
        /// Also try to reach each sink.
        #[arg(long)]
        connect: bool,
    },
    /// Say whether a packet would match, and which clause and range decide.
    ///
    /// The running agent answers; with --config or --profile that configuration does, and where no agent runs, the
    /// defaults. Exits with 0 for a match, 1 for no match and 2 for an error.
    Explain {
        /// Where the packet comes from.
        source: IpAddr,
        /// Where it goes.
        destination: IpAddr,
        /// Its destination port.
        #[arg(default_value_t = 445)]
        port: u16,
        #[command(flatten)]
        choice: Choice,
        #[command(flatten)]
        folder: Folder,
    },
    /// Judge what was captured before, and tell its alerts.
    ///
    /// Packets go through the programs in the kernel, which needs CAP_BPF, or with --offline through the same
    /// parser on this machine. Time is that of the packets.
    Replay(Replay),
    /// List the sources that match and the destinations that do not.
    Ranges {
        #[command(flatten)]
        choice: Choice,
    },
}

#[derive(Debug, Args)]
struct Run {
    /// Watch this interface alone; may be given again. Default: all that `smbwatch interfaces` gives a role.
    #[arg(short, long = "interface", value_name = "NAME")]
    interfaces: Vec<String>,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    folder: Folder,
}

#[derive(Debug, Args)]
struct Replay {
    /// A pcap or pcapng file, or with --ecs one of ECS documents; `-` is standard input.
    file: PathBuf,
    /// Read ECS documents, one a line, as Packetbeat, Zeek's and firewalls' integrations write them.
    #[arg(long)]
    ecs: bool,
    /// Judge packets on this machine, without the kernel and without privileges.
    #[arg(long)]
    offline: bool,
    /// Let every address match, to study any capture.
    #[arg(long)]
    any_address: bool,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    folder: Folder,
}

#[derive(Debug, Args)]
struct Output {
    /// How standard output is written: text on a terminal, else JSON.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
struct Folder {
    /// Folder for files of a run: the socket at which the agent answers, and the verifier's log, if the kernel
    /// refuses a program.
    #[arg(long, value_name = "DIR", default_value = "/run/smbwatch")]
    run_dir: PathBuf,
}

#[derive(Debug, Args)]
struct Choice {
    /// A configuration file; `config/smbwatch.toml` shows all settings.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Which sources and destinations are meant; overrides the file's.
    #[arg(short, long, value_enum)]
    profile: Option<Profile>,
}

impl Choice {
    fn config(&self) -> Result<Config, config::Error> {
        self.given(Vec::new()).load()
    }

    fn given(&self, interfaces: Vec<String>) -> Given {
        Given { file: self.config.clone(), profile: self.profile, interfaces }
    }

    /// What is chosen, for people; none if nothing is.
    fn name(&self) -> Option<String> {
        match (&self.config, self.profile) {
            (Some(path), None) => Some(format!("by {}", path.display())),
            (Some(path), Some(profile)) => Some(format!("by {}, profile {profile}", path.display())),
            (None, Some(profile)) => Some(format!("by the profile {profile}")),
            (None, None) => None,
        }
    }
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(run) => report(run.run(), ExitCode::from(1)),
        Command::Interfaces { config, output } => {
            let choice = Choice { config, profile: None };
            let list = choice.config().map_err(Into::into);
            let list = list.and_then(|config| interfaces_command::list(&config.interfaces, output.format));
            report(list.and_then(|text| print(&text)), ExitCode::from(1))
        }
        Command::Exceptions { config, output, folder } => {
            let list = exceptions(config.as_deref(), output.format, &folder.run_dir);
            report(list.and_then(|text| print(&text)), ExitCode::from(1))
        }
        Command::Replay(replay) => report(replay.run(), ExitCode::from(1)),
        Command::Check { config: path, connect } => {
            let checked = Config::load(&path, None).map_err(Into::into).and_then(|config| {
                let reached = if connect { reach(&config)? } else { String::new() };
                print(&format!("{}: ok\n{reached}", path.display()))
            });
            report(checked, ExitCode::from(2))
        }
        Command::Explain { source, destination, port, choice, folder } => {
            let answer = || {
                let packet = Packet::new(source, destination, port)?;
                let (matches, text) = match choice.name() {
                    Some(name) => explain_command::of_config(&choice.config()?, packet, &name),
                    None => explain_command::of_agent(&folder.run_dir, packet)?,
                };
                print(&text).map(|()| matches)
            };
            match answer() {
                Ok(matches) => ExitCode::from(u8::from(!matches)),
                Err(error) => report(Err(error), ExitCode::from(2)),
            }
        }
        Command::Ranges { choice } => {
            let text = choice.config().map(|config| ranges(&config));
            report(text.map_err(Into::into).and_then(|text| print(&text)), ExitCode::from(2))
        }
    }
}

impl Replay {
    fn run(self) -> anyhow::Result<()> {
        messages::start()?;
        let config = self.choice.config()?;
        let Self { file, offline, any_address, .. } = &self;
        let (format, run_dir) = (self.output.format, &*self.folder.run_dir);
        let options = replay::Options { offline: *offline, any_address: *any_address, format, run_dir };
        let (summary, ended) = if self.ecs {
            replay::documents(&config, file, options)
        } else {
            if !offline {
                check_permission().context("without privileges, add --offline")?;
            }
            replay::captures(config, file, options)
        }?;
        eprintln!("{summary}");
        ended
    }
}

impl Run {
    fn run(self) -> anyhow::Result<()> {
        messages::start()?;
        let given = self.choice.given(self.interfaces);
        let config = given.load()?;
        check_permission()?;
        // Payload may hold what must not get into a core file.
        nix::sys::prctl::set_dumpable(false).context("keep this process out of core files")?;
        let _lock = Lock::take()?;
        let summary = pipeline::run(given, config, &self.folder.run_dir, self.output.format)?;
        tracing::info!("{summary}");
        Ok(())
    }
}

/// Tries every sink, and names all that cannot be reached.
fn reach(config: &Config) -> anyhow::Result<String> {
    let tried = |sink: &SinkConfig| match sink::check(sink) {
        Ok(()) => Ok(format!("sink {}: reached\n", sink.name)),
        Err(error) => Err(format!("{error:#}")),
    };
    let (reached, failed): (Vec<_>, Vec<_>) = config.sinks.iter().map(tried).partition(Result::is_ok);
    let failed: Vec<String> = failed.into_iter().filter_map(Result::err).collect();
    anyhow::ensure!(failed.is_empty(), failed.join("\n"));
    Ok(reached.into_iter().flatten().collect())
}

fn exceptions(file: Option<&Path>, format: Format, run_dir: &Path) -> anyhow::Result<String> {
    match file {
        Some(file) => exceptions_command::of_file(file, &Config::load(file, None)?, format),
        None => exceptions_command::of_agent(run_dir, format),
    }
}

fn ranges(config: &Config) -> String {
    use std::fmt::Write as _;
    let mut text = format!("profile {}\n\nsources that match\n", config.profile);
    for prefix in &config.sources {
        let _ = writeln!(text, "  {prefix}");
    }
    if config.own_addresses {
        text.push_str("  and the host's own public addresses\n");
    }
    text.push_str("\ndestinations that do not match; the longest range decides\n");
    for range in &config.destinations {
        let kind = match range.kind {
            Kind::Public => "matches",
            Kind::Reserved => "reserved",
            Kind::Exception => "exception",
        };
        let _ = writeln!(text, "  {:<20} {kind:<10} {}", range.prefix.to_string(), range.name);
    }
    text
}

/// Writes to standard output; a reader that has gone is no error.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("write to standard output"),
    }
}

fn report(result: anyhow::Result<()>, failed: ExitCode) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("smbwatch: {error:#}");
            failed
        }
    }
}
