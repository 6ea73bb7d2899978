//! Syslog and the journal, against a real rsyslogd and a real systemd-journald.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::Value;
use support::agent::text;
use support::alerts::{Maker, close, send, start, wait_for};
use support::lab::{End, Lab, output, tool};
use support::skip::skip;

const RSYSLOGD: &str = "/usr/sbin/rsyslogd";
const JOURNALD: &str = "/lib/systemd/systemd-journald";

/// A process that ends with the test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

#[test]
fn rsyslog_gets_every_alert_by_every_way() {
    let test = "rsyslog_gets_every_alert_by_every_way";
    let Some(lab) = Lab::make(test) else { return };
    if !Path::new(RSYSLOGD).exists() {
        return skip(test, "needs the packages rsyslog and rsyslog-gnutls");
    }
    let folder = lab.folder().to_owned();
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    fs::write(&certificate, cert.pem()).expect("write the certificate");
    fs::write(&key, signing_key.serialize_pem()).expect("write the key");
    let ca = format!("ca = \"{}\"", certificate.display());
    for (way, address, more) in [
        ("unix", format!("unix://{}/log", folder.display()), ""),
        ("udp", "udp://127.0.0.1:514".to_owned(), ""),
        ("tcp", "tcp://localhost:601".to_owned(), "facility = \"local3\""),
        ("tls", "tls://localhost:6514".to_owned(), ca.as_str()),
    ] {
        let config =
            format!("[[sinks]]\ntype = \"syslog\"\nname = \"{way}\"\naddress = \"{address}\"\n{more}");
        let sink = start(&lab, &config);
        let mut maker = Maker::new();
        let mut made = Vec::new();
        // Without an answer, datagrams to nobody may count as delivered.
        if way != "udp" {
            made.extend(send(&sink, &mut maker, 20));
            wait_for(&sink, "they are in the spool", |counts| counts.spooled == 20);
        }
        let out = folder.join(way);
        for _ in 0..2 {
            let daemon = rsyslog(&lab, way == "tls");
            // No more than a socket's buffer has room for.
            made.extend(send(&sink, &mut maker, 20));
            let counts = wait_for(&sink, "all are sent", |counts| counts.spooled + counts.queued == 0);
            assert_eq!(counts.delivered, made.len() as u64, "{way}: {counts:?}");
            let lines = wait_for_lines(&out, made.len());
            let arrived: Vec<String> = lines.iter().map(|line| id(way, line)).collect();
            assert_eq!(arrived, made, "{way}");
            drop(daemon);
        }
        close(sink);
    }
}

/// Checks the header as rsyslog has understood it.
fn id(way: &str, line: &str) -> String {
    let (header, json) = line.split_once('{').expect("a document");
    let words: Vec<&str> = header.split_whitespace().collect();
    let facility = if way == "tcp" { 19 } else { 3 };
    let process = std::process::id().to_string();
    let priority = (facility * 8 + 3).to_string();
    assert_eq!(words, [&priority, "host.example", "smbwatch", &process, "smb-to-internet"], "{way}");
    let document: Value = serde_json::from_str(&format!("{{{json}")).expect("a whole document");
    text(&document, "event.id").to_owned()
}

