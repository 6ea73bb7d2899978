//! A network of two namespaces, a private host and the Internet, that is gone when dropped.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, id};
use std::{env, io};

use anyhow::{Context, Result};

use crate::process;
use crate::say::say;

/// The private host's address.
pub(crate) const HOST: &str = "10.20.0.5";
/// The address of the server in the lab's Internet.
pub(crate) const SERVER: &str = "93.184.216.34";

/// ```text
///   host                              net
///   eth0 10.20.0.5/24 ─────────────── eth0 10.20.0.1/24, lo 93.184.216.34/32
/// ```
/// Neither namespace has a route to this machine or out of it.
pub(crate) struct Lab {
    host: String,
    net: String,
    folder: PathBuf,
}

/// One of the lab's two ends.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Host,
    Net,
}

impl Lab {
    /// Makes the namespaces, the link between them, and a folder for temporary files.
    pub(crate) fn make() -> Result<Self> {
        let name = format!("smbw-demo-{}", id());
        let folder = env::temp_dir().join(&name);
        // Others may pass through, not look: smbd serves the share as an unprivileged user.
        DirBuilder::new()
            .mode(0o711)
            .create(&folder)
            .with_context(|| format!("create {}", folder.display()))?;
        let lab = Self { host: format!("{name}-host"), net: format!("{name}-net"), folder };
        lab.connect()
            .context("make the lab's network (this needs the right to create network namespaces)")?;
        Ok(lab)
    }

    /// The folder for temporary files.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A command that runs at one end. `ip netns exec` would hide cgroup2 from it.
    pub(crate) fn at(&self, end: End, program: impl AsRef<OsStr>) -> Command {
        let name = match end {
            End::Host => &self.host,
            End::Net => &self.net,
        };
        let mut command = process::command("nsenter");
        command.arg(format!("--net=/run/netns/{name}")).arg("--").arg(program);
        command
    }

    fn connect(&self) -> Result<()> {
        let Self { host, net, .. } = self;
        ip(&["netns", "add", host])?;
        ip(&["netns", "add", net])?;
        ip(&["-n", host, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", net])?;
        ip(&["-n", host, "address", "add", &format!("{HOST}/24"), "dev", "eth0"])?;
        ip(&["-n", net, "address", "add", "10.20.0.1/24", "dev", "eth0"])?;
        ip(&["-n", net, "address", "add", &format!("{SERVER}/32"), "dev", "lo"])?;
        for namespace in [host, net] {
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
            ip(&["-n", namespace, "link", "set", "eth0", "up"])?;
        }
        ip(&["-n", host, "route", "add", "default", "via", "10.20.0.1"])
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for namespace in [&self.host, &self.net] {
            if Path::new("/run/netns").join(namespace).exists()
                && let Err(error) = ip(&["netns", "delete", namespace])
            {
                say("lab", &format!("{namespace} is left behind: {error}"));
            }
        }
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                say("lab", &format!("{} is left behind: {error}", self.folder.display()));
            }
            Ok(()) | Err(_) => {}
        }
    }
}

fn ip(args: &[&str]) -> Result<()> {
    process::output(process::command("ip").args(args)).map(drop)
}
