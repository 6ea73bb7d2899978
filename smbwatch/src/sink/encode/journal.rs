//! The journal's native protocol, <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>: one datagram of fields an alert.

use super::priority;
use crate::sink::stored::Opened;

/// What people look for. A field that an alert lacks is left out.
const FIELDS: [(&str, &str); 13] = [
    ("MESSAGE", "/event/reason"),
    ("SMBWATCH_EVENT_ID", "/event/id"),
    ("SMBWATCH_INCIDENT_ID", "/smbwatch/incident/id"),
    ("SMBWATCH_ACTION", "/event/action"),
    ("SMBWATCH_OUTCOME", "/event/outcome"),
    ("SMBWATCH_SEVERITY", "/event/severity"),
    ("SMBWATCH_SOURCE_IP", "/source/ip"),
    ("SMBWATCH_SOURCE_PORT", "/source/port"),
    ("SMBWATCH_DESTINATION_IP", "/destination/ip"),
    ("SMBWATCH_DESTINATION_PORT", "/destination/port"),
    // The journal adds what it knows of this process, and `journalctl OBJECT_PID=` finds it.
    ("OBJECT_PID", "/process/pid"),
    ("SMBWATCH_PROCESS_NAME", "/process/name"),
    ("SMBWATCH_PROCESS_EXECUTABLE", "/process/executable"),
];

/// The whole document is in `SMBWATCH_ALERT`.
pub(in crate::sink) fn journal(alert: &Opened<'_>) -> Vec<u8> {
    let mut datagram = Vec::new();
    field(&mut datagram, "PRIORITY", priority(alert.severity()).to_string().as_bytes());
    field(&mut datagram, "SYSLOG_IDENTIFIER", b"smbwatch");
    for (name, pointer) in FIELDS {
        let value = alert.text(pointer);
        if !value.is_empty() {
            field(&mut datagram, name, value.as_bytes());
        }
    }
    field(&mut datagram, "SMBWATCH_ALERT", alert.json);
    datagram
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
