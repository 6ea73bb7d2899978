//! The guest's whole file system: the agent, busybox, Samba, network tools, modules and the test.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::cpio::Archive;
use super::kernel::Kernel;
use super::modules;
use crate::process;

const INIT: &str = include_str!("test/init.sh");
const SCRIPTS: [(&str, &str); 8] = [
    ("all.sh", include_str!("test/all.sh")),
    ("lib.sh", include_str!("test/lib.sh")),
    ("grades.sh", include_str!("test/grades.sh")),
    ("links.sh", include_str!("test/links.sh")),
    ("nat.sh", include_str!("test/nat.sh")),
    ("cifs.sh", include_str!("test/cifs.sh")),
    ("old.sh", include_str!("test/old.sh")),
    ("leftovers.sh", include_str!("test/leftovers.sh")),
];
/// Programs by their name here, and where they are there. `mount` looks for its helper below /sbin.
const PROGRAMS: [(&str, &str); 9] = [
    ("busybox", "bin/busybox"),
    ("ip", "test/ip"),
    ("tc", "test/tc"),
    ("ss", "test/ss"),
    ("nft", "test/nft"),
    ("mount", "test/mount"),
    ("mount.cifs", "sbin/mount.cifs"),
    ("smbd", "test/smbd"),
    ("smbpasswd", "test/smbpasswd"),
];
const ETC: [(&str, &str); 3] = [
    (
        "etc/passwd",
        "root:x:0:0:root:/:/bin/sh\n\
         nobody:x:65534:65534:nobody:/:/bin/false\n\
         alice:x:1000:1000:alice:/:/bin/false\n",
    ),
    ("etc/group", "root:x:0:\nnogroup:x:65534:\nalice:x:1000:\n"),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
];
/// What the test needs, and Debian's cloud kernels have as modules.
const MODULES: [&str; 32] = [
    "veth",
    "sch_ingress",
    "cls_bpf",
    "act_bpf",
    "8021q",
    "wireguard",
    "nf_tables",
    "nft_chain_nat",
    "nft_nat",
    "nft_masq",
    "inet_diag",
    "tcp_diag",
    "raw_diag",
    "af_packet_diag",
    "cifs",
    // What cifs asks for by name when it mounts, and no dependency tells.
    "nls_utf8",
    "ecb",
    "hmac",
    "md4",
    "md5",
    "cmac",
    "ccm",
    "gcm",
    "ctr",
    "aes_generic",
    "sha256",
    "sha256_generic",
    "sha512",
    "sha512_generic",
    "ghash_generic",
    "crypto_null",
    "seqiv",
];
const FOLDERS: [&str; 7] = ["bin", "dev", "mnt", "proc", "run", "sys", "tmp"];

/// What all kernels have in common. Of a test's program, the name ends with a hash, which is dropped.
pub(super) fn system(programs: &[PathBuf]) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    FOLDERS.iter().for_each(|folder| archive.folder(folder));
    archive.file("init", INIT.as_bytes());
    for (name, text) in SCRIPTS {
        archive.file(&format!("test/{name}"), text.as_bytes());
    }
    for (path, text) in ETC {
        archive.file(path, text.as_bytes());
    }
    for path in programs {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.split('-').next().unwrap_or_default();
        program(&mut archive, path, &format!("test/{name}"))?;
    }
    for (name, path) in PROGRAMS {
        let program_path = process::which(name).with_context(|| format!("`{name}` is not installed"))?;
        program(&mut archive, &program_path, path)?;
    }
    Ok(archive.finish())
}

/// The modules of a kernel, and their list. The kernel unpacks this after the system: it reads several archives.
pub(super) fn modules(kernel: &Kernel) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    let mut list = String::new();
    for (name, content) in modules::with_dependencies(&kernel.modules(), &MODULES)? {
        let path = format!("modules/{name}.ko");
        archive.file(&path, &content);
        list += &format!("/{path}\n");
    }
    archive.file("test/modules", list.as_bytes());
    Ok(archive.finish())
}

/// Adds a program, with the libraries that it is linked to where it looks for them.
fn program(archive: &mut Archive, from: &Path, to: &str) -> Result<()> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("read {}", path.display()));
    archive.file(to, &read(from)?);
    // It fails for a program that is linked statically.
    let libraries = process::output(process::command("ldd").arg(from)).unwrap_or_default();
    for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
        let path = library.trim_start_matches('/');
        if !archive.has(path) {
            archive.file(path, &read(Path::new(library))?);
        }
    }
    Ok(())
}
