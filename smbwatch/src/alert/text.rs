//! An alert as one readable line, for a terminal.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::Document;
use super::spoken::Spoken;

/// Writes `document` as one line without its line break. Styles are escape codes, for the writer to keep or
/// strip.
pub fn line(document: &Document) -> String {
    let (label, style) = label(document.event.severity);
    let dim = Style::new().dimmed();
    let bold = Style::new().bold();
    let time = document.timestamp.strftime("%H:%M:%S%.3fZ");
    let action = document.event.action;
    let mut line = format!("{dim}{time}{dim:#} {style}{label:<8}{style:#} {action:<22} ");
    match &document.process {
        Some(process) => {
            let user = process.user.name.as_deref().unwrap_or(&process.user.id);
            let name = process.executable.as_deref().unwrap_or(&process.name);
            let _ = write!(line, "{bold}{name}{bold:#} pid {} user {user}", process.pid);
        }
        None => line.push_str("unknown process"),
    }
    if let Some(container) = &document.container {
        let name = container.name.as_deref().unwrap_or(container.id.get(..12).unwrap_or(&container.id));
        let _ = write!(line, " in {bold}{name}{bold:#}");
    }
    let (source, destination) = (&document.source, &document.destination);
    let _ = write!(
        line,
        " {dim}{}{dim:#} -> {bold}{}{bold:#} {dim}{} {} out {} in{dim:#}",
        std::net::SocketAddr::new(source.ip, source.port),
        std::net::SocketAddr::new(destination.ip, destination.port),
        document.smbwatch.sightings.first().map_or("?", |seen| seen.interface.as_str()),
        size(source.bytes),
        size(destination.bytes),
    );
    if let Some(said) = document.smbwatch.smb.as_ref().map(said) {
        line.push_str(&said);
    }
    line
}

/// Who the client said it is, and which shares it asked for.
fn said(spoken: &Spoken) -> String {
    let mut said = String::new();
    for logon in spoken.logons.iter().filter(|logon| !logon.anonymous) {
        let domain = logon.domain.as_ref().map(|domain| format!("{domain}\\")).unwrap_or_default();
        match (&logon.user, &logon.service) {
            (Some(user), _) => said += &format!(" as {domain}{user}"),
            (None, Some(service)) => said += &format!(" for {service}"),
            (None, None) => {}
        }
    }
    let shares = spoken.shares.iter().map(|share| format!(" {}", share.path));
    said + &shares.collect::<String>()
}

/// The names that ECS consumers give the four severities.
fn label(severity: u8) -> (&'static str, Style) {
    let style = Style::new().bold();
    match severity {
        0..=21 => ("LOW", AnsiColor::Cyan.on_default()),
        22..=47 => ("MEDIUM", AnsiColor::Yellow.on_default()),
        48..=73 => ("HIGH", style.fg_color(Some(AnsiColor::Red.into()))),
        74.. => ("CRITICAL", style.fg_color(Some(AnsiColor::Magenta.into()))),
    }
}

/// Bytes in a unit that people read.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut scaled = bytes;
    while scaled >= 10 * 1024 && unit + 1 < UNITS.len() {
        scaled /= 1024;
        unit += 1;
    }
    format!("{scaled} {}", UNITS.get(unit).copied().unwrap_or("TiB"))
}
