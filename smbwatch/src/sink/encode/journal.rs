//! The journal's native protocol, <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>: one datagram of fields an alert.

use super::priority;
use crate::sink::Encode;

/// What people look for, and the whole document in `SMBWATCH_ALERT`.
pub(in crate::sink) fn journal() -> Encode {
    Box::new(|document| {
        let mut datagram = Vec::new();
        let mut put = |name: &str, value: &[u8]| field(&mut datagram, name, value);
        let (event, process) = (&document.event, &document.process);
        put("MESSAGE", event.reason.as_bytes());
        put("PRIORITY", priority(event.severity).to_string().as_bytes());
        put("SYSLOG_IDENTIFIER", b"smbwatch");
        put("SMBWATCH_EVENT_ID", event.id.as_bytes());
        put("SMBWATCH_INCIDENT_ID", document.smbwatch.incident.id.as_bytes());
        put("SMBWATCH_ACTION", event.action.as_bytes());
        put("SMBWATCH_OUTCOME", event.outcome.as_bytes());
        put("SMBWATCH_SEVERITY", event.severity.to_string().as_bytes());
        put("SMBWATCH_SOURCE_IP", document.source.ip.to_string().as_bytes());
        put("SMBWATCH_SOURCE_PORT", document.source.port.to_string().as_bytes());
        put("SMBWATCH_DESTINATION_IP", document.destination.ip.to_string().as_bytes());
        put("SMBWATCH_DESTINATION_PORT", document.destination.port.to_string().as_bytes());
        if let Some(process) = process {
            // The journal adds these of the process to what `journalctl _PID=` finds.
            put("OBJECT_PID", process.pid.to_string().as_bytes());
            put("SMBWATCH_PROCESS_NAME", process.name.as_bytes());
            put("SMBWATCH_PROCESS_EXECUTABLE", process.executable.as_deref().unwrap_or_default().as_bytes());
        }
        put("SMBWATCH_ALERT", &serde_json::to_vec(document)?);
        Ok(datagram)
    })
}

fn field(datagram: &mut Vec<u8>, name: &str, value: &[u8]) {
    datagram.extend(name.as_bytes());
    if value.contains(&b'\n') {
        datagram.push(b'\n');
        datagram.extend((value.len() as u64).to_le_bytes());
    } else {
        datagram.push(b'=');
    }
    datagram.extend(value);
    datagram.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn a_value_of_several_lines_says_how_long_it_is() {
        let mut datagram = Vec::new();
        field(&mut datagram, "A", b"x=y");
        field(&mut datagram, "B", b"x\ny");
        assert_eq!(datagram, b"A=x=y\nB\n\x03\0\0\0\0\0\0\0x\ny\n");
    }
}
