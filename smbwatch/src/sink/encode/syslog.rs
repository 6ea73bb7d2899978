//! RFC 5424: a header, no structured data, and the alert in JSON or CEF.

use super::{cef, priority};
use crate::config::sinks::{Facility, Payload};
use crate::sink::stored::Opened;

/// A message without framing.
pub(in crate::sink) fn syslog(alert: &Opened<'_>, facility: Facility, payload: Payload) -> Vec<u8> {
    // The fraction has at most six digits, section 6.2.3.
    let mut message = format!(
        "<{}>1 {} {} smbwatch {} {} - ",
        facility.code() * 8 + priority(alert.severity()),
        alert.time("/@timestamp").strftime("%Y-%m-%dT%H:%M:%S%.6fZ"),
        host(&alert.text("/host/name")),
        std::process::id(),
        alert.text("/rule/id"),
    )
    .into_bytes();
    match payload {
        Payload::Json => message.extend(alert.json),
        Payload::Cef => message.extend(cef::cef(alert).into_bytes()),
    }
    message
}

/// Section 6.2.4: at most 255 printable ASCII characters, or `-`.
fn host(name: &str) -> &str {
    let fits = (1..=255).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { name } else { "-" }
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn a_name_that_would_break_the_header_is_left_out() {
        let long = "a".repeat(256);
        for (name, wanted) in
            [("pc.example", "pc.example"), ("", "-"), ("my pc", "-"), ("büro", "-"), (long.as_str(), "-")]
        {
            assert_eq!(host(name), wanted, "{name}");
        }
    }
}
