//! The programs that labs, and measurements in them, are made of.

use std::fmt;
use std::fs;

use anyhow::{Result, bail};

use crate::say::{more, say};
use crate::{apt, process, wheels};

/// What of a lab this machine can make.
#[derive(Clone, Copy)]
pub(crate) struct Lab {
    /// Network namespaces.
    pub(crate) namespaces: bool,
    /// A real SMB server and client.
    pub(crate) samba: bool,
}

impl fmt::Display for Lab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self { namespaces: false, .. } => "lab: none; `ip` and `nsenter` are missing",
            Self { samba: false, .. } => "lab: namespaces, but no Samba: plain TCP stands in for SMB",
            Self { .. } => "lab: namespaces, Samba's smbd and smbclient",
        })
    }
}

/// A program and the Debian package that has it.
type Program = (&'static str, &'static str);

const NAMESPACES: [Program; 2] = [("ip", "iproute2"), ("nsenter", "util-linux")];
const NAT: [Program; 1] = [("nft", "nftables")];
const SAMBA: [Program; 3] =
    [("smbd", "samba"), ("smbpasswd", "samba-common-bin"), ("smbclient", "smbclient")];
const IMPACKET: [Program; 1] = [("impacket-samrdump", "python3-impacket")];
const PODMAN: [Program; 5] = [
    ("podman", "podman"),
    ("conmon", "conmon"),
    ("runc", "runc"),
    ("iptables", "iptables"),
    ("busybox", "busybox-static"),
];
const CONTAINERD: [Program; 2] = [("containerd", "containerd"), ("ctr", "containerd")];
const MONITORING: [Program; 1] = [("promtool", "prometheus")];
const SINKS: [Program; 2] = [("rsyslogd", "rsyslog"), ("/lib/systemd/systemd-journald", "systemd")];
const COMPILERS: [Program; 4] = [("cc", "gcc"), ("c++", "g++"), ("make", "make"), ("prove", "perl")];
const BENCH: [Program; 1] = [("iperf3", "iperf3")];
const VM: [Program; 10] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("busybox", "busybox-static"),
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("ss", "iproute2"),
    ("nft", "nftables"),
    ("mount", "mount"),
    ("mount.cifs", "cifs-utils"),
    ("xz", "xz-utils"),
    ("zstd", "zstd"),
];

/// Installs what a lab needs and is missing; what cannot be had is missing from the answer.
pub(crate) fn ensure_lab() -> Lab {
    install(&NAMESPACES, "the lab is made of network namespaces", &[]);
    install(&NAT, "tests hide containers behind another address with it, inside the lab", &[]);
    ensure_samba();
    lab()
}

fn ensure_samba() {
    let fresh = process::which("smbd").is_none();
    let units: &[&str] = if fresh { &["smbd", "nmbd", "samba-ad-dc"] } else { &[] };
    install(&SAMBA, "the lab's SMB server and client; they only run inside the lab", units);
    if fresh && process::which("smbd").is_some() {
        more(
            "smbd, nmbd and samba-ad-dc are masked, so that no file server starts on this machine;\n\
              to use them yourself: systemctl unmask smbd nmbd samba-ad-dc",
        );
    }
}

/// What is here, without installing anything.
pub(crate) fn lab() -> Lab {
    Lab { namespaces: present(&NAMESPACES), samba: present(&SAMBA) }
}

/// Installs the container engines that tests run, where they are missing. Only what is installed here is
/// masked: another engine may depend on a containerd that was here before.
pub(crate) fn ensure_containers() {
    let why =
        "container engines for tests; they only run inside namespaces of the tests, and are masked elsewhere";
    for (program, programs, units) in [
        ("podman", PODMAN.as_slice(), ["podman", "podman-restart", "podman-auto-update"].as_slice()),
        ("containerd", CONTAINERD.as_slice(), ["containerd"].as_slice()),
    ] {
        let fresh = process::which(program).is_none();
        install(programs, why, if fresh { units } else { &[] });
    }
}

/// Installs another SMB client and server, in Python, where it is missing.
pub(crate) fn ensure_impacket() {
    install(&IMPACKET, "tests have it speak SMB inside their labs", &[]);
}

/// Installs Prometheus's tool where it is missing. The server that comes with it is masked.
pub(crate) fn ensure_monitoring() {
    install(
        &MONITORING,
        "promtool checks alert rules and metrics; no Prometheus is started",
        &["prometheus"],
    );
}

/// Installs what the tests of sinks talk to, and is missing. Where rsyslog is installed here, it is masked.
pub(crate) fn ensure_sinks() {
    let units: &[&str] =
        if process::which("rsyslogd").is_none() { &["rsyslog", "syslog.socket"] } else { &[] };
    let why = "receivers of alerts for tests; they only run inside namespaces of the tests";
    install(&SINKS, why, units);
    if !has_rsyslog_tls() {
        install_packages(&["rsyslog-gnutls"], why, &[]);
    }
    wheels::ensure();
}

/// Installs what compiles the libraries in C that the agent is linked with, where it is missing.
pub(crate) fn ensure_compilers() {
    install(
        &COMPILERS,
        "librdkafka and OpenSSL, which the agent's Kafka sink uses, are built from source",
        &[],
    );
}

/// Installs what measurements need and is missing.
pub(crate) fn ensure_bench() {
    install(&BENCH, "it measures the throughput", &[]);
}

/// Installs what virtual machines need and is missing.
pub(crate) fn ensure_vm() -> Result<()> {
    install(&VM, "they run the test on other kernels", &[]);
    ensure_samba();
    match VM.iter().chain(&SAMBA).find(|(program, _)| process::which(program).is_none()) {
        Some((program, package)) => bail!("`{program}` is missing: install {package}"),
        None => Ok(()),
    }
}

fn present(programs: &[Program]) -> bool {
    programs.iter().all(|(program, _)| process::which(program).is_some())
}

/// Installs the missing ones. A failure is said and not returned: the caller looks at what is there.
fn install(programs: &[Program], why: &str, units: &[&str]) {
    let mut missing: Vec<_> = programs
        .iter()
        .filter(|(program, _)| process::which(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    missing.dedup();
    if !missing.is_empty() {
        install_packages(&missing, why, units);
    }
}

fn install_packages(packages: &[&str], why: &str, units: &[&str]) {
    if let Err(error) = apt::update().and_then(|()| apt::install_masked(packages, None, why, units)) {
        say("setup", &format!("could not install {}: {error:#}", packages.join(", ")));
    }
}

/// Whether rsyslog's module for TLS is in a folder of libraries, whose name is the machine's.
fn has_rsyslog_tls() -> bool {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    folders.map(|folder| folder.path().join("rsyslog/lmnsd_gtls.so")).any(|module| module.exists())
}
