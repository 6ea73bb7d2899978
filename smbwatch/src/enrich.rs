//! Who did it: processes by cookie and identifier, containers by cgroup, mounts by server, users by number.
//!
//! The only stage that reads files. What it reads at once is bounded and cached; what takes longer is a
//! [`Question`], whose answer it learns later.

pub mod host;
pub mod users;
pub mod redact;
pub mod process;
mod namespaces;
pub mod holders;
pub mod sockets;
pub mod taps;
pub mod mounts;
pub mod cgroup;
pub mod container;
pub mod who;
mod processes;
mod mounters;
pub mod questions;
pub mod threats;
pub mod geo;
pub mod files;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;

use crate::observation::{ConnectObservation, Owner, ProcessObservation};
use crate::probe::interfaces::Interface;
use crate::probe::roles::{Role, UPLINK, Watch};
use crate::runtime::Runtimes;
use cgroup::Cgroups;
use container::Place;
use mounters::Mounters;
use process::Process;
use processes::Processes;
use questions::{Answer, Holders, Question, Socket};
use who::{Method, SocketUser, Who};

/// Sockets whose processes are remembered.
const SOCKETS: NonZeroUsize = NonZeroUsize::new(1 << 13).expect("not zero");
/// How long an answer is believed about the holder of a tap interface, and about mounts.
const FRESH: Duration = Duration::from_secs(2);

/// What a connection's sightings say of who is behind it.
#[derive(Clone, Copy, Debug)]
pub struct Clue<'a> {
    /// Cookie of the socket.
    pub cookie: Option<u64>,
    /// Who opened it.
    pub owner: Option<&'a Owner>,
    /// Identifier of its cgroup v2.
    pub cgroup: Option<u64>,
    /// The user who owns it.
    pub uid: Option<u32>,
    /// Index of the interface nearest to the workload that saw the connection.
    pub interface: u32,
    /// The client's end there.
    pub source: SocketAddr,
    /// The server's end.
    pub destination: SocketAddr,
}

/// Finds out who is behind a connection.
pub struct Enricher {
    interfaces: HashMap<u32, Interfaced>,
    processes: Processes,
    sockets: LruCache<u64, Behind>,
    taps: HashMap<u32, (Instant, Holders)>,
    mounters: Mounters,
    cgroups: Cgroups,
    runtimes: Option<Runtimes>,
}

/// An interface that is watched.
struct Interfaced {
    name: String,
    watch: Watch,
    /// A virtual machine is behind it.
    is_tap: bool,
}

/// Who is behind a socket.
enum Behind {
    Opener(Opener),
    Holders(Holders),
    /// Of the kernel's own: it is said once, because what is mounted may change before the connection ends.
    Mounted(Who),
}

/// Who opened a socket.
#[derive(Clone)]
struct Opener {
    process: Arc<Process>,
    /// Cookie of the network namespace.
    netns: u64,
    /// When that was learned.
    since: Instant,
}

impl Enricher {
    /// Knows no process yet.
    pub fn new(runtimes: Option<Runtimes>) -> Self {
        Self {
            interfaces: HashMap::new(),
            processes: Processes::new(),
            sockets: LruCache::new(SOCKETS),
            taps: HashMap::new(),
            mounters: Mounters::new(),
            cgroups: Cgroups::open(),
            runtimes,
        }
    }

    /// Takes other runtimes.
    pub fn adapt(&mut self, runtimes: Option<Runtimes>) {
        self.runtimes = runtimes;
    }

    /// Learns an interface's name, and how it is watched.
    pub fn interface(&mut self, interface: &Interface, watch: Watch) {
        let is_tap = watch.role == Role::Workload && interface.is_tap();
        let known = Interfaced { name: interface.name.clone(), watch, is_tap };
        self.interfaces.insert(interface.index, known);
    }

    /// Forgets an interface that is watched no more.
    pub fn forget_interface(&mut self, index: u32) {
        self.interfaces.remove(&index);
        self.taps.remove(&index);
    }

