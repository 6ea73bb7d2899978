//! ArcSight's Common Event Format, version 0, with the keys of its extension dictionary.

use std::fmt::Write as _;

use crate::alert::Document;

/// `CEF:0|vendor|product|version|signature|name|severity|key=value …`
pub(super) fn cef(document: &Document) -> String {
    let Document { event, observer, rule, source, destination, host, process, user, .. } = document;
    let mut text = "CEF:0".to_owned();
    for field in [observer.vendor, observer.product, observer.version, event.action, rule.name] {
        let _ = write!(text, "|{}", header(field));
    }
    // 0 to 10; ECS severities reach 99.
    let _ = write!(text, "|{}|", event.severity.div_ceil(10));
    let start = document.timestamp.as_millisecond().to_string();
    let mut pairs = vec![
        ("rt", start),
        ("externalId", event.id.clone()),
        ("outcome", event.outcome.to_owned()),
        ("proto", "TCP".to_owned()),
        ("src", source.ip.to_string()),
        ("spt", source.port.to_string()),
        ("dst", destination.ip.to_string()),
        ("dpt", destination.port.to_string()),
        ("out", source.bytes.to_string()),
        ("in", destination.bytes.to_string()),
        ("dvchost", host.name.clone()),
        ("msg", event.reason.clone()),
        ("cs1Label", "incident".to_owned()),
        ("cs1", document.smbwatch.incident.id.clone()),
    ];
    pairs.extend(destination.domain.clone().map(|domain| ("dhost", domain)));
    if let Some(process) = process {
        pairs.push(("spid", process.pid.to_string()));
        pairs.push(("sproc", process.executable.clone().unwrap_or_else(|| process.name.clone())));
    }
    if let Some(user) = user {
        pairs.push(("suid", user.id.clone()));
        pairs.extend(user.name.clone().map(|name| ("suser", name)));
    }
    let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={}", extension(value))).collect();
    text + &pairs.join(" ")
}

/// A pipe would end the field, and a line break the message.
fn header(text: &str) -> String {
    text.replace('\\', r"\\").replace('|', r"\|").replace(['\n', '\r'], " ")
}

/// An equals sign would begin a value.
fn extension(text: &str) -> String {
    text.replace('\\', r"\\").replace('=', r"\=").replace('\n', r"\n").replace('\r', r"\r")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_field_from_inside() {
        assert_eq!(header("a|b\\c\nd"), r"a\|b\\c d");
        assert_eq!(extension("a=b|c\\d\ne"), r"a\=b|c\\d\ne");
    }
}
