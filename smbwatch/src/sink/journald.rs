//! The journal of systemd.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};

use super::stored::Stored;
use super::{Failure, Fate, Sink, encode};

/// How long a journal may take nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where journald listens.
pub(super) struct Journald {
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

impl Journald {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, socket: None }
    }

    fn send(&mut self, datagram: &[u8]) -> anyhow::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => self.connect()?,
        };
        match socket.send(datagram) {
            Ok(_) => {}
            // Too long for the socket's buffer.
            Err(error) if error.raw_os_error() == Some(Errno::EMSGSIZE as i32) => {
                send_file(&socket, datagram)?
            }
            Err(error) => return Err(error).with_context(|| self.path.display().to_string()),
        }
        self.socket = Some(socket);
        Ok(())
    }

    fn connect(&self) -> anyhow::Result<UnixDatagram> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket
            .connect(&self.path)
            .with_context(|| format!("connect to {}; is systemd-journald running?", self.path.display()))?;
        Ok(socket)
    }
}

impl Sink for Journald {
    fn deliver(&mut self, alerts: &[Stored]) -> Result<Vec<Fate>, Failure> {
        let mut fates = Vec::with_capacity(alerts.len());
        for alert in alerts {
            match self.send(&encode::journal(&alert.open())) {
                Ok(()) => fates.push(Fate::Delivered),
                Err(error) if fates.is_empty() => return Err(Failure::later(error)),
                Err(error) => {
                    fates.resize(alerts.len(), Fate::Again(format!("{error:#}")));
                    break;
                }
            }
        }
        Ok(fates)
    }

    fn check(&mut self) -> Result<(), Failure> {
        self.connect().map(drop).map_err(Failure::later)
    }
}

/// Hands over a sealed file in memory instead of a datagram.
fn send_file(socket: &UnixDatagram, content: &[u8]) -> io::Result<()> {
    let memory = memfd_create("smbwatch", MFdFlags::MFD_ALLOW_SEALING | MFdFlags::MFD_CLOEXEC)?;
    let mut file = File::from(memory);
    file.write_all(content)?;
    let seals =
        SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    let descriptors = [file.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&descriptors)];
    sendmsg::<UnixAddr>(socket.as_raw_fd(), &[], &rights, MsgFlags::empty(), None)?;
    Ok(())
}
