//! Where the agent can be seen from outside.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::file;

/// In the folder for files of a run, which is `/run/smbwatch` by default.
pub(crate) const SOCKET: &str = "metrics.sock";

/// Where metrics are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// A Unix socket, in the folder for files of a run unless the path is absolute.
    pub socket: Option<PathBuf>,
    /// A TCP address.
    pub listen: Option<SocketAddr>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { socket: Some(SOCKET.into()), listen: None }
    }
}

impl Metrics {
    pub(super) fn parse(file: file::Metrics) -> Result<Self, String> {
        if let Some(listen) = file.listen.filter(|listen| !listen.ip().is_loopback())
            && !file.allow_remote
        {
            return Err(format!(
                "`metrics.listen` is {listen}, which other hosts may reach; give a loopback address, or say \
                 `metrics.allow_remote = true`"
            ));
        }
        let socket = file.socket.unwrap_or_else(|| SOCKET.into());
        let socket = Some(socket).filter(|path| !path.as_os_str().is_empty());
        Ok(Self { socket, listen: file.listen })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_taken_unasked() {
        for (listen, allow_remote, taken) in [
            ("127.0.0.1:9445", false, true),
            ("[::1]:9445", false, true),
            ("0.0.0.0:9445", false, false),
            ("[::]:9445", false, false),
            ("10.0.0.1:9445", false, false),
            ("10.0.0.1:9445", true, true),
        ] {
            let listen = listen.parse().ok();
            let metrics = Metrics::parse(file::Metrics { listen, allow_remote, ..file::Metrics::default() });
            assert_eq!(metrics.is_ok(), taken, "{listen:?} {allow_remote}: {metrics:?}");
        }
    }

    #[test]
    fn an_empty_path_is_no_socket() {
        for (socket, expected) in [(None, Some(SOCKET)), (Some(""), None), (Some("/a"), Some("/a"))] {
            let file = file::Metrics { socket: socket.map(PathBuf::from), ..file::Metrics::default() };
            let socket = Metrics::parse(file).map(|metrics| metrics.socket);
            assert_eq!(socket, Ok(expected.map(PathBuf::from)));
        }
    }
}
