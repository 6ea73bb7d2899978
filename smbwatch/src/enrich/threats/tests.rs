//! Lists of every format, right and wrong.

use super::*;

const NOW: &str = "2026-06-01T00:00:00Z";

fn parse(format: Format, text: &str) -> Result<List, String> {
    List::parse(text.as_bytes(), Path::new("list"), format).map_err(|error| error.to_string())
}

fn find(list: &List, address: &str, now: &str) -> Option<(String, Indicator)> {
    let (address, now) = (address.parse().expect("an address"), now.parse().expect("a time"));
    list.find(address, now).map(|(prefix, indicator)| (prefix.to_string(), indicator))
}

/// The prefix around each address, or `-`.
fn prefixes(list: &List, addresses: &[&str]) -> String {
    let found = |address: &&str| find(list, address, NOW).map_or("-".to_owned(), |(prefix, _)| prefix);
    addresses.iter().map(found).collect::<Vec<_>>().join(" ")
}

#[test]
fn plain_lists_hold_addresses_and_prefixes_of_both_families() {
    let text = "\u{feff}# Known scanners\r\n\r\n203.0.113.9\r\n198.51.100.7/24 ; SBL1\n  2001:db8::/32# six\n198.51.100.1";
    let list = parse(Format::Plain, text).expect("a list");
    assert_eq!(list.len(), 4);
    assert_eq!(
        prefixes(
            &list,
            &["203.0.113.9", "203.0.113.8", "198.51.100.200", "198.51.100.1", "2001:db8::1", "::1"]
        ),
        "203.0.113.9/32 - 198.51.100.0/24 198.51.100.1/32 2001:db8::/32 -"
    );
    assert!(parse(Format::Plain, "# nothing\n").is_ok_and(|list| list.is_empty()));
}

#[test]
fn patterns_give_the_addresses_that_are_enough_by_themselves() {
    for (text, expected) in [
        ("[ipv4-addr:value = '198.51.100.1']", "198.51.100.1/32"),
        ("[ipv4-addr:value='198.51.100.1']", "198.51.100.1/32"),
        ("[ipv6-addr:value ISSUBSET '2001:db8::/32']", "2001:db8::/32"),
        ("[network-traffic:dst_ref.value = '198.51.100.1']", "198.51.100.1/32"),
        ("[ipv4-addr:value IN ('198.51.100.1', '198.51.100.2')]", "198.51.100.1/32 198.51.100.2/32"),
        (
            "[ipv4-addr:value = '192.0.2.1' OR ipv6-addr:value = '2001:db8::1']",
            "192.0.2.1/32 2001:db8::1/128",
        ),
        ("[ipv4-addr:value = '192.0.2.1'] OR [ipv4-addr:value = '192.0.2.2']", "192.0.2.1/32 192.0.2.2/32"),
        ("[(ipv4-addr:value = '192.0.2.1') OR domain-name:value = 'a\\'b']", "192.0.2.1/32"),
        ("[ipv4-addr:value = '192.0.2.1' AND network-traffic:dst_port = 443]", ""),
        ("[ipv4-addr:value = '192.0.2.1' OR file:size > 1 AND file:name LIKE 'x%']", "192.0.2.1/32"),
        ("[ipv4-addr:value = '192.0.2.1'] FOLLOWEDBY [ipv4-addr:value = '192.0.2.2']", ""),
        ("[ipv4-addr:value = '192.0.2.1'] REPEATS 5 TIMES WITHIN 60 SECONDS", ""),
        ("[ipv4-addr:value = '192.0.2.1'] START t'2026-01-01T00:00:00Z' STOP t'2027-01-01T00:00:00Z'", ""),
        ("[ipv4-addr:value != '192.0.2.1']", ""),
        ("[ipv4-addr:value NOT IN ('192.0.2.1')]", ""),
        ("[file:hashes.'SHA-256' = 'aa']", ""),
        ("[x-list:items[*].name = 'aa' OR x-list:items[0].'a]b' = 1]", ""),
        ("[EXISTS ipv4-addr:value]", ""),
        ("what is not about addresses is not read", ""),
    ] {
        let addresses = pattern::addresses(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses.join(" "), expected, "{text}");
    }
    let deep = format!("{}ipv4-addr:value = '192.0.2.1'", "[".repeat(100_000));
    for wrong in [
        "[ipv4-addr:value]",
        "[ipv4-addr:value = 'x']",
        "[ipv4-addr:value = '192.0.2.1",
        "[ipv4-addr:value = '192.0.2.1'",
        "[ipv4-addr:value = '192.0.2.1']]",
        "[ipv4-addr:value IN '192.0.2.1']",
        "[ipv4-addr:value = '192.0.2.1' OR]",
        &deep,
    ] {
        assert!(pattern::addresses(wrong).is_err(), "{wrong:.40}");
    }
}

