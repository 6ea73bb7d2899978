//! ArcSight's Common Event Format, version 0, with the keys of its extension dictionary.

use std::fmt::Write as _;
use std::net::Ipv6Addr;

use crate::sink::stored::Opened;

const HEADER: [&str; 5] =
    ["/observer/vendor", "/observer/product", "/observer/version", "/event/action", "/rule/name"];

/// Keys of the extension, and the fields that they have their values from. A key whose field is missing is left out.
const EXTENSION: [(&str, &str); 17] = [
    ("externalId", "/event/id"),
    ("outcome", "/event/outcome"),
    ("src", "/source/ip"),
    ("spt", "/source/port"),
    ("dst", "/destination/ip"),
    ("dpt", "/destination/port"),
    ("out", "/source/bytes"),
    ("in", "/destination/bytes"),
    ("dvchost", "/host/name"),
    ("msg", "/event/reason"),
    ("cs1", "/smbwatch/incident/id"),
    ("dhost", "/destination/domain"),
    ("spid", "/process/pid"),
    ("suid", "/user/id"),
    ("suser", "/user/name"),
    ("sproc", "/process/executable"),
    ("sproc", "/process/name"),
];

/// `CEF:0|vendor|product|version|signature|name|severity|key=value …`
pub(super) fn cef(alert: &Opened<'_>) -> String {
    let mut text = "CEF:0".to_owned();
    for pointer in HEADER {
        let _ = write!(text, "|{}", header(&alert.text(pointer)));
    }
    // 0 to 10; ECS severities reach 99.
    let _ = write!(text, "|{}|", alert.severity().div_ceil(10));
    let _ = write!(text, "rt={} proto=TCP cs1Label=incident", alert.time("/@timestamp").as_millisecond());
    let mut last = "";
    for (key, pointer) in EXTENSION {
        let value = alert.text(pointer);
        // The first of a key's fields is the best one.
        if !value.is_empty() && key != last {
            let _ = match of_version_6(key).filter(|_| value.parse::<Ipv6Addr>().is_ok()) {
                Some((key, label)) => write!(text, " {key}={value} {key}Label={label}"),
                None => write!(text, " {key}={}", extension(&value)),
            };
            last = key;
        }
    }
    text
}

/// Version 0 types `src` and `dst` as IPv4 addresses, and has other keys for those of IPv6, each with a label.
fn of_version_6(key: &str) -> Option<(&'static str, &'static str)> {
    match key {
        "src" => Some(("c6a2", "Source IPv6 Address")),
        "dst" => Some(("c6a3", "Destination IPv6 Address")),
        _ => None,
    }
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
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_ends_a_field_from_inside() {
        assert_eq!(header("a|b\\c\nd"), r"a\|b\\c d");
        assert_eq!(extension("a=b|c\\d\ne"), r"a\=b|c\\d\ne");
    }

    #[test]
    fn an_address_has_the_key_of_its_version() {
        let told = |source: &str, destination: &str| {
            let alert =
                json!({ "source": { "ip": source }, "destination": { "ip": destination, "port": 445 } });
            cef(&Opened { json: b"", fields: alert.clone() })
        };
        let text = told("10.20.0.5", "93.184.216.34");
        assert!(text.ends_with(" cs1Label=incident src=10.20.0.5 dst=93.184.216.34 dpt=445"), "{text}");
        let text = told("fd00::5", "2606:2800:220:1::1");
        let version_6 = "c6a2=fd00::5 c6a2Label=Source IPv6 Address \
                         c6a3=2606:2800:220:1::1 c6a3Label=Destination IPv6 Address";
        assert!(text.ends_with(&format!(" cs1Label=incident {version_6} dpt=445")), "{text}");
    }
}