    /// How an interface is watched; the records of one that is gone may still come.
    pub fn watch(&self, index: u32) -> Watch {
        self.interfaces.get(&index).map_or(UPLINK, |known| known.watch)
    }

    /// Name of an interface, or its index where the name is not known.
    pub fn interface_name(&self, index: u32) -> String {
        self.interfaces.get(&index).map_or_else(|| index.to_string(), |known| known.name.clone())
    }

    /// Learns what a process runs.
    pub fn running(&mut self, image: ProcessObservation) {
        self.processes.running(image);
    }

    /// Looks at a process that is about to connect, while it still lives; what is worth asking for already.
    pub fn connecting(&mut self, connect: &ConnectObservation, now: Instant) -> Option<Question> {
        let process = self.processes.of(&connect.owner, &mut self.cgroups);
        self.mounters.connecting(connect.owner.netns, connect.destination, &process);
        let question = self.container_question(&place(process.cgroup.as_deref()));
        let opener = Opener { process, netns: connect.owner.netns, since: now };
        self.sockets.put(connect.cookie, Behind::Opener(opener));
        question
    }

    /// Learns an answer.
    pub fn learn(&mut self, answer: Answer, now: Instant) {
        match answer {
            Answer::Sockets(held) => {
                for (cookie, holders) in held {
                    // What the hook saw is better.
                    self.sockets.get_or_insert(cookie, || Behind::Holders(holders));
                }
            }
            Answer::Tap { index, holders } => {
                if self.interfaces.contains_key(&index) {
                    self.taps.insert(index, (now, holders));
                }
            }
            Answer::Mounts { server, mounts } => self.mounters.learn(server, mounts, now),
            Answer::Container => {}
        }
    }

    /// Says who is behind a connection, and what else would be worth asking for.
    pub fn who(&mut self, clue: &Clue<'_>, now: Instant) -> (Who, Vec<Question>) {
        let mut questions = Vec::new();
        let mut who = self.process(clue, now, &mut questions);
        let path = match who.process.as_deref() {
            Some(process) => process.cgroup.clone(),
            None => clue.cgroup.and_then(|id| self.cgroups.path(id)),
        };
        who.place = place(path.as_deref());
        who.cgroup = path.filter(|path| path.as_ref() != "/");
        questions.extend(self.container_question(&who.place));
        let container = who.place.container.as_ref();
        who.container =
            container.and_then(|container| self.runtimes.as_ref().and_then(|all| all.known(&container.id)));
        if who.process.is_none() {
            who.user = clue.uid.map(|id| SocketUser { id, name: self.processes.users.name(id) });
            if who.method == Method::None && who.cgroup.is_some() {
                who.method = Method::CgroupOnly;
            }
        }
        (who, questions)
    }

    /// The process, or those it could be, and what is mounted over the connection.
    fn process(&mut self, clue: &Clue<'_>, now: Instant, questions: &mut Vec<Question>) -> Who {
        if let Some(Behind::Mounted(who)) = clue.cookie.and_then(|cookie| self.sockets.get(&cookie)) {
            return who.clone();
        }
        if let Some(opener) = self.opener(clue, now) {
            return self.opened(&opener, clue, now, questions);
        }
        let interface = self.interfaces.get(&clue.interface);
        if let Some(tap) = interface.filter(|known| known.is_tap) {
            let known = self.taps.get(&clue.interface);
            if known.is_none_or(|(learned, _)| now.duration_since(*learned) > FRESH) {
                questions.push(Question::Tap { index: clue.interface, name: tap.name.clone() });
            }
            return known.map(|(_, holders)| among(holders)).unwrap_or_default();
        }
        let Some(cookie) = clue.cookie else { return Who::default() };
        let Some(Behind::Holders(holders)) = self.sockets.get(&cookie) else {
            let (local, remote) = (clue.source, clue.destination);
            questions.push(Question::Socket(Socket { cookie, local, remote }));
            return Who::default();
        };
        let who = among(holders);
        if !holders.kernel {
            return who;
        }
        let (mounted, learned) = self.mounters.mounted(clue.destination);
        let method = if mounted.is_empty() { Method::None } else { Method::SocketDiag };
        let who = Who { method, mounts: mounted.to_vec(), ..who };
        self.say_once(
            who,
            clue,
            learned.is_some_and(|learned| now.duration_since(learned) <= FRESH),
            questions,
        )
    }