const STIX: &str = r#"{"type": "bundle", "id": "bundle--1", "objects": [
  {"type": "identity", "name": "nobody", "pattern": "[ipv4-addr:value"},
  {"type": "indicator", "name": "C2 of Example", "pattern_type": "stix",
   "pattern": "[ipv4-addr:value = '198.51.100.1']", "created": "2026-01-02T03:04:05.000Z",
   "valid_from": "2026-02-01T00:00:00Z", "valid_until": "2026-07-01T00:00:00Z", "confidence": 80,
   "object_marking_refs": ["marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"]},
  {"type": "indicator", "pattern_type": "stix", "revoked": true, "pattern": "[ipv4-addr:value = '198.51.100.2']"},
  {"type": "indicator", "pattern_type": "snort", "pattern": "alert tcp any any"},
  {"type": "indicator", "pattern_type": "stix", "pattern": "[ipv4-addr:value ISSUBSET '198.51.100.0/28']",
   "valid_from": "2020-01-01T00:00:00Z"}]}"#;

#[test]
fn bundles_of_stix_say_who_when_and_how_sure() {
    let list = parse(Format::Stix, STIX).expect("a bundle");
    assert_eq!(
        find(&list, "198.51.100.1", NOW),
        Some((
            "198.51.100.1/32".to_owned(),
            Indicator {
                description: Some("C2 of Example".into()),
                tlp: Some(Tlp::AmberStrict),
                confidence: Some(Confidence::High),
                first_seen: "2026-01-02T03:04:05Z".parse().ok(),
                valid_from: "2026-02-01T00:00:00Z".parse().ok(),
                valid_until: "2026-07-01T00:00:00Z".parse().ok(),
                ..Indicator::default()
            }
        ))
    );
    assert_eq!(prefixes(&list, &["198.51.100.2", "198.51.100.200"]), "198.51.100.0/28 -");
    // Outside its time the wider prefix remains.
    for (now, prefix) in [
        ("2026-01-31T23:59:59Z", Some("198.51.100.0/28")),
        ("2026-02-01T00:00:00Z", Some("198.51.100.1/32")),
        ("2026-07-01T00:00:00Z", Some("198.51.100.0/28")),
        ("2019-01-01T00:00:00Z", None),
    ] {
        let found = find(&list, "198.51.100.1", now).map(|(prefix, _)| prefix);
        assert_eq!(found.as_deref(), prefix, "{now}");
    }
}

#[test]
fn the_longest_valid_of_several_for_one_address_counts() {
    let indicator = |until: &str| {
        format!(
            r#"{{"type": "indicator", "pattern": "[ipv4-addr:value = '192.0.2.1']", "valid_until": "{until}"}}"#
        )
    };
    let (early, late) = (indicator("2025-01-01T00:00:00Z"), indicator("2027-01-01T00:00:00Z"));
    for objects in [format!("{early},{late}"), format!("{late},{early}")] {
        let list = parse(Format::Stix, &format!(r#"{{"objects": [{objects}]}}"#)).expect("a bundle");
        assert_eq!(prefixes(&list, &["192.0.2.1"]), "192.0.2.1/32");
    }
}

const MISP: &str = r#"{"Event": {"info": "Campaign", "Orgc": {"name": "CIRCL"}, "Tag": [{"name": "tlp:green"}],
  "Attribute": [
    {"type": "ip-dst", "value": "198.51.100.1", "to_ids": true, "comment": "",
     "first_seen": "2026-01-01T00:00:00.000000+00:00", "last_seen": null},
    {"type": "ip-dst", "value": "198.51.100.2", "to_ids": false},
    {"type": "ip-src", "value": "198.51.100.3", "to_ids": true},
    {"type": "ip-dst", "value": "198.51.100.5", "to_ids": true, "deleted": true},
    {"type": "domain", "value": "example.com", "to_ids": true}],
  "Object": [{"name": "ip-port", "Attribute": [
    {"type": "ip-dst|port", "value": "2001:db8::4|445", "comment": "drop", "Tag": [{"name": "TLP:RED"}]}]}]}}"#;

