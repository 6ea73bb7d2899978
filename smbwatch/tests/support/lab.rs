//! A network of two namespaces, a private host and the Internet, that is gone when dropped.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sched::{CloneFlags, setns};

use super::skip;

/// The private host's address.
pub const HOST: &str = "10.20.0.5";
/// The private host's unique-local address.
pub const HOST6: &str = "fd00:20::5";
/// The next hop toward the lab's Internet, on the private host's network.
pub const GATEWAY: &str = "10.20.0.1";
/// The same by IPv6.
pub const GATEWAY6: &str = "fd00:20::1";
/// The address of the server in the lab's Internet.
pub const SERVER: &str = "93.184.216.34";
/// The same by IPv6.
pub const SERVER6: &str = "2606:2800:220:1::1";
/// A public address that nothing answers at.
pub const NOBODY: &str = "93.184.216.99";
/// Station address of the private host.
pub const HOST_STATION: [u8; 6] = [2, 0, 0, 0, 0, 5];
/// Station address of the next hop.
pub const GATEWAY_STATION: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// ```text
///   host                              net
///   eth0 10.20.0.5/24 ─────────────── eth0 10.20.0.1/24, lo 93.184.216.34/32
///        fd00:20::5/64                     fd00:20::1/64, lo 2606:2800:220:1::1/128
/// ```
/// Neither namespace has a route to this machine or out of it. Neighbours are known from the start, so
/// that no packet waits for their discovery.
pub struct Lab {
    host: String,
    net: String,
    folder: PathBuf,
}

/// One of the lab's two ends.
#[derive(Clone, Copy)]
pub enum End {
    Host,
    Net,
}

impl Lab {
    /// Makes the namespaces, the link between them, and a folder for temporary files; or notes that `test`
    /// is skipped, where that is not possible.
    pub fn make(test: &str) -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        if !skip::can_attach(test) {
            return None;
        }
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("smbw-t-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(&name);
        fs::create_dir(&folder).expect("create the lab's folder");
        let lab = Self { host: format!("{name}-host"), net: format!("{name}-net"), folder };
        lab.connect();
        Some(lab)
    }

    /// The folder for temporary files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A command that runs at one end. `ip netns exec` would hide cgroup2 from it.
    pub fn at(&self, end: End, program: impl AsRef<OsStr>) -> Command {
        let mut command = tool("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.name(end))).arg("--").arg(program);
        command
    }

    /// Runs a command line at one end; returns what it wrote.
    pub fn run(&self, end: End, line: &str) -> String {
        let mut words = line.split_whitespace();
        output(self.at(end, words.next().expect("a program")).args(words))
    }

    /// Does something at one end. What it opens there stays there.
    pub fn inside<T: Send>(&self, end: End, action: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(Path::new("/run/netns").join(self.name(end))).expect("open a namespace");
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(namespace, CloneFlags::CLONE_NEWNET).expect("enter a namespace");
                action()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// The name of the namespace at one end.
    pub fn name(&self, end: End) -> &str {
        match end {
            End::Host => &self.host,
            End::Net => &self.net,
        }
    }

    fn connect(&self) {
        let Self { host, net, .. } = self;
        let (host_mac, net_mac) = (station(HOST_STATION), station(GATEWAY_STATION));
        for line in [
            format!("netns add {host}"),
            format!("netns add {net}"),
            format!(
                "-n {host} link add eth0 address {host_mac} type veth \
                 peer name eth0 address {net_mac} netns {net}"
            ),
            format!("-n {host} address add {HOST}/24 dev eth0"),
            format!("-n {host} address add {HOST6}/64 dev eth0 nodad"),
            format!("-n {net} address add {GATEWAY}/24 dev eth0"),
            format!("-n {net} address add {GATEWAY6}/64 dev eth0 nodad"),
            format!("-n {net} address add {SERVER}/32 dev lo"),
            format!("-n {net} address add {SERVER6}/128 dev lo"),
        ] {
            ip(&line);
        }
        for namespace in [host, net] {
            ip(&format!("-n {namespace} link set lo up"));
            ip(&format!("-n {namespace} link set eth0 up"));
        }
        for line in [
            format!("-n {host} neighbour add {GATEWAY} lladdr {net_mac} dev eth0 nud permanent"),
            format!("-n {host} neighbour add {GATEWAY6} lladdr {net_mac} dev eth0 nud permanent"),
            format!("-n {net} neighbour add {HOST} lladdr {host_mac} dev eth0 nud permanent"),
            format!("-n {net} neighbour add {HOST6} lladdr {host_mac} dev eth0 nud permanent"),
            format!("-n {host} route add default via {GATEWAY}"),
            format!("-n {host} route add default via {GATEWAY6}"),
        ] {
            ip(&line);
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for namespace in [&self.host, &self.net] {
            // The namespace may never have come to be.
            let _ = tool("ip").args(["netns", "delete", namespace]).stderr(Stdio::null()).status();
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{} is left behind: {error}", self.folder.display());
        }
    }
}

/// A command that is also looked for in the system folders, which a user's PATH may lack.
pub fn tool(program: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
    let mut command = Command::new(program);
    command.env("PATH", format!("{path}:/usr/local/sbin:/usr/sbin:/sbin")).stdin(Stdio::null());
    command
}

/// Runs a command to its good end; returns what it wrote to standard output.
pub fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("start {command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}: {text}{complaint}", output.status);
    text
}

fn ip(line: &str) {
    output(tool("ip").args(line.split_whitespace()));
}

fn station(address: [u8; 6]) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}
