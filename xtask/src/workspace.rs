//! Where things are: the workspace and its target folders.

use std::env;
use std::path::{Path, PathBuf};

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// The fixed `target` folder that holds the BPF recipe, the tools and the BPF objects. The
/// agent's build script looks there, so it does not follow `CARGO_TARGET_DIR`.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// The folder that cargo writes the profile's binaries to.
pub(crate) fn binaries(release: bool) -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(target, |dir| root().join(dir));
    target.join(if release { "release" } else { "debug" })
}

/// The oldest Rust that the workspace builds with, as (major, minor).
pub(crate) fn minimum_rust() -> (u32, u32) {
    version(env!("CARGO_PKG_RUST_VERSION")).unwrap_or((1, 88))
}

/// The major and minor number that a version text starts with; an epoch (`1:`) is skipped.
pub(crate) fn version(text: &str) -> Option<(u32, u32)> {
    let text = text.split_once(':').map_or(text, |(_, rest)| rest);
    let mut numbers = text.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_read_with_and_without_an_epoch() {
        assert_eq!(version("1.96.0+dfsg1-1~deb12u2"), Some((1, 96)));
        assert_eq!(version("1:22.1.8-1~deb12u1"), Some((22, 1)));
        assert_eq!(version("1.97.0-nightly"), Some((1, 97)));
        assert_eq!(version("unknown"), None);
    }
}
