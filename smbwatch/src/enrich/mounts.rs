//! Which mount a connection of the kernel's own SMB client belongs to.

mod arguments;

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use procfs::process::{MountInfo, Process, StatFlags};

use super::namespaces;
use crate::decode::printable;

pub use arguments::of_arguments;

/// How long mount namespaces are looked at.
const PATIENCE: Duration = Duration::from_secs(1);

/// A mount of an SMB share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CifsMount {
    /// `//HOST/SHARE`, and a folder of it where one was mounted.
    pub unc: String,
    /// HOST, as it was mounted: a name or an address.
    pub host: String,
    /// Where it is mounted, as the processes of its mount namespace see it.
    pub mount_point: PathBuf,
    /// The server's address. With several channels, that of the first.
    pub address: Option<IpAddr>,
    /// The server's port. Linux does not tell it so far.
    pub port: Option<u16>,
    /// The user at the server.
    pub user: Option<String>,
    /// The SMB version.
    pub version: Option<String>,
    /// `MAJOR:MINOR` of its file system. Mounts of one share have it in common, in all namespaces.
    pub device: String,
}

/// The mounts of a server at this address, in all mount namespaces, our own first. A mount that another
/// namespace has from one that was looked at before is not repeated.
pub fn of(address: IpAddr, port: u16) -> Vec<CifsMount> {
    let deadline = Instant::now() + PATIENCE;
    let mut known = HashSet::new();
    let mut mounts = Vec::new();
    for namespace in namespaces::mount(deadline) {
        if Instant::now() > deadline {
            break;
        }
        let Ok(bytes) = fs::read(namespace.path.join("mountinfo")) else { continue };
        let mut these = parse(&String::from_utf8_lossy(&bytes));
        these.retain(|mount| {
            mount.address == Some(address.to_canonical())
                && mount.port.is_none_or(|its| its == port)
                && !known.contains(&mount.device)
        });
        known.extend(these.iter().map(|mount| mount.device.clone()));
        mounts.extend(these);
    }
    mounts
}

/// The SMB mounts of a mountinfo file, proc_pid_mountinfo(5).
pub fn parse(mountinfo: &str) -> Vec<CifsMount> {
    // Line by line, so that one that cannot be read hides no other.
    mountinfo.lines().filter_map(|line| mount(MountInfo::from_line(line).ok()?)).collect()
}

fn mount(info: MountInfo) -> Option<CifsMount> {
    if !matches!(info.fs_type.as_str(), "cifs" | "smb3") {
        return None;
    }
    let unc = printable(&unescape(&info.mount_source?));
    let option = |name| Some(printable(&unescape(info.super_options.get(name)?.as_deref()?)));
    Some(CifsMount {
        host: host(&unc)?.to_owned(),
        unc,
        mount_point: OsString::from_vec(unescape(info.mount_point.to_str()?)).into(),
        address: option("addr").and_then(|text| without_scope(&text).parse().ok()),
        port: option("port").and_then(|text| text.parse().ok()),
        user: option("username"),
        version: option("vers"),
        device: info.majmin,
    })
}

/// HOST of `//HOST/SHARE`.
pub(super) fn host(unc: &str) -> Option<&str> {
    unc.strip_prefix("//")?.split('/').next().filter(|host| !host.is_empty())
}

/// A link-local address is followed by `%` and the number of its interface (cifs_show_address).
fn without_scope(address: &str) -> &str {
    address.split_once('%').map_or(address, |(address, _)| address)
}

/// Undoes `\OOO`, which stands for a byte that would end the field (mangle_path, seq_escape).
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.first_chunk::<3>().filter(|_| *first == b'\\');
        let value = digits.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(value.unwrap_or(*first));
        rest = if value.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    bytes
}

/// Whether a process is a thread of the kernel, as those are that keep a mount's connection.
pub fn is_kernel_thread(pid: u32) -> bool {
    let stat = i32::try_from(pid).ok().and_then(|pid| Process::new(pid).ok()?.stat().ok());
    stat.is_some_and(|stat| StatFlags::from_bits_truncate(stat.flags).contains(StatFlags::PF_KTHREAD))
}

#[cfg(test)]
mod tests;