fn rsyslog(lab: &Lab, tls: bool) -> Daemon {
    let folder = lab.folder().display();
    let output = |way: &str| {
        format!(
            "ruleset(name=\"{way}\") {{ action(type=\"omfile\" file=\"{folder}/{way}\" template=\"out\" asyncWriting=\"off\" flushOnTXEnd=\"on\") }}\n"
        )
    };
    let mut config = format!(
        "global(workDirectory=\"{folder}\" maxMessageSize=\"64k\")\n\
         template(name=\"out\" type=\"string\" string=\"%pri% %hostname% %app-name% %procid% %msgid% %msg%\\n\")\n"
    );
    if tls {
        config += &format!(
            "global(defaultNetstreamDriver=\"gtls\" defaultNetstreamDriverCAFile=\"{folder}/cert.pem\" \
             defaultNetstreamDriverCertFile=\"{folder}/cert.pem\" defaultNetstreamDriverKeyFile=\"{folder}/key.pem\")\n\
             module(load=\"imtcp\" streamDriver.name=\"gtls\" streamDriver.mode=\"1\" streamDriver.authMode=\"anon\")\n{}\
             input(type=\"imtcp\" port=\"6514\" ruleset=\"tls\")\n",
            output("tls")
        );
    } else {
        config += &format!(
            "module(load=\"imuxsock\" sysSock.use=\"off\")\nmodule(load=\"imudp\")\nmodule(load=\"imptcp\")\n{}{}{}\
             input(type=\"imuxsock\" socket=\"{folder}/log\" useSpecialParser=\"off\" parseHostname=\"on\" ruleset=\"unix\")\n\
             input(type=\"imudp\" address=\"127.0.0.1\" port=\"514\" ruleset=\"udp\")\n\
             input(type=\"imptcp\" address=\"127.0.0.1\" port=\"601\" ruleset=\"tcp\")\n",
            output("unix"),
            output("udp"),
            output("tcp")
        );
    }
    let path = lab.folder().join("rsyslog.conf");
    fs::write(&path, config).expect("write the configuration");
    let pid = lab.folder().join("rsyslog.pid");
    let _ = fs::remove_file(&pid);
    let mut command = lab.at(End::Host, RSYSLOGD);
    command.arg("-n").arg("-f").arg(&path).arg("-i").arg(&pid);
    let log = fs::File::create(lab.folder().join("rsyslog.log")).expect("a log");
    let daemon = Daemon(command.stdout(Stdio::null()).stderr(log).spawn().expect("start rsyslogd"));
    // By UDP nobody would say that it does not listen yet.
    let ports: &[&str] = if tls { &["tcp 6514"] } else { &["tcp 601", "udp 514"] };
    wait_until("rsyslogd listens", || {
        ports
            .iter()
            .filter_map(|port| port.split_once(' '))
            .all(|(way, port)| lab.run(End::Host, &format!("ss -Hln --{way}")).contains(&format!(":{port} ")))
    });
    daemon
}

#[test]
fn the_journal_gets_every_alert_with_its_fields() {
    let test = "the_journal_gets_every_alert_with_its_fields";
    let Some(lab) = Lab::make(test) else { return };
    if !Path::new(JOURNALD).exists() {
        return skip(test, "needs systemd-journald");
    }
    // Its folders are its own, and so is its network, without which it leaves auditing alone.
    let script = "mount -t tmpfs none /run && mount -t tmpfs none /var/log && mkdir -p /run/systemd /run/log/journal \
                  && exec \"$0\"";
    let mut command = lab.at(End::Host, "unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script, JOURNALD]);
    let daemon = Daemon(command.stdout(Stdio::null()).spawn().expect("start journald"));
    let pid = daemon.0.id();
    let socket = PathBuf::from(format!("/proc/{pid}/root/run/systemd/journal/socket"));
    let sink = start(&lab, &format!("[[sinks]]\ntype = \"journald\"\nsocket = \"{}\"", socket.display()));
    let mut maker = Maker::new();
    let mut made = send(&sink, &mut maker, 100);
    // Longer than a datagram may be.
    let mut long = maker.smb();
    long.event.reason = "line\n".repeat(100_000);
    made.push(long.event.id.clone());
    sink.send(&Arc::new(long));
    wait_for(&sink, "all are delivered", |counts| counts.delivered == 101);
    close(sink);
    let journalctl = || {
        let mut command = tool("nsenter");
        command.arg(format!("--mount=/proc/{pid}/ns/mnt"));
        command.args([
            "journalctl",
            "--directory=/run/log/journal",
            "--all",
            "-o",
            "json",
            "SYSLOG_IDENTIFIER=smbwatch",
        ]);
        output(&mut command)
    };
    wait_until("all are in the journal", || journalctl().lines().count() == made.len());
    for (line, id) in journalctl().lines().zip(&made) {
        let entry: Value = serde_json::from_str(line).expect("an entry");
        assert_eq!(
            (entry["SMBWATCH_EVENT_ID"].as_str(), entry["PRIORITY"].as_str()),
            (Some(id.as_str()), Some("3"))
        );
        assert_eq!(entry["SMBWATCH_DESTINATION_IP"], "93.184.216.34");
        let alert: Value =
            serde_json::from_str(entry["SMBWATCH_ALERT"].as_str().expect("text")).expect("JSON");
        assert_eq!(text(&alert, "event.id"), id);
        assert_eq!(entry["MESSAGE"].as_str().expect("text"), text(&alert, "event.reason"));
    }
}

fn wait_for_lines(path: &Path, count: usize) -> Vec<String> {
    let lines = || -> Vec<String> {
        fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
    };
    wait_until(&format!("{count} lines are in {}", path.display()), || lines().len() >= count);
    lines()
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
