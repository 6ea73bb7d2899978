//! impacket's server at the lab's Internet end, and its client at the private host.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::guard::Guard;
use super::lab::{End, Lab, tool};
use super::samba::PASSWORD;
use super::skip::skip;

/// Debian's own, which has its packages.
const PYTHON: &str = "/usr/bin/python3";
const SERVER_SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/impacket/server.py");
const CLIENT_SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/impacket/client.py");

/// Whether impacket is installed; if not, `test` is noted as skipped.
pub fn is_here(test: &str) -> bool {
    let mut import = tool(PYTHON);
    let found = import.args(["-c", "import impacket.smbserver"]).stderr(Stdio::null()).status();
    let is_here = found.is_ok_and(|status| status.success());
    if !is_here {
        skip(test, "impacket is not installed");
    }
    is_here
}

/// A running server; dropping it ends it.
pub struct Server {
    _process: Guard,
}

impl Server {
    /// Starts a server with one share at an address, and waits until it takes connections.
    pub fn serve(lab: &Lab, address: &str) -> Self {
        let share = lab.folder().join("impacket");
        std::fs::create_dir(&share).expect("create the share's folder");
        let mut server = lab.at(End::Net, PYTHON);
        server.args([SERVER_SCRIPT, address]).arg(share).args(["alice", PASSWORD]);
        server.current_dir(lab.folder()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = server.spawn().expect("start impacket's server");
        let mut out = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let server = Self { _process: Guard(child) };
        assert!(out.any(|line| line == "listening"), "impacket's server did not start");
        server
    }
}

/// A client at the private host that is about to put `customers.csv` onto the share at `address`, by a dialect.
pub fn client(lab: &Lab, address: &str, dialect: &str) -> Command {
    let mut client = lab.at(End::Host, PYTHON);
    // As impacket's own programs take it.
    let target = format!("CORP/alice:{PASSWORD}@{address}");
    client.args([CLIENT_SCRIPT, &target, dialect, "customers.csv"]);
    client.current_dir(lab.folder());
    client
}
