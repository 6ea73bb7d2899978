//! What the agent says of itself reaches the journal where systemd reads its standard error.

mod support;

use std::fs;
use std::os::unix::net::UnixDatagram;

use support::agent::{Agent, PATIENCE, PROGRAM};
use support::lab::{End, Lab};

/// Puts a folder in the journal's place, and says that standard error is the journal's.
const AS_SERVICE: &str = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && \
     mount --bind \"$1\" /run/systemd/journal && shift && \
     export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) && exec \"$@\"";

#[test]
fn a_service_speaks_to_the_journal() {
    let Some(lab) = Lab::make("a_service_speaks_to_the_journal") else { return };
    let folder = lab.folder().join("journal");
    fs::create_dir(&folder).expect("create a folder");
    let journal = UnixDatagram::bind(folder.join("socket")).expect("bind");
    journal.set_read_timeout(Some(PATIENCE)).expect("set a limit");
    let mut command = lab.at(End::Host, "unshare");
    command.args(["--mount", "sh", "-c", AS_SERVICE, "sh"]).arg(folder).arg(PROGRAM);
    command.args(["run", "--format", "json"]);
    let agent = Agent::spawn(command);
    let entry = std::iter::repeat_with(|| receive(&journal)).find(|entry| entry.contains("attached to eth0"));
    let entry = entry.expect("an entry");
    for field in ["PRIORITY\n\u{1}\0\0\0\0\0\0\x005\n", "SYSLOG_IDENTIFIER\n\u{8}\0\0\0\0\0\0\0smbwatch\n"] {
        assert!(entry.contains(field), "{entry:?}");
    }
    let ended = agent.stop();
    assert!(ended.said.is_empty(), "{:?}", ended.said);
}

/// One entry: each field's name, the length of its value in eight bytes, and the value.
fn receive(journal: &UnixDatagram) -> String {
    let mut entry = vec![0; 1 << 16];
    let length = journal.recv(&mut entry).expect("receive an entry");
    String::from_utf8_lossy(entry.get(..length).unwrap_or_default()).into_owned()
}
