//! Plain TCP, for labs without Samba: xtask starts itself inside a namespace to do this.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::say::say;

const LIMIT: Duration = Duration::from_secs(5);

/// A TCP peer that tasks start inside a lab.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    side: Side,
}

#[derive(clap::Subcommand)]
enum Side {
    /// Accept connections until stopped.
    Listen { address: SocketAddr },
    /// Connect, send a few bytes and close.
    Connect { address: SocketAddr },
}

pub(crate) fn main(args: &Args) -> Result<()> {
    match args.side {
        Side::Listen { address } => listen(address),
        Side::Connect { address } => connect(address),
    }
}

fn listen(address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address).with_context(|| format!("listen on {address}"))?;
    say("peer", &format!("listening on {address}"));
    loop {
        listener.accept().context("accept a connection")?;
    }
}

fn connect(address: SocketAddr) -> Result<()> {
    let mut stream =
        TcpStream::connect_timeout(&address, LIMIT).with_context(|| format!("connect to {address}"))?;
    stream.write_all(b"not SMB\n").with_context(|| format!("write to {address}"))
}
