//! Real dialogues of Samba and impacket, whose fields were compared with what tshark reads.

use std::fs;

use smbwatch::smb::{self, Dialogue, Logon, Negotiation, Options, Share};

use crate::capture::{self, Capture};

const OPTIONS: Options = Options { files: 4 };

#[test]
fn captures_tell_what_was_said() {
    for Capture { path, client, server, .. } in capture::all() {
        let expected = fs::read_to_string(path.with_extension("txt")).expect("read what is expected");
        let dialogue = smb::read(&client, &server, OPTIONS);
        assert_eq!(summary(&dialogue), expected, "{}", path.display());
    }
}

#[test]
fn segments_may_come_in_any_order_and_again() {
    let mut random = fastrand::Rng::with_seed(139);
    for Capture { path, client, server, sides } in capture::all() {
        for (side, expected) in sides.iter().zip([client, server]) {
            for _ in 0..50 {
                let mut segments = side.segments.clone();
                let again = segments[random.usize(..segments.len())].clone();
                segments.push(again);
                random.shuffle(&mut segments);
                assert!(side.put_together(&segments) == expected, "{}", path.display());
            }
        }
    }
}

/// A line for each thing that was said.
fn summary(dialogue: &Dialogue) -> String {
    let mut lines = Vec::new();
    if let Some(netbios) = &dialogue.netbios {
        let (called, calling) = (shown(&netbios.called), shown(&netbios.calling));
        lines.push(format!("netbios {calling} -> {called}, accepted {:?}", netbios.accepted));
    }
    lines.extend(dialogue.offered.iter().map(|offered| format!("offered {}", negotiation(offered))));
    lines.extend(dialogue.chosen.iter().map(|chosen| format!("chosen {}", negotiation(chosen))));
    lines.extend(dialogue.logons.iter().map(logon));
    lines.extend(dialogue.shares.iter().map(share));
    lines.extend(dialogue.files.iter().map(|file| format!("file {file}")));
    let counts = dialogue.counts;
    lines.push(format!(
        "{} creates, {} reads, {} writes, {} ioctls, {} signed, {} encrypted, {} malformed",
        counts.creates,
        counts.reads,
        counts.writes,
        counts.ioctls,
        counts.signed,
        counts.encrypted,
        counts.malformed
    ));
    lines.join("\n") + "\n"
}

fn negotiation(side: &Negotiation) -> String {
    let dialects: Vec<String> = side.dialects.iter().map(ToString::to_string).collect();
    let mut text = dialects.join("|");
    for (flag, name) in
        [(side.signing_enabled, "signs"), (side.signing_required, "must sign"), (side.encryption, "encrypts")]
    {
        text += &if flag { format!("; {name}") } else { String::new() };
    }
    for list in [&side.hashes, &side.ciphers, &side.compressions, &side.signings] {
        text += &if list.is_empty() { String::new() } else { format!("; {}", list.join(" ")) };
    }
    let mechanisms: Vec<String> = side.mechanisms.iter().map(ToString::to_string).collect();
    text += &if mechanisms.is_empty() { String::new() } else { format!("; {}", mechanisms.join(" ")) };
    text += &side.server_name.as_ref().map_or(String::new(), |name| format!("; to {name}"));
    format!("{text}; {:#x} {}", side.capabilities, shown(&side.guid))
}

fn logon(logon: &Logon) -> String {
    let offered: Vec<String> = logon.offered.iter().map(ToString::to_string).collect();
    let mechanism = logon.mechanism.map_or("-".to_owned(), |mechanism| mechanism.to_string());
    let identity = &logon.identity;
    let (domain, user) = (shown(&identity.domain), shown(&identity.user));
    let mut text = format!("logon {mechanism} of [{}]: ", offered.join(" "));
    text += &format!(r"{domain}\{user} at {}", shown(&identity.workstation));
    text += &logon.response.map_or(String::new(), |response| format!(", {response:?}"));
    text += &logon.ticket.as_ref().map_or(String::new(), |t| format!(", ticket {}@{}", t.service, t.realm));
    for (flag, name) in
        [(logon.anonymous, "anonymous"), (logon.guest, "guest"), (logon.encrypted, "encrypted")]
    {
        text += &if flag { format!(", {name}") } else { String::new() };
    }
    let server = &logon.server;
    text += &format!(
        "; server {} {} {} {} {}",
        shown(&server.target),
        shown(&server.netbios_domain),
        shown(&server.netbios_computer),
        shown(&server.dns_domain),
        shown(&server.dns_computer)
    );
    text + &logon.status.map_or("; no answer".to_owned(), |status| format!("; {status}"))
}

fn share(share: &Share) -> String {
    let kind = share.kind.map_or("-".to_owned(), |kind| format!("{kind:?}"));
    let status = share.status.map_or("no answer".to_owned(), |status| status.to_string());
    let encrypted = if share.encrypted { ", encrypted" } else { "" };
    let (server, name) = (shown(&share.server), shown(&share.name));
    format!("share {} = {name} at {server}: {kind}{encrypted}, {status}", share.path)
}

fn shown(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or("-")
}
