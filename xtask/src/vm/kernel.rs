//! Debian's cloud kernels, fetched and unpacked by an apt configuration of their own.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::say::say;
use crate::{apt, process, workspace};

/// Depends on the kernel of its suite.
const META: &str = "linux-image-cloud-amd64";
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// An unpacked kernel.
pub(super) struct Kernel {
    folder: PathBuf,
    release: String,
}

impl Kernel {
    /// The kernel of a suite: from target/vm, or else from Debian.
    pub(super) fn of(suite: &str) -> Result<Self> {
        let folder = workspace::target().join("vm").join(suite);
        // It is written last.
        if let Ok(release) = fs::read_to_string(folder.join("release")) {
            return Ok(Self { folder, release });
        }
        let release = Apt::new(suite)?.fetch(&folder)?;
        say("vm", &format!("{release}: fetched from {suite}"));
        fs::write(folder.join("release"), &release).context("write the kernel's release")?;
        Ok(Self { folder, release })
    }

    /// What `uname -r` says there.
    pub(super) fn release(&self) -> &str {
        &self.release
    }

    /// Where everything of this kernel lies.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The bootable image.
    pub(super) fn image(&self) -> PathBuf {
        self.folder.join("vmlinuz")
    }

    /// The modules' root.
    pub(super) fn modules(&self) -> PathBuf {
        self.folder.join("modules")
    }
}

/// An apt that knows one suite alone and keeps its lists to itself.
struct Apt {
    folder: PathBuf,
    options: Vec<OsString>,
}

impl Apt {
    fn new(suite: &str) -> Result<Self> {
        let folder = workspace::target().join("vm/apt").join(suite);
        // What an interrupted run has left.
        let _ = fs::remove_dir_all(&folder);
        for name in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(name)).with_context(|| format!("create {}", folder.display()))?;
        }
        let list = folder.join("sources.list");
        fs::write(&list, format!("deb [signed-by={KEYS}] {} {suite} main\n", mirror()?))
            .with_context(|| format!("write {}", list.display()))?;
        let option = |name: &str, path: &Path| {
            let mut option = OsString::from(format!("-o{name}="));
            option.push(path);
            option
        };
        let options = vec![
            option("Dir::Etc::SourceList", &list),
            option("Dir::Etc::SourceParts", Path::new("/dev/null")),
            option("Dir::State::Lists", &folder.join("lists")),
            option("Dir::Cache", &folder.join("cache")),
            "-oAPT::Sandbox::User=".into(),
        ];
        Ok(Self { folder, options })
    }

    fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = process::command(program);
        command.args(&self.options).args(words).current_dir(&self.folder);
        command
    }

    /// Downloads the suite's kernel and unpacks it into `folder`; returns its release.
    fn fetch(&self, folder: &Path) -> Result<String> {
        process::output(&mut self.command("apt-get", &["update", "-qq"]))?;
        let needed =
            process::output(&mut self.command("apt-cache", &["depends", "--recurse", "--important", META]))?;
        let release = release(&needed).with_context(|| format!("{META} depends on no kernel"))?;
        let mut download = vec!["download", "-qq"];
        download.extend(parts(&needed, release));
        process::output(&mut self.command("apt-get", &download))?;

        let unpacked = self.folder.join("unpacked");
        for entry in fs::read_dir(&self.folder).context("list what was downloaded")? {
            let package = entry.context("list what was downloaded")?.path();
            if package.extension().is_some_and(|extension| extension == "deb") {
                process::output(process::command("dpkg").arg("-x").arg(&package).arg(&unpacked))?;
            }
        }
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        // Newer kernels are split over several packages, and lie below /usr.
        let roots = ["lib/modules", "usr/lib/modules"].map(|root| unpacked.join(root).join(release));
        let images = [unpacked.join(format!("boot/vmlinuz-{release}")), roots[1].join("vmlinuz")];
        take(images, &folder.join("vmlinuz"))?;
        take(roots.map(|root| root.join("kernel")), &folder.join("modules"))?;
        fs::remove_dir_all(&self.folder).with_context(|| format!("remove {}", self.folder.display()))?;
        Ok(release.to_owned())
    }
}

/// The Debian mirror that this system's apt is set up with.
fn mirror() -> Result<String> {
    let sources = || {
        process::output(process::command("apt-get").args([
            "indextargets",
            "--format",
            "$(REPO_URI)",
            "Created-By: Packages",
            "Origin: Debian",
            "Label: Debian",
        ]))
    };
    let mut known = sources()?;
    if known.is_empty() {
        apt::update()?;
        known = sources()?;
    }
    match known.lines().next() {
        Some(mirror) => Ok(mirror.to_owned()),
        None => bail!("apt knows no Debian mirror to take kernels from"),
    }
}

/// The kernel's release, from the packages that one depends on.
fn release(needed: &str) -> Option<&str> {
    let mut images = needed.lines().filter_map(|line| line.strip_prefix("linux-image-"));
    images.find(|release| release.starts_with(|c: char| c.is_ascii_digit()))
}

/// The packages that a kernel of this release consists of.
fn parts<'a>(needed: &'a str, release: &str) -> impl Iterator<Item = &'a str> {
    needed.lines().filter(move |line| line.starts_with("linux-") && line.ends_with(release))
}

/// Moves the one of two that exists.
fn take(either: [PathBuf; 2], to: &Path) -> Result<()> {
    let Some(from) = either.iter().find(|path| path.exists()) else {
        bail!("no {} in the packages", either[0].display());
    };
    fs::rename(from, to).with_context(|| format!("move {} to {}", from.display(), to.display()))
}

#[cfg(test)]
mod tests {
    use super::{parts, release};

    #[test]
    fn a_kernel_is_one_package_or_several() {
        let one = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-50-cloud-amd64\nlinux-image-6.1.0-50-cloud-amd64\nkmod\n";
        assert_eq!(release(one), Some("6.1.0-50-cloud-amd64"));
        assert_eq!(parts(one, "6.1.0-50-cloud-amd64").count(), 1);
        let several =
            "linux-image-cloud-amd64\nlinux-image-7.3+1-cloud-amd64\nlinux-modules-7.3+1-cloud-amd64\n";
        let release = release(several).unwrap_or_default();
        assert_eq!(
            parts(several, release).collect::<Vec<_>>(),
            ["linux-image-7.3+1-cloud-amd64", "linux-modules-7.3+1-cloud-amd64"]
        );
    }
}
