//! Receivers of every kind of sink, which can be down, slow, busy and particular, and tell what has arrived.

pub mod journal;
pub mod kafka;
pub mod syslog;
pub mod web;

use std::os::fd::AsFd as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use serde_json::Value;

use super::agent::{PATIENCE, text};
use super::broker::{self, Broker};
use super::lab::Lab;
use super::listener::Listener;
use super::stranger;

/// How late an answer of a slow receiver is.
const LATE: Duration = Duration::from_millis(150);
/// How long a slow process runs before it is paused again.
const AWAKE: Duration = Duration::from_millis(20);

/// What a receiver does with what it is given.
#[derive(Clone, Debug)]
pub enum Mood {
    /// It takes what comes.
    Taking,
    /// It is late with everything.
    Slow,
    /// It does not come to an end with what it is given, so that it can be killed midway.
    Dying,
    /// It takes nothing now.
    Busy,
    /// It never takes these alerts, where it has a way to say so.
    Refusing(Vec<String>),
}

/// The other side of a sink, inside a lab. Its end is that of whatever it has started.
pub trait Receiver {
    /// The sink that sends to it.
    fn config(&self) -> String;
    /// Begins to listen.
    fn start(&mut self, mood: Mood);
    /// Is killed.
    fn stop(&mut self);
    /// The identifiers of the alerts that have arrived up to now, in order. Each of them is whole.
    fn arrived(&mut self) -> Vec<String>;
    /// Whether a busy one has sent the sink away more than once.
    fn has_refused(&self) -> bool;
}

/// A kind of receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Webhook,
    Elasticsearch,
    OtlpGrpc,
    OtlpHttp,
    SyslogUnix,
    SyslogTcp,
    SyslogTls,
    Journald,
    Kafka,
}

impl Kind {
    pub const ALL: [Self; 9] = [
        Self::Webhook,
        Self::Elasticsearch,
        Self::OtlpGrpc,
        Self::OtlpHttp,
        Self::SyslogUnix,
        Self::SyslogTcp,
        Self::SyslogTls,
        Self::Journald,
        Self::Kafka,
    ];

    /// Why there can be none here.
    pub fn obstacle(self) -> Option<&'static str> {
        let missing = |program: &Path, reason| (!program.exists()).then_some(reason);
        match self {
            Self::Webhook | Self::Elasticsearch | Self::OtlpGrpc | Self::OtlpHttp => None,
            Self::SyslogTls if !syslog::has_tls() => Some("needs rsyslog-gnutls"),
            Self::SyslogUnix | Self::SyslogTcp | Self::SyslogTls => {
                missing(Path::new(syslog::RSYSLOGD), syslog::MISSING)
            }
            Self::Journald => missing(Path::new(journal::JOURNALD), journal::MISSING),
            Self::Kafka => missing(&stranger::path(broker::PROGRAM), broker::MISSING),
        }
    }

    /// One that is down.
    pub fn receiver(self, lab: &Lab) -> Box<dyn Receiver + '_> {
        match self {
            Self::Webhook => Box::new(web::Web::new(lab, web::Way::Webhook)),
            Self::Elasticsearch => Box::new(web::Web::new(lab, web::Way::Elasticsearch)),
            Self::OtlpGrpc => Box::new(web::Web::new(lab, web::Way::OtlpGrpc)),
            Self::OtlpHttp => Box::new(web::Web::new(lab, web::Way::OtlpHttp)),
            Self::SyslogUnix => Box::new(syslog::Syslog::new(lab, syslog::Way::Unix)),
            Self::SyslogTcp => Box::new(syslog::Syslog::new(lab, syslog::Way::Tcp)),
            Self::SyslogTls => Box::new(syslog::Syslog::new(lab, syslog::Way::Tls)),
            Self::Journald => Box::new(journal::Journal::new(lab)),
            Self::Kafka => Box::new(kafka::Kafka::new(lab, Broker::known())),
        }
    }

    /// Whether the other side says what it has taken. Without, what is sent counts as delivered.
    pub fn answers(self) -> bool {
        match self {
            Self::Webhook | Self::Elasticsearch | Self::OtlpGrpc | Self::OtlpHttp | Self::Kafka => true,
            Self::SyslogUnix | Self::SyslogTcp | Self::SyslogTls | Self::Journald => false,
        }
    }
}

/// A process that is killed when dropped, and runs by fits and starts if wanted.
pub struct Process {
    child: Child,
    pauses: Option<Pauses>,
}

impl Process {
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { child: command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")), pauses: None }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it once it has stopped reading and its socket is full: whoever writes is waiting.
    pub fn kill_with_full_socket(mut self, socket: &Path) {
        self.pauses = None;
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGSTOP);
        let probe = UnixDatagram::unbound().expect("a socket");
        probe.connect(socket).expect("connect");
        wait_until("the socket is full", || {
            let mut ready = [PollFd::new(probe.as_fd(), PollFlags::POLLOUT)];
            poll(&mut ready, PollTimeout::ZERO).expect("look at the socket") == 0
        });
    }

    /// From now on it runs for a moment now and then, or all the time.
    pub fn pause(&mut self, now_and_then: bool) {
        self.pauses = None;
        self.pauses = now_and_then.then(|| Pauses::start(Pid::from_raw(self.child.id().cast_signed())));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // In the middle of a pause, without waking up.
        let _ = self.child.kill();
        self.pauses = None;
        let _ = self.child.wait();
    }
}

/// Lets a process run for a moment now and then, until dropped.
struct Pauses {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Pauses {
    fn start(process: Pid) -> Self {
        let (stop, stopped) = channel();
        let goes_on = move |time| stopped.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
        let thread = std::thread::spawn(move || {
            let mut more = true;
            while more {
                let _ = kill(process, Signal::SIGSTOP);
                more = goes_on(LATE);
                let _ = kill(process, Signal::SIGCONT);
                more = more && goes_on(AWAKE);
            }
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Pauses {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Sends away whoever comes by TCP.
struct Door {
    sent_away: Arc<AtomicU32>,
    _listener: Listener,
}

impl Door {
    fn close(lab: &Lab, port: u16) -> Self {
        let sent_away = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&sent_away);
        let listener = Listener::start(lab, port, None, move |stream| {
            drop(stream);
            count.fetch_add(1, Ordering::Relaxed);
        });
        Self { sent_away, _listener: listener }
    }

    fn has_refused(&self) -> bool {
        self.sent_away.load(Ordering::Relaxed) > 1
    }
}

/// Waits for a receiver or what it has to say.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + 2 * PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The identifier of an alert that has arrived whole.
pub fn whole(document: &str) -> String {
    id(&serde_json::from_str(document).unwrap_or_else(|error| panic!("{error} in {document}")))
}

fn id(document: &Value) -> String {
    let id = text(document, "event.id");
    assert!(!id.is_empty(), "no identifier in {document:#}");
    id.to_owned()
}
