//! The sockets that metrics are served on.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::config::metrics::Metrics;

/// Who may connect to the Unix socket: its owner and its group.
const MODE: u32 = 0o660;

/// Sockets that listen.
pub(super) struct Listeners {
    pub(super) unix: Option<UnixListener>,
    pub(super) tcp: Option<std::net::TcpListener>,
}

/// The Unix socket's file, which goes when this is dropped.
pub(super) struct Place {
    path: PathBuf,
}

impl Drop for Place {
    fn drop(&mut self) {
        // Someone may have removed it before.
        let _ = fs::remove_file(&self.path);
    }
}

/// Opens what the configuration names.
pub(super) fn listen(config: &Metrics, run_dir: &Path) -> anyhow::Result<(Listeners, Option<Place>)> {
    let mut listeners = Listeners { unix: None, tcp: None };
    let mut place = None;
    if let Some(path) = &config.socket {
        let path = run_dir.join(path);
        match unix(&path) {
            Ok(listener) => {
                listeners.unix = Some(listener);
                place = Some(Place { path });
            }
            // Nobody has asked for it: it is not worth watching nothing.
            Err(error) if config.socket == Metrics::default().socket => {
                tracing::warn!("metrics.socket {}: {error}; goes on without", path.display());
            }
            Err(error) => return Err(error).context(format!("metrics.socket {}", path.display())),
        }
    }
    if let Some(address) = config.listen {
        let listener = std::net::TcpListener::bind(address);
        let listener = listener.and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
        listeners.tcp = Some(listener.with_context(|| format!("metrics.listen {address}"))?);
    }
    Ok((listeners, place))
}

fn unix(path: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    remove_leftover(path)?;
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(MODE))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Removes the socket of an agent that was killed; nothing else.
fn remove_leftover(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket()) {
        return Ok(());
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        // Binding says what is wrong.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_socket_that_nobody_listens_on_gives_way() {
        let folder = std::env::temp_dir().join(format!("smbw-listen-{}", std::process::id()));
        let path = folder.join("run/metrics.sock");
        let first = unix(&path).expect("bind");
        let mode = fs::metadata(&path).expect("a socket").permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        assert_eq!(unix(&path).err().map(|error| error.kind()), Some(ErrorKind::AddrInUse));
        drop(first);
        unix(&path).expect("bind again");
        fs::remove_file(&path).and_then(|()| fs::write(&path, "precious")).expect("write a file");
        assert_eq!(unix(&path).err().map(|error| error.kind()), Some(ErrorKind::AddrInUse));
        fs::remove_dir_all(folder).expect("clean up");
    }
}