    /// Keeps what is said of the kernel's own connection, once it `is_sure`; else it asks what is mounted.
    fn say_once(&mut self, who: Who, clue: &Clue<'_>, is_sure: bool, questions: &mut Vec<Question>) -> Who {
        if !is_sure {
            questions.push(Question::Mounts(clue.destination));
        } else if let Some(cookie) = clue.cookie {
            self.sockets.put(cookie, Behind::Mounted(who.clone()));
        }
        who
    }

    /// Who opened the socket.
    fn opener(&mut self, clue: &Clue<'_>, now: Instant) -> Option<Opener> {
        if let Some(Behind::Opener(opener)) = clue.cookie.and_then(|cookie| self.sockets.get(&cookie)) {
            return Some(opener.clone());
        }
        let owner = clue.owner?;
        let process = self.processes.of(owner, &mut self.cgroups);
        let opener = Opener { process, netns: owner.netns, since: now };
        if let Some(cookie) = clue.cookie {
            self.sockets.put(cookie, Behind::Opener(opener.clone()));
        }
        Some(opener)
    }

    fn opened(
        &mut self,
        opener: &Opener,
        clue: &Clue<'_>,
        now: Instant,
        questions: &mut Vec<Question>,
    ) -> Who {
        let Opener { process, netns, since } = opener;
        let server = clue.destination;
        let owner = Who { method: Method::Owner, process: Some(Arc::clone(process)), ..Who::default() };
        if !process.kernel {
            // No connect is told to a port that is not watched.
            self.mounters.connecting(*netns, server.ip(), process);
            return Who { mounts: mounters::mount(process).into_iter().collect(), ..owner };
        }
        let (mounted, learned) = self.mounters.mounted(server);
        let mut mounts = mounted.to_vec();
        let is_sure =
            learned.is_some_and(|learned| learned >= *since && now.duration_since(learned) <= FRESH);
        let mut mounters = self.mounters.of(*netns, server);
        if mounts.is_empty() {
            mounts = mounters.iter().map(|mounter| mounter.mount.clone()).collect();
        }
        let who = match (mounters.pop(), mounters.is_empty()) {
            (None, _) => Who { mounts, ..owner },
            (Some(only), true) => {
                Who { method: Method::Inherited, process: Some(only.process), mounts, ..Who::default() }
            }
            (Some(last), false) => {
                let candidates = mounters.into_iter().chain([last]).map(|mounter| mounter.process).collect();
                Who { method: Method::Inherited, candidates, mounts, ..Who::default() }
            }
        };
        self.say_once(who, clue, is_sure, questions)
    }

    /// What a runtime could still say of the container of a place.
    fn container_question(&self, place: &Place) -> Option<Question> {
        let id = &place.container.as_ref()?.id;
        let runtimes = self.runtimes.as_ref()?;
        runtimes.known(id).is_none().then(|| Question::Container(id.clone()))
    }
}

/// The one that holds it; of several, none.
fn among(holders: &Holders) -> Who {
    let method = holders.method;
    match holders.processes.as_slice() {
        [] => Who::default(),
        [only] if !holders.cut => Who { method, process: Some(Arc::clone(only)), ..Who::default() },
        several => Who { method, candidates: several.to_vec(), ..Who::default() },
    }
}

fn place(path: Option<&str>) -> Place {
    path.map(Place::of).unwrap_or_default()
}
