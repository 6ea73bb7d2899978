//! The guest's whole file system: the agent, busybox, `ip`, `tc`, modules and the test.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::cpio::Archive;
use super::kernel::Kernel;
use super::modules;
use crate::process;

const INIT: &str = include_str!("init.sh");
const TEST: &str = include_str!("test.sh");
/// What the test needs, and Debian's cloud kernels have as modules.
const MODULES: [&str; 6] = ["veth", "sch_ingress", "cls_bpf", "act_bpf", "8021q", "wireguard"];
const FOLDERS: [&str; 6] = ["bin", "dev", "proc", "run", "sys", "tmp"];

/// The initial RAM disk for this kernel. Of a test's program, the name ends with a hash, which is dropped.
pub(super) fn build(kernel: &Kernel, programs: &[PathBuf]) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    FOLDERS.iter().for_each(|folder| archive.folder(folder));
    archive.file("init", INIT.as_bytes());
    archive.file("test/test.sh", TEST.as_bytes());
    archive.file("etc/passwd", b"root:x:0:0:root:/:/bin/sh\n");

    for path in programs {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.split('-').next().unwrap_or_default();
        program(&mut archive, path, &format!("test/{name}"))?;
    }
    for (name, path) in [("busybox", "bin/busybox"), ("ip", "test/ip"), ("tc", "test/tc")] {
        let program_path = process::which(name).with_context(|| format!("`{name}` is not installed"))?;
        program(&mut archive, &program_path, path)?;
    }

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
