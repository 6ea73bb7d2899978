//! Kernel modules, with those that they depend on, in the order to insert them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process;

/// A module's name, and its content without compression.
pub(super) type Module = (String, Vec<u8>);

/// The modules of these names below `root`. A name that is not there is built in, or not of this kernel.
pub(super) fn with_dependencies(root: &Path, names: &[&str]) -> Result<Vec<Module>> {
    let mut files = BTreeMap::new();
    find(root, &mut files)?;
    let mut found = Vec::new();
    for name in names {
        add(name, &files, &mut found)?;
    }
    Ok(found)
}

/// All modules below a folder, by name.
fn find(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry.with_context(|| format!("list {}", folder.display()))?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if let Some((name, _)) = path.file_name().and_then(|name| name.to_str()?.split_once(".ko")) {
            files.insert(name.replace('-', "_"), path.clone());
        }
    }
    Ok(())
}

/// Adds a module after all that it depends on.
fn add(name: &str, files: &BTreeMap<String, PathBuf>, found: &mut Vec<Module>) -> Result<()> {
    let name = name.replace('-', "_");
    let Some(path) = files.get(&name) else { return Ok(()) };
    if found.iter().any(|(there, _)| *there == name) {
        return Ok(());
    }
    let content = read(path)?;
    for dependency in dependencies(&content) {
        add(&dependency, files, found)?;
    }
    found.push((name, content));
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let program = match path.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        Some(_) | None => return fs::read(path).with_context(|| format!("read {}", path.display())),
    };
    let output = process::command(program)
        .arg("-dc")
        .arg(path)
        .output()
        .with_context(|| format!("start `{program}`"))?;
    anyhow::ensure!(output.status.success(), "`{program}` cannot read {}", path.display());
    Ok(output.stdout)
}

/// What a module says of itself in its section .modinfo: `depends=one,two`.
fn dependencies(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else { return Vec::new() };
    let value = module[at + KEY.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    let names = String::from_utf8_lossy(value);
    names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::dependencies;

    #[test]
    fn dependencies_are_read_from_the_module() {
        assert_eq!(
            dependencies(b"\x7fELF\0license=GPL\0depends=udp_tunnel,libchacha\0name=x\0"),
            ["udp_tunnel", "libchacha"]
        );
        assert!(dependencies(b"\0depends=\0").is_empty());
        assert!(dependencies(b"no module").is_empty());
    }
}
