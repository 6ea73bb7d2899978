//! The alert documents that the agent writes, as far as the demo reads them.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

/// Reads a file of one document per line; a file that was never made holds none.
pub(crate) fn read(path: &Path) -> Result<Vec<Value>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        text => text.with_context(|| format!("read {}", path.display()))?,
    };
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))).collect()
}

/// The most severe one; of equals the last, which knows the most.
pub(crate) fn worst(documents: &[Value]) -> Option<&Value> {
    documents.iter().max_by_key(|document| field(document, "event.severity").and_then(Value::as_u64))
}

/// The time from the packet to the alert.
pub(crate) fn delay(document: &Value) -> Option<Duration> {
    let packet = time_of_day(field(document, "@timestamp")?.as_str()?)?;
    let alert = time_of_day(field(document, "event.created")?.as_str()?)?;
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    Some(if alert < packet { alert + DAY - packet } else { alert - packet })
}

/// A field by its dotted name, whether the document nests its objects or not.
fn field<'a>(document: &'a Value, name: &str) -> Option<&'a Value> {
    if let Some(value) = document.get(name) {
        return Some(value);
    }
    let (outer, inner) = name.split_once('.')?;
    field(document.get(outer)?, inner)
}

/// The time in an RFC 3339 text such as `2026-01-31T23:59:59.25Z`, since midnight.
fn time_of_day(text: &str) -> Option<Duration> {
    let (_, time) = text.split_once('T')?;
    let mut parts = time.strip_suffix('Z')?.splitn(3, ':');
    let hours: u64 = parts.next()?.parse().ok()?;
    let minutes: u64 = parts.next()?.parse().ok()?;
    let seconds: f64 = parts.next()?.parse().ok()?;
    Some(Duration::from_secs(hours * 3600 + minutes * 60) + Duration::try_from_secs_f64(seconds).ok()?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::{delay, worst};

    #[test]
    fn the_delay_is_read_from_nested_and_dotted_fields_and_over_midnight() {
        let nested = json!({"@timestamp": "2026-01-31T10:00:59.999Z", "event": {"created": "2026-01-31T10:01:00.001Z"}});
        assert_eq!(delay(&nested).map(|d| d.as_micros()), Some(2000));
        let dotted = json!({"@timestamp": "2026-01-31T23:59:59Z", "event.created": "2026-02-01T00:00:01Z"});
        assert_eq!(delay(&dotted), Some(Duration::from_secs(2)));
        assert_eq!(delay(&json!({"@timestamp": "yesterday"})), None);
    }

    #[test]
    fn the_worst_is_the_last_of_the_most_severe() {
        let documents: Vec<_> = [(47, 1), (73, 2), (73, 3), (21, 4)]
            .map(|(s, id)| json!({"event": {"severity": s, "id": id}}))
            .into();
        assert_eq!(worst(&documents).map(|d| d["event"]["id"].clone()), Some(json!(3)));
    }
}
