//! A Samba server inside the lab, with all of its state in the lab's folder.

use std::fs::{self, DirBuilder, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::lab::{End, Lab, SERVER};
use crate::process;
use crate::service::Service;

/// The user whom the server knows, and how smbclient logs in as that user.
const LOGIN: &str = r"CORP\alice%Spring-2026";

const START_LIMIT: Duration = Duration::from_secs(20);

/// Starts smbd at the lab's Internet end and waits until it takes connections.
pub(crate) fn serve(lab: &Lab) -> Result<Service> {
    let state = lab.folder().join("samba");
    let share = lab.folder().join("share");
    DirBuilder::new().mode(0o700).create(&state).context("create Samba's folder")?;
    fs::create_dir(&share).context("create the share's folder")?;
    fs::set_permissions(&share, Permissions::from_mode(0o777)).context("open the share's folder")?;
    // Samba wants a system user behind each of its own; this makes alice one without adding any.
    fs::write(state.join("users"), "nobody = alice\n").context("write Samba's user map")?;
    let config = state.join("smb.conf");
    fs::write(&config, configuration(&state, &share)).context("write smb.conf")?;
    add_user(&config)?;

    let mut smbd = lab.at(End::Net, "smbd");
    smbd.args(["--foreground", "--no-process-group", "--debug-stdout", "--debuglevel=2"])
        .arg("--configfile")
        .arg(&config);
    let smbd = Service::start("smbd", &mut smbd)?;
    smbd.wait_for("sign of readiness", START_LIMIT, |line| line.text().contains("waiting for connections"))?;
    Ok(smbd)
}

/// Copies a file onto the share from the lab's private host; returns smbclient's report.
pub(crate) fn put(lab: &Lab) -> Result<String> {
    fs::write(lab.folder().join("customers.csv"), "id,name\n1,Ada\n").context("write the file to copy")?;
    // smbclient would read the machine's own configuration otherwise.
    let mut smbclient = lab.at(End::Host, "smbclient");
    smbclient.args([&format!("//{SERVER}/share"), "-s", "/dev/null", "-U", LOGIN, "-c", "put customers.csv"]);
    let output =
        smbclient.current_dir(lab.folder()).stdin(Stdio::null()).output().context("start smbclient")?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("smbclient could not copy the file: {}", said.trim());
    }
    Ok(said.trim().to_owned())
}

fn add_user(config: &Path) -> Result<()> {
    let (_, password) = LOGIN.split_once('%').context("the login has no password")?;
    let mut smbpasswd = process::command("smbpasswd");
    smbpasswd.arg("-c").arg(config).args(["-s", "-a", "nobody"]);
    let mut child = smbpasswd
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("start smbpasswd")?;
    if let Some(mut stdin) = child.stdin.take() {
        write!(stdin, "{password}\n{password}\n").context("give smbpasswd the password")?;
    }
    let output = child.wait_with_output().context("wait for smbpasswd")?;
    if !output.status.success() {
        bail!("smbpasswd failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn configuration(state: &Path, share: &Path) -> String {
    let (state, share) = (state.display(), share.display());
    format!(
        "[global]\n\
         workgroup = CORP\n\
         smb ports = 445 139 8445\n\
         map to guest = never\n\
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
         read only = no\n"
    )
}
