//! A real rsyslogd.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::{Door, Mood, Process, Receiver, wait_until, whole};
use crate::support::lab::{End, Lab};

pub const RSYSLOGD: &str = "/usr/sbin/rsyslogd";
pub const MISSING: &str = "needs the packages rsyslog and rsyslog-gnutls";

/// Whether rsyslog's module for TLS is there.
pub fn has_tls() -> bool {
    let folders = std::fs::read_dir("/usr/lib").expect("list the libraries").flatten();
    folders.map(|folder| folder.path().join("rsyslog/lmnsd_gtls.so")).any(|module| module.exists())
}

/// How it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Unix,
    Udp,
    Tcp,
    Tls,
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::Unix => "unix",
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

/// One that may be reached by one way.
pub struct Syslog<'a> {
    lab: &'a Lab,
    way: Way,
    certificate: PathBuf,
    asks: bool,
    process: Option<Process>,
    dying: bool,
    door: Option<Door>,
}

impl<'a> Syslog<'a> {
    pub fn new(lab: &'a Lab, way: Way) -> Self {
        let certificate = lab.folder().join("cert.pem");
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        fs::write(&certificate, cert.pem()).expect("write the certificate");
        fs::write(lab.folder().join("key.pem"), signing_key.serialize_pem()).expect("write the key");
        Self { lab, way, certificate, asks: false, process: None, dying: false, door: None }
    }

    /// Takes only messages of those who show its own certificate.
    pub fn asking(self) -> Self {
        Self { asks: true, ..self }
    }

    /// The lines that have come, in order: priority, host, program, process, kind and document of each.
    pub fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.output()).unwrap_or_default();
        // The last line may be about to be written.
        let end = text.rfind('\n').map_or(0, |end| end + 1);
        text[..end].lines().map(str::to_owned).collect()
    }

    fn output(&self) -> PathBuf {
        self.lab.folder().join(self.way.name())
    }

    fn socket(&self) -> PathBuf {
        self.lab.folder().join("log")
    }

    fn is_listening(&self) -> bool {
        let listens = |way, port| self.lab.run(End::Host, &format!("ss -Hln --{way}")).contains(port);
        match self.way {
            Way::Unix => UnixDatagram::unbound().is_ok_and(|socket| socket.connect(self.socket()).is_ok()),
            Way::Udp => listens("udp", ":514 "),
            Way::Tcp => listens("tcp", ":601 "),
            Way::Tls => listens("tcp", ":6514 "),
        }
    }

    fn write_configuration(&self) -> PathBuf {
        let folder = self.lab.folder().display();
        let who = if self.asks { "x509/name\" permittedPeer=[\"localhost\"]" } else { "anon\"" };
        let input = match self.way {
            Way::Unix => format!(
                "module(load=\"imuxsock\" sysSock.use=\"off\")\n\
                 input(type=\"imuxsock\" socket=\"{}\" useSpecialParser=\"off\" parseHostname=\"on\" ruleset=\"in\")\n",
                self.socket().display()
            ),
            Way::Udp => "module(load=\"imudp\")\ninput(type=\"imudp\" address=\"127.0.0.1\" port=\"514\" ruleset=\"in\")\n".to_owned(),
            Way::Tcp => "module(load=\"imptcp\")\n\
                         input(type=\"imptcp\" address=\"127.0.0.1\" port=\"601\" maxFrameSize=\"1000000\" ruleset=\"in\")\n"
                .to_owned(),
            Way::Tls => format!(
                "global(defaultNetstreamDriver=\"gtls\" defaultNetstreamDriverCAFile=\"{folder}/cert.pem\" \
                 defaultNetstreamDriverCertFile=\"{folder}/cert.pem\" defaultNetstreamDriverKeyFile=\"{folder}/key.pem\")\n\
                 module(load=\"imtcp\" maxFrameSize=\"1000000\" streamDriver.name=\"gtls\" streamDriver.mode=\"1\" \
                 streamDriver.authMode=\"{who})\n\
                 input(type=\"imtcp\" port=\"6514\" ruleset=\"in\")\n"
            ),
        };
        // In direct mode it reads nothing more before it has written.
        let config = format!(
            "global(workDirectory=\"{folder}\" maxMessageSize=\"1m\")\n\
             template(name=\"out\" type=\"string\" string=\"%pri% %hostname% %app-name% %procid% %msgid% %msg%\\n\")\n\
             ruleset(name=\"in\" queue.type=\"Direct\") {{ action(type=\"omfile\" file=\"{}\" template=\"out\" asyncWriting=\"off\" flushOnTXEnd=\"on\") }}\n\
             {input}",
            self.output().display()
        );
        let path = self.lab.folder().join("rsyslog.conf");
        fs::write(&path, config).expect("write the configuration");
        path
    }
}

impl Receiver for Syslog<'_> {
    fn config(&self) -> String {
        let name = self.way.name();
        let (address, more) = match self.way {
            Way::Unix => (self.socket().display().to_string(), String::new()),
            Way::Udp => ("127.0.0.1:514".to_owned(), String::new()),
            Way::Tcp => ("localhost:601".to_owned(), "facility = \"local3\"".to_owned()),
            Way::Tls => ("localhost:6514".to_owned(), format!("ca = \"{}\"", self.certificate.display())),
        };
        format!("[[sinks]]\ntype = \"syslog\"\nname = \"{name}\"\naddress = \"{name}://{address}\"\n{more}")
    }

    fn start(&mut self, mood: Mood) {
        self.dying = matches!(mood, Mood::Dying);
        if matches!(mood, Mood::Busy) {
            match self.way {
                Way::Unix => abandon(&self.socket()),
                Way::Udp => {}
                Way::Tcp => self.door = Some(Door::close(self.lab, 601)),
                Way::Tls => self.door = Some(Door::close(self.lab, 6514)),
            }
            return;
        }
        let pid = self.lab.folder().join("rsyslog.pid");
        let _ = fs::remove_file(&pid);
        let mut command = self.lab.at(End::Host, RSYSLOGD);
        command.arg("-n").arg("-f").arg(self.write_configuration()).arg("-i").arg(&pid);
        let process = self.process.insert(Process::start(&mut command));
        process.pause(false);
        wait_until("rsyslogd listens", || self.is_listening());
        if let Some(process) = &mut self.process {
            process.pause(matches!(mood, Mood::Slow | Mood::Dying));
        }
    }

    fn stop(&mut self) {
        match self.process.take() {
            Some(process) if self.dying && self.way == Way::Unix => {
                process.kill_with_full_socket(&self.socket())
            }
            Some(_) | None => {}
        }
        self.door = None;
        // A line that it was just writing is torn by its own end.
        let whole: usize = self.lines().iter().map(|line| line.len() + 1).sum();
        if let Ok(file) = fs::File::options().write(true).open(self.output()) {
            file.set_len(whole as u64).expect("cut the file");
        }
    }

    fn arrived(&mut self) -> Vec<String> {
        self.lines().iter().map(|line| document(line)).map(whole).collect()
    }

    fn has_refused(&self) -> bool {
        // Where there is no door, the kernel refuses, and tells nobody.
        self.door.as_ref().is_none_or(Door::has_refused)
    }
}

/// The document of a line.
pub fn document(line: &str) -> &str {
    line.find('{').map_or("", |start| &line[start..])
}

/// The socket of a receiver that is no more: whoever connects is refused.
pub(super) fn abandon(socket: &Path) {
    drop(UnixDatagram::bind(socket).expect("bind a socket"));
}
