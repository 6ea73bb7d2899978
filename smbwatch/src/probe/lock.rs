//! One agent for a network namespace: two would each tell every connection, and take each other's filters
//! for leftovers.

use std::io;
use std::os::fd::AsRawFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, UnixCredentials, connect, getsockopt, socket, sockopt,
};

/// Names without a file are per network namespace.
const NAME: &str = "smbwatch";

/// Held while the agent runs. The kernel lets go of it when the agent ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _socket: Option<UnixListener>,
}

/// The lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another agent holds it.
    #[error("another smbwatch ({}) watches this network namespace already; stop it first", name(*pid))]
    Held {
        /// Its process; none in a PID namespace that this one cannot see.
        pid: Option<i32>,
    },
    /// The socket cannot be made.
    #[error("lock this network namespace (abstract socket `{NAME}`): {0}")]
    Io(#[from] io::Error),
}

impl Lock {
    /// Takes the lock of this network namespace.
    pub fn take() -> Result<Self, Error> {
        let address = SocketAddr::from_abstract_name(NAME)?;
        match UnixListener::bind_addr(&address) {
            Ok(socket) => Ok(Self { _socket: Some(socket) }),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Self::held(),
            Err(error) => Err(error.into()),
        }
    }

    /// Any user may take the name, and must not keep an agent from its work by that.
    fn held() -> Result<Self, Error> {
        let holder = holder().ok();
        let process = holder.map_or(0, |holder| holder.pid());
        let pid = (process > 0).then_some(process);
        let own = nix::unistd::geteuid().as_raw();
        if holder.is_some_and(|holder| holder.uid() == 0 || holder.uid() == own) {
            return Err(Error::Held { pid });
        }
        let user = holder.map_or_else(|| "?".to_owned(), |holder| holder.uid().to_string());
        tracing::warn!(
            "user {user} ({}) holds the name that keeps a second smbwatch away; going on without it",
            name(pid)
        );
        Ok(Self { _socket: None })
    }
}

/// Who holds the name, without waiting for a holder that does not answer.
fn holder() -> nix::Result<UnixCredentials> {
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_NONBLOCK, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new_abstract(NAME.as_bytes())?)?;
    getsockopt(&socket, sockopt::PeerCredentials)
}

fn name(pid: Option<i32>) -> String {
    pid.map_or_else(|| "in another PID namespace".to_owned(), |pid| format!("pid {pid}"))
}
