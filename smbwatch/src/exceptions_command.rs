//! `smbwatch exceptions`: every exception, and how often it was used.

use std::path::{Path, PathBuf};

use anyhow::bail;
use jiff::Timestamp;
use serde::Serialize;

use crate::ask::{ask, socket};
use crate::config::Config;
use crate::except::{Decider, Row, rows};
use crate::explain_command::read;
use crate::sink::Format;
use crate::table::table;

/// The whole answer.
#[derive(Debug, Serialize)]
struct List {
    /// The socket of the agent that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<PathBuf>,
    /// The file that was read instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    exceptions: Vec<Row>,
}

/// Lists those of the agent that runs in `run_dir`.
pub fn of_agent(run_dir: &Path, format: Format) -> anyhow::Result<String> {
    let socket = socket(run_dir);
    let Some(exceptions) = ask(&socket, "/exceptions")? else {
        bail!("no agent answers at {}; name a file by --config", socket.display());
    };
    List { agent: Some(socket), file: None, exceptions }.text(format)
}

/// Lists those of a file, whose files are read.
pub fn of_file(file: &Path, config: &Config, format: Format) -> anyhow::Result<String> {
    let exceptions = rows(config, &read(config), None, Timestamp::now());
    List { agent: None, file: Some(file.to_owned()), exceptions }.text(format)
}

impl List {
    fn text(&self, format: Format) -> anyhow::Result<String> {
        if !format.is_text() {
            return Ok(serde_json::to_string_pretty(self)? + "\n");
        }
        let of = match &self.file {
            Some(file) => format!("of {}; nothing is counted, for no agent was asked", file.display()),
            None => "of the running agent, used since its start".to_owned(),
        };
        if self.exceptions.is_empty() {
            return Ok(format!("no exceptions {of}\n"));
        }
        let header = ["USED", "DECIDED BY", "TO", "PORTS", "FROM", "WORKLOAD", "OWNER", "UNTIL", "REASON"];
        Ok(format!("exceptions {of}\n\n{}", table(header, self.exceptions.iter().map(words))))
    }
}

fn words(row: &Row) -> [String; 9] {
    let (decider, unit) = match row.decided_by {
        Decider::Kernel => ("kernel", "packets"),
        Decider::Agent => ("agent", "changes"),
    };
    let any = |text: Option<String>| text.unwrap_or_else(|| "any".to_owned());
    let file = row.destinations_file.as_ref().map(|path| {
        let listed = row.listed.map_or("not read".to_owned(), |count| format!("{count} prefixes"));
        format!("{} ({listed})", path.display())
    });
    let to: Vec<String> = row.destination.iter().map(ToString::to_string).chain(file).collect();
    let ports: Vec<String> = row.ports.iter().map(u16::to_string).collect();
    let workload = [
        ("container", &row.container),
        ("image", &row.image),
        ("unit", &row.unit),
        ("executable", &row.executable),
    ];
    let workload = workload.into_iter().filter_map(|(kind, name)| Some(format!("{kind} {}", name.as_ref()?)));
    let joined = |words: Vec<String>| Some(words.join(", ")).filter(|words| !words.is_empty());
    let until = row.expires.map(|expires| {
        let expired = if row.expired { ", expired" } else { "" };
        format!("{expires}{expired}")
    });
    [
        row.hits.map_or("-".to_owned(), |hits| format!("{hits} {unit}")),
        decider.to_owned(),
        any(joined(to)),
        any(joined(ports)),
        any(row.source.map(|source| source.to_string())),
        any(joined(workload.collect())),
        row.owner.clone().unwrap_or_else(|| "-".to_owned()),
        until.unwrap_or_else(|| "-".to_owned()),
        row.reason.clone(),
    ]
}
