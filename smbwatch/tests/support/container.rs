//! A container's namespace on the lab's private host, that is gone when dropped.

use std::fs::{self, File};
use std::path::Path;

use nix::sched::{CloneFlags, setns};
use socket2::{Domain, Protocol, Socket, Type};

use super::lab::{End, HOST, Lab, output, tool};
use super::peer::to;

/// ```text
///   container                 host
///   eth0 10.9.N.2/24 ──────── NAME 10.9.N.1/24
/// ```
pub struct Container {
    namespace: String,
    /// Its address.
    pub address: String,
}

impl Container {
    /// Starts one whose link to the host has this name there.
    pub fn start(lab: &Lab, number: u8, link: &str) -> Self {
        let namespace = format!("{}-c{number}", lab.name(End::Host));
        let container = Self { namespace, address: format!("10.9.{number}.2") };
        let namespace = &container.namespace;
        output(tool("ip").args(["netns", "add", namespace]));
        lab.run(End::Host, &format!("ip link add {link} type veth peer name ct{number}"));
        lab.run(End::Host, &format!("ip link set ct{number} netns {namespace} name eth0"));
        lab.run(End::Host, &format!("ip address add 10.9.{number}.1/24 dev {link}"));
        lab.run(End::Host, &format!("ip link set {link} up"));
        lab.inside(End::Host, || fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("forward"));
        lab.run(End::Net, &format!("ip route replace 10.9.{number}.0/24 via {HOST}"));
        for line in [
            format!("address add {}/24 dev eth0", container.address),
            "link set eth0 up".to_owned(),
            format!("route add default via 10.9.{number}.1"),
        ] {
            output(tool("ip").args(["-n", namespace]).args(line.split_whitespace()));
        }
        container
    }

    /// Does something inside. What it opens there stays there.
    pub fn inside<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(Path::new("/run/netns").join(&self.namespace)).expect("open a namespace");
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(namespace, CloneFlags::CLONE_NEWNET).expect("enter a namespace");
                action()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Begins a connection; what comes of it is not waited for.
    pub fn attempt(&self, address: &str, port: u16) -> Socket {
        self.inside(|| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("make a socket");
            socket.set_nonblocking(true).expect("make a socket non-blocking");
            match socket.connect(&to(address, port).into()) {
                Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => socket,
                result => panic!("{address}: {result:?}"),
            }
        })
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = tool("ip").args(["netns", "delete", &self.namespace]).status();
    }
}
