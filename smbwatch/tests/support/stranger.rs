//! Programs of strangers, which setup puts into target/tools and tests run without any rights.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::stat::{Mode, umask};

use super::lab::{End, Lab};
use super::skip::skip;

/// The user nobody, and its group.
const NOBODY: u32 = 65534;

/// Shows the folder `$1` at `$2` to one program alone, for the user may have closed a folder above it.
const SCRIPT: &str = r#"mount --bind -o ro,nosuid,nodev "$1" "$2"; shift 2; exec "$@""#;

/// The path of a program in target/tools; or notes that `test` is skipped.
pub fn find(test: &str, program: &str) -> Option<PathBuf> {
    let path = path(program);
    if path.exists() {
        return Some(path);
    }
    skip(test, &format!("no {program}: `cargo xtask setup --lab` installs it"));
    None
}

/// The path of a program in target/tools, whether it is there or not.
pub fn path(program: &str) -> PathBuf {
    tools().join(program)
}

impl Lab {
    /// A command that runs a program of target/tools, or one of the system's, at one end as the user nobody, in
    /// that user's folder and without the variables of this process. It ends with the thread that starts it.
    pub fn as_nobody(&self, end: End, program: impl AsRef<Path>) -> Command {
        self.open_to_nobody();
        let (home, seen) = (self.nobodys_folder(), self.nobodys_tools());
        if !home.exists() {
            DirBuilder::new().mode(0o700).create(&home).expect("create the user's folder");
            chown(&home, Some(NOBODY), Some(NOBODY)).expect("give it to the user");
        }
        fs::create_dir_all(&seen).expect("create a folder for its programs");
        let program = program.as_ref();
        let program =
            program.strip_prefix(tools()).map_or_else(|_| program.to_owned(), |path| seen.join(path));
        let mut command = self.at(end, "unshare");
        command.args(["--mount", "--", "sh", "-ec", SCRIPT, "sh"]).arg(tools()).arg(seen);
        // On a terminal of root's it could type.
        command.args(["setsid", "setpriv"]).arg(format!("--reuid={NOBODY}")).arg(format!("--regid={NOBODY}"));
        command.args(["--clear-groups", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]);
        command.args(["--pdeathsig=KILL", "--"]).arg(program);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("HOME", &home).env("TMPDIR", &home).current_dir(home);
        command
    }

    /// Lets the user nobody list the lab's folder, and read what is made there from now on and is for its group.
    pub fn open_to_nobody(&self) {
        for folder in self.folder().ancestors().skip(1) {
            let mode = fs::metadata(folder).expect("look at a folder").permissions().mode();
            let name = folder.display();
            assert!(mode & 0o001 != 0, "{name} is closed to others: set TMPDIR to a folder that is not");
        }
        // The umask of this process's user may keep from the group what is meant for it.
        umask(Mode::from_bits_truncate(0o022));
        chown(self.folder(), None, Some(NOBODY)).expect("give the lab's folder to the group");
        fs::set_permissions(self.folder(), Permissions::from_mode(0o2755)).expect("open the lab's folder");
    }

    /// The folder of the user nobody.
    pub fn nobodys_folder(&self) -> PathBuf {
        self.folder().join("nobody")
    }

    /// Where target/tools is for the user nobody.
    pub fn nobodys_tools(&self) -> PathBuf {
        self.folder().join("tools")
    }
}

/// Where xtask puts them, whatever folder cargo builds in.
fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("target/tools")
}
