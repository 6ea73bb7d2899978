//! Podman in a cell, and the service that answers for it.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Instant;

use super::agent::PATIENCE;
use super::cell::{Cell, IMAGE};
use super::lab::Lab;

const CONFIGURE: &str = "cat > /run/containers.conf <<'.'
[engine]
cgroup_manager = \"cgroupfs\"
events_logger = \"file\"
runtime = \"runc\"
tmp_dir = \"/run/podman\"
[containers]
pids_limit = 0
default_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]
[network]
network_config_dir = \"/run/networks\"
.
cat > /run/storage.conf <<'.'
[storage]
driver = \"vfs\"
graphroot = \"/run/graph\"
runroot = \"/run/runroot\"
.";

/// An engine with one image and no containers.
pub struct Podman {
    pub cell: Cell,
    service: Option<Child>,
}

impl Podman {
    /// Sets Podman up; none where it is not installed, and `test` is noted as skipped.
    pub fn make(test: &str) -> Option<Self> {
        Some(Self::set_up(Cell::make(test, &["podman", "runc", "conmon"])?))
    }

    /// The same on the private host of a lab, where containers can have networks.
    pub fn make_on(lab: &Lab, test: &str) -> Option<Self> {
        Some(Self::set_up(Cell::make_on(lab, test, &["podman", "runc", "conmon", "iptables"])?))
    }

    fn set_up(cell: Cell) -> Self {
        let podman = Self { cell, service: None };
        podman.cell.run(CONFIGURE);
        podman.run(&format!("import /run/lab.tar {IMAGE}"));
        podman
    }

    /// Runs a command of podman; returns what it wrote.
    pub fn run(&self, arguments: &str) -> String {
        self.cell.run(&format!("{} podman {arguments}", Self::SETTINGS))
    }

    /// Starts a container that stays, with further options; returns its identifier.
    pub fn start(&self, options: &str) -> String {
        self.run(&format!("run --detach --network none {options} {IMAGE} sleep infinity"))
    }

    /// Starts the service, and waits until it listens.
    pub fn serve(&mut self) -> PathBuf {
        let socket = self.cell.socket("podman.sock");
        let line =
            format!("{} exec podman system service --time 0 unix://{}", Self::SETTINGS, socket.display());
        let service = self.cell.at("sh").args(["-c", &line]).stderr(Stdio::null()).spawn();
        self.service = Some(service.expect("start podman's service"));
        let deadline = Instant::now() + PATIENCE;
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < deadline, "podman's service does not listen");
            std::thread::yield_now();
        }
        socket
    }

    /// Kills the service.
    pub fn kill(&mut self) {
        if let Some(mut service) = self.service.take() {
            service.kill().expect("kill podman's service");
            service.wait().expect("wait for podman's service");
            // nsenter has a child in the other namespace of processes.
            self.cell.run("pkill -KILL -f '^podman system service'; true");
        }
    }

    const SETTINGS: &str =
        "CONTAINERS_CONF=/run/containers.conf CONTAINERS_STORAGE_CONF=/run/storage.conf TMPDIR=/run";
}

impl Drop for Podman {
    fn drop(&mut self) {
        self.kill();
    }
}
