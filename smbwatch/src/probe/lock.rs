//! One agent for a host: two would each tell every connection.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

/// Held while the agent runs. The kernel lets go of it when the agent ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: Flock<File>,
}

/// The lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another agent holds it.
    #[error("another smbwatch runs already (pid {pid}, lock {}); stop it, or give this one its own --run-dir", path.display())]
    Held {
        /// The lock file.
        path: PathBuf,
        /// What the lock file says of its holder.
        pid: String,
    },
    /// The folder or the file cannot be used.
    #[error("lock {}: {error}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
}

impl Lock {
    /// Takes the lock in `run_dir`, which is made if need be.
    pub fn take(run_dir: &Path) -> Result<Self, Error> {
        let path = run_dir.join("lock");
        let io = |error| Error::Io { path: path.clone(), error };
        fs::create_dir_all(run_dir).map_err(io)?;
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut file) => {
                file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).map_err(io)?;
                Ok(Self { _file: file })
            }
            Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                let mut pid = String::new();
                let _ = file.read_to_string(&mut pid);
                Err(Error::Held { path, pid })
            }
            Err((_, errno)) => Err(io(errno.into())),
        }
    }
}