#[test]
fn events_of_misp_lend_their_attributes_what_these_lack() {
    let answers = [
        MISP.to_owned(),
        format!("[{MISP}]"),
        format!(r#"{{"response": [{MISP}]}}"#),
        r#"{"response": {"Attribute": [
            {"type": "ip-dst", "value": "198.51.100.1", "to_ids": true, "first_seen": "2026-01-01T00:00:00+00:00",
             "Event": {"info": "Campaign", "Orgc": {"name": "CIRCL"}}, "Tag": [{"name": "tlp:green"}]},
            {"type": "ip-dst|port", "value": "2001:db8::4|445", "comment": "drop", "Tag": [{"name": "tlp:red"}],
             "Event": {"info": "Campaign", "Orgc": {"name": "CIRCL"}}}]}}"#
            .to_owned(),
    ];
    for text in answers {
        let list = parse(Format::Misp, &text).expect("an event");
        assert_eq!(list.len(), 2);
        let (_, indicator) = find(&list, "198.51.100.1", NOW).expect("a hit");
        let expected = Indicator {
            description: Some("Campaign".into()),
            provider: Some("CIRCL".into()),
            tlp: Some(Tlp::Green),
            first_seen: "2026-01-01T00:00:00Z".parse().ok(),
            ..Indicator::default()
        };
        assert_eq!(indicator, expected);
        let (_, indicator) = find(&list, "2001:db8::4", NOW).expect("a hit");
        assert_eq!((indicator.port, indicator.tlp), (Some(445), Some(Tlp::Red)));
        assert_eq!(indicator.description.as_deref(), Some("drop"));
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (format, text, place, message) in [
        (Format::Plain, "1.2.3.4\n\n  <html>\n", "list:3:3: ", "`<html>` is no address and no prefix"),
        (Format::Plain, "1.2.3.4, 5.6.7.8", "list:1:1: ", "`1.2.3.4, 5.6.7.8` is no address"),
        (Format::Plain, "0.0.0.0/0", "list:1:1: ", "`0.0.0.0/0` is every address"),
        (Format::Plain, "1.2.3.4\n\u{0}\u{1}", "list:2:1: ", "`\u{0}\u{1}` is no address"),
        (Format::Stix, "", "list:1:0: ", "EOF while parsing"),
        (Format::Stix, "<html>", "list:1:1: ", "expected value"),
        (Format::Stix, "{\"objects\": [\n{\"type\": 1}]}", "list:2:", "invalid type: integer `1`"),
        (
            Format::Stix,
            "{\"objects\": [\n{\"type\": \"indicator\", \"pattern\": \"[ipv4-addr:value = 'x']\"}]}",
            "list:2:",
            "pattern `[ipv4-addr:value = 'x']`: `x` is no address and no prefix",
        ),
        (Format::Misp, "{\"Event\": {\"Attribute\": {}}}", "list:1:", "invalid type: map, expected a list"),
        (
            Format::Misp,
            "{\"Attribute\": [{\"type\": \"ip-dst|port\", \"value\": \"1.2.3.4\"}]}",
            "list:1:",
            "`1.2.3.4` is no address and port",
        ),
    ] {
        let error = parse(format, text).err().unwrap_or_else(|| panic!("{text:?} is a list"));
        assert!(error.starts_with(place) && error.contains(message), "{text:?} gave {error:?}");
    }
}

#[test]
fn hostile_files_only_make_errors() {
    let deep = format!("{}{}", "[".repeat(1 << 16), "]".repeat(1 << 16));
    let nested = "{\"response\":".repeat(1 << 16);
    let wide = "1".repeat(1 << 20);
    for format in [Format::Plain, Format::Misp, Format::Stix] {
        for text in [&deep, &nested, &wide] {
            assert!(parse(format, text).is_err());
        }
    }
    // Whatever is cut off or overwritten, there is an answer.
    let mut random = fastrand::Rng::with_seed(7);
    for (format, text) in [(Format::Stix, STIX), (Format::Misp, MISP)] {
        for _ in 0..2000 {
            let mut bytes = text.as_bytes().to_vec();
            let at = random.usize(..bytes.len());
            if random.bool() {
                bytes.truncate(at);
            } else if let Some(byte) = bytes.get_mut(at) {
                *byte = random.u8(..);
            }
            let _ = List::parse(bytes.as_slice(), Path::new("list"), format);
        }
    }
}
