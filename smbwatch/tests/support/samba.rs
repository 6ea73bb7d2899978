//! Samba's server at the lab's Internet end, and its client at the private host.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::lab::{End, Lab, output, tool};
use super::skip::skip;

/// The password of the only user.
pub const PASSWORD: &str = "Spring-2026";

/// A running smbd on ports 445, 139 and 8445; dropping it ends it and its children.
pub struct Samba {
    child: Child,
}

impl Samba {
    /// Starts smbd and waits until it takes connections; none where it is not installed, and `test` is noted
    /// as skipped.
    pub fn serve(lab: &Lab, test: &str) -> Option<Self> {
        if !is_here(test) {
            return None;
        }
        let config = configure(lab);
        let mut smbd = lab.at(End::Net, "smbd");
        smbd.args(["--foreground", "--no-process-group", "--debug-stdout", "--debuglevel=2", "--configfile"]);
        // A group of its own: at its exit smbd signals the whole group.
        smbd.arg(config).process_group(0).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = smbd.spawn().expect("start smbd");
        let mut out = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let samba = Self { child };
        assert!(out.any(|line| line.contains("waiting for connections")), "smbd did not start");
        std::thread::spawn(move || out.for_each(drop));
        Some(samba)
    }
}

/// Whether Samba is installed; if not, `test` is noted as skipped.
pub fn is_here(test: &str) -> bool {
    let is_missing = |name: &&str| tool(name).arg("--version").output().is_err();
    let missing = ["smbd", "smbclient", "smbpasswd"].into_iter().find(is_missing);
    if let Some(missing) = missing {
        skip(test, &format!("{missing} is not installed"));
    }
    missing.is_none()
}

impl Drop for Samba {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let group = Pid::from_raw(self.child.id().cast_signed());
            let _ = killpg(group, Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// smbclient at the private host, about to put a file onto the share at `address`.
pub fn client(lab: &Lab, address: &str, args: &[&str]) -> Command {
    fs::write(lab.folder().join("customers.csv"), "id,name\n1,Ada\n").expect("write the file to copy");
    let mut client = lab.at(End::Host, "smbclient");
    let login = format!(r"CORP\alice%{PASSWORD}");
    // smbclient would read the machine's own configuration otherwise.
    client.args([&format!("//{address}/share"), "-s", "/dev/null", "-U", &login, "-c", "put customers.csv"]);
    client.args(args).current_dir(lab.folder());
    client
}

/// Writes smb.conf and the password database; returns the path of smb.conf.
fn configure(lab: &Lab) -> std::path::PathBuf {
    let state = lab.folder().join("samba");
    let share = lab.folder().join("share");
    fs::create_dir(&state).expect("create Samba's folder");
    fs::set_permissions(&state, Permissions::from_mode(0o700)).expect("close Samba's folder");
    fs::create_dir(&share).expect("create the share's folder");
    fs::set_permissions(&share, Permissions::from_mode(0o777)).expect("open the share's folder");
    // Samba wants a system user behind each of its own; this makes alice one without adding any.
    fs::write(state.join("users"), "nobody = alice\n").expect("write Samba's user map");
    let config = state.join("smb.conf");
    fs::write(&config, text(&state, &share)).expect("write smb.conf");

    let mut smbpasswd = tool("smbpasswd");
    smbpasswd.arg("-c").arg(&config).args(["-s", "-a", "nobody"]);
    let answers = lab.folder().join("answers");
    let mut file = fs::File::create(&answers).expect("create a file");
    write!(file, "{PASSWORD}\n{PASSWORD}\n").expect("write the password");
    output(smbpasswd.stdin(fs::File::open(&answers).expect("open a file")));
    config
}

fn text(state: &Path, share: &Path) -> String {
    let (state, share) = (state.display(), share.display());
    format!(
        "[global]\n\
         workgroup = CORP\n\
         smb ports = 445 139 8445\n\
         map to guest = bad user\n\
         guest account = nobody\n\
         server min protocol = NT1\n\
         username map = {state}/users\n\
         passdb backend = tdbsam:{state}/passdb.tdb\n\
         private dir = {state}\n\
         state directory = {state}\n\
         lock directory = {state}\n\
         cache directory = {state}\n\
         pid directory = {state}\n\
         ncalrpc dir = {state}/ncalrpc\n\
         binddns dir = {state}\n\
         log file = {state}/log\n\
         load printers = no\n\
         printing = bsd\n\
         printcap name = /dev/null\n\
         disable spoolss = yes\n\
         [share]\n\
         path = {share}\n\
         guest ok = yes\n\
         read only = no\n"
    )
}
