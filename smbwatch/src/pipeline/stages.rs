//! The stages between a record and its alert, and what they have counted.

use std::num::{NonZeroU64, NonZeroUsize};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::alert::{Alerter, Finding, Seen};
use crate::config::Config;
use crate::converse::Conversations;
use crate::correlate::{Attempt, Connection, Correlator, Key};
use crate::decode::{Clock, decode};
use crate::enrich::files::{Files, Follower, Fresh};
use crate::enrich::host::Host;
use crate::enrich::questions::{Answer, Question};
use crate::enrich::who::Origin;
use crate::enrich::{Clue, Enricher};
use crate::except::Exceptions;
use crate::judge::{Judgement, judge};
use crate::metrics::snapshot::{Interfaces, Snapshot};
use crate::metrics::{Account, Summary};
use crate::novelty::Memory;
use crate::observation::{FlowObservation, Observation, PayloadObservation};
use crate::pipeline::hold::Hold;
use crate::pipeline::inquiry::Inquiry;
use crate::probe::interfaces::Interface;
use crate::probe::roles::{Role, UPLINK};
use crate::probe::{Counters, Probe};
use crate::runtime::Runtimes;
use crate::scan::{Part, Scan, Scans};
use crate::sink::{self, Outlet, Running};
use crate::smb::Options;
use crate::suppress::{Since, Suppressed, Suppressor};

/// How long an alert of a workload waits to be seen at the uplink, where NAT has given it another address.
const TRANSLATION: Duration = Duration::from_millis(1);
/// How long an alert waits for answers about who is behind it.
pub(super) const ANSWERS: Duration = Duration::from_secs(1);
/// How long sinks may take to empty their queues at the end.
const CLOSE: Duration = Duration::from_secs(2);

/// The stages between a record and its alert.
pub(crate) struct Stages {
    pub(super) config: Config,
    pub(super) enricher: Enricher,
    files: Files,
    /// What was seen before; none in a replay.
    pub(super) memory: Option<Memory>,
    correlator: Correlator,
    conversations: Conversations,
    exceptions: Exceptions,
    scans: Scans,
    suppressor: Suppressor,
    hold: Hold<Waiting>,
    waited: u64,
    inquiry: Inquiry,
    alerter: Alerter,
    outlet: Outlet,
    /// What the wall clock shows, where that is not the time: in a replay.
    clock: Option<Timestamp>,
    account: Account,
    untold: Untold,
    /// Where the sighting at hand comes from, if not from here.
    origin: Option<Origin>,
}

/// What is to be told of a connection, and may lack something.
struct Waiting {
    connection: Key,
    news: Vec<News>,
    /// What is known of the connection, should it be forgotten while this waits.
    known: Connection,
    /// Until when it waits to be seen at the uplink.
    left_by: Instant,
    /// Until when it waits for answers.
    answered_by: Instant,
    /// What was asked for it.
    asked: Vec<Question>,
    /// Its place among all that waited.
    number: u64,
}

/// What is to be told.
struct News {
    sighting: Box<FlowObservation>,
    judgement: Judgement,
    attempts: Vec<Attempt>,
    since: Since,
    /// The scan that it is told for.
    scan: Option<Scan>,
    /// Where it comes from, if not from here.
    origin: Option<Origin>,
}

impl Waiting {
    fn has_left(&self, correlator: &Correlator) -> bool {
        correlator.peek(self.connection).is_none_or(Connection::has_left)
    }

    fn is_asking(&self, inquiry: &Inquiry) -> bool {
        self.asked.iter().any(|question| inquiry.is_open(question))
    }
}

/// What the next alert has to say of records that made none.
#[derive(Default)]
struct Untold {
    suppressed: u64,
    lost: u64,
}

impl Stages {
    pub(super) fn new(config: Config, outlet: Outlet, runtimes: Option<Runtimes>, inquiry: Inquiry) -> Self {
        let capacity = NonZeroUsize::new(config.flows as usize).unwrap_or(NonZeroUsize::MIN);
        Self {
            enricher: Enricher::new(runtimes),
            files: Files::default(),
            memory: None,
            correlator: Correlator::new(capacity, config.incident_window),
            conversations: Conversations::new(
                config.payload_bytes as usize,
                Options { files: config.file_names },
            ),
            exceptions: Exceptions::new(&config.exceptions),
            scans: Scans::new(config.scan),
            suppressor: Suppressor::new(config.alerts_per_second, config.incident_window),
            hold: Hold::new(),
            waited: 0,
            inquiry,
            alerter: Alerter::new(Host::look(), &config, Timestamp::now()),
            outlet,
            clock: None,
            account: Account::new(config.severity),
            untold: Untold::default(),
            origin: None,
            config,
        }
    }

    /// Stages for a replay, which asks nobody and writes to one place.
    pub(crate) fn for_replay(config: Config, outlet: Outlet) -> Self {
        let files = Follower::of(&config).look();
        let mut stages = Self::new(config, outlet, None, Inquiry::closed());
        files.into_iter().for_each(|fresh| stages.refresh(fresh));
        stages
    }

    /// Takes what was read anew.
    pub(super) fn refresh(&mut self, fresh: Fresh) {
        if let Fresh::Destinations(path, prefixes) = &fresh {
            self.exceptions.learn(path, prefixes);
        }
        self.files.learn(fresh);
    }

    /// Begins a replay at the time of its first packet.
    pub(crate) fn begin_replay(&mut self, start: Timestamp) {
        self.enricher.interface(&Interface::of_capture(), UPLINK);
        self.alerter = Alerter::new(Host::of_replay(), &self.config, start);
    }

    /// Sets the time of a replay.
    pub(crate) const fn set_clock(&mut self, time: Timestamp) {
        self.clock = Some(time);
    }

    /// Takes one record through all stages. After the last one of a batch, what it completes is to be released.
    pub(super) fn take(&mut self, record: &[u8], clock: Clock, now: Instant) {
        self.account.taken.count(record);
        match decode(record, clock) {
            Ok(observation) => self.observe(observation, now),
            Err(error) => {
                self.account.undecoded.count(record);
                tracing::error!("record not understood: {error}");
            }
        }
    }

    /// Takes one observation through all stages.
    pub(crate) fn observe(&mut self, observation: Observation, now: Instant) {
        match observation {
            Observation::Flow(sighting) => self.flow(sighting, now),
            Observation::Process(process) => self.enricher.running(process),
            Observation::Connect(connect) => {
                if let Some(question) = self.enricher.connecting(&connect, now) {
                    self.inquiry.ask(&question, now);
                }
            }
            Observation::Payload(payload) => self.payload(&payload, now),
        }
    }

    /// Takes what another tool saw through all stages.
    pub(crate) fn observe_of(&mut self, sighting: Box<FlowObservation>, origin: Origin, now: Instant) {
        self.origin = Some(origin);
        self.flow(sighting, now);
        self.origin = None;
    }

    fn flow(&mut self, sighting: Box<FlowObservation>, now: Instant) {
        self.untold.lost += u64::from(sighting.lost);
        if self.config.nat_addresses.contains(&sighting.source.ip()) && !self.correlator.knows(&sighting) {
            self.account.own += 1;
            return;
        }
        let watch = self.enricher.watch(sighting.interface);
        let key = self.correlator.join(&sighting, watch.role);
        self.conversations.saw(key, &sighting);
        self.changed(key, sighting, now);
    }

    /// Adds what was said to its connection, whose grade may rise with it.
    fn payload(&mut self, payload: &PayloadObservation, now: Instant) {
        let watch = self.enricher.watch(payload.interface);
        let Some(key) = self.correlator.find(payload, watch.role) else { return };
        if !self.conversations.heard(key, payload) {
            return;
        }
        let Some((latest, dialogue)) = self.conversations.of(key) else { return };
        let judgement = judge(latest, Some(dialogue), self.config.severity);
        let judged = self.correlator.peek(key).and_then(|connection| connection.judged);
        if judged.is_none_or(|judged| judged.grade < judgement.grade) {
            self.account.rises += 1;
            let sent = latest.sent.max(payload.reaches().unwrap_or(0));
            let sighting = FlowObservation { time: payload.time, lost: 0, sent, ..latest.clone() };
            self.changed(key, Box::new(sighting), now);
        }
    }

    /// Tells, if it is worth telling, that a connection has changed.
    fn changed(&mut self, key: Key, sighting: Box<FlowObservation>, now: Instant) {
        if self.is_excepted(key, &sighting) {
            self.account.excepted += 1;
            return;
        }
        let judgement = judge(&sighting, self.conversations.dialogue(key), self.config.severity);
        let attempts = self.correlator.attempts(key, &sighting, judgement);
        let Some(connection) = self.correlator.connection(key) else { return };
        let verdict = match self.scans.part(connection, &judgement, &sighting) {
            Part::None => {
                self.suppressor.suppress(connection, &judgement, &sighting).map(|since| (since, None))
            }
            Part::Counted => Err(Suppressed::Scan),
            Part::Told(scan) => Ok((Since::default(), Some(scan))),
        };
        match verdict {
            Ok((since, scan)) => {
                let origin = self.origin.clone();
                self.tell_or_hold(key, News { sighting, judgement, attempts, since, scan, origin }, now);
            }
            Err(reason) => {
                self.untold.suppressed += 1;
                *match reason {
                    Suppressed::Repeat => &mut self.account.repeated,
                    Suppressed::Elsewhere => &mut self.account.elsewhere,
                    Suppressed::Scan => &mut self.account.scanned,
                    Suppressed::Flood => &mut self.account.flooded,
                } += 1;
            }
        }
    }

    /// Whether an exception covers a connection, whoever makes it.
    fn is_excepted(&mut self, key: Key, sighting: &FlowObservation) -> bool {
        let Some(connection) = self.correlator.peek(key) else { return false };
        !self.exceptions.is_empty()
            && self.exceptions.covers(connection.nearest().source.ip(), sighting.destination, sighting.time)
    }

    /// Says which exceptions have expired.
    pub(super) fn expire_exceptions(&mut self) {
        self.exceptions.expire(Timestamp::now());
    }

    /// Whether anyone needs that now and then.
    pub(super) fn has_exceptions(&self) -> bool {
        !self.exceptions.is_empty()
    }

    /// Tells what is new of a connection, after all that waits to be told of it.
    fn tell_or_hold(&mut self, key: Key, news: News, now: Instant) {
        let Some(known) = self.correlator.peek(key).cloned() else { return };
        if let Some(waiting) = self.hold.find(|waiting| waiting.connection == key) {
            waiting.news.push(news);
            waiting.known = known;
            return;
        }
        let of_workload = self.enricher.watch(news.sighting.interface).role == Role::Workload;
        let left_by = if of_workload { now + TRANSLATION } else { now };
        let (answered_by, asked) = (now + ANSWERS, Vec::new());
        self.waited += 1;
        let number = self.waited;
        let news = vec![news];
        let waiting = Waiting { connection: key, news, known, left_by, answered_by, asked, number };
        self.tell_or_wait(waiting, now);
    }

    fn tell_or_wait(&mut self, mut waiting: Waiting, now: Instant) {
        self.ask(&mut waiting, now);
        let until = if now < waiting.left_by && !waiting.has_left(&self.correlator) {
            waiting.left_by
        } else if waiting.is_asking(&self.inquiry) && now < waiting.answered_by {
            waiting.answered_by
        } else {
            return self.tell(&waiting, now);
        };
        if let Some(oldest) = self.hold.put(waiting, until) {
            self.tell(&oldest, now);
        }
    }

    /// Asks, once, for each thing that is missing.
    fn ask(&mut self, waiting: &mut Waiting, now: Instant) {
        let connection = self.correlator.peek(waiting.connection).unwrap_or(&waiting.known);
        for news in &waiting.news {
            let (_, questions) = self.enricher.who(&clue(connection, &news.sighting), now);
            for question in questions {
                if !waiting.asked.contains(&question) && self.inquiry.ask(&question, now) {
                    waiting.asked.push(question);
                }
            }
        }
    }

    /// Asks what is best asked at once.
    pub(super) fn begin(&mut self) {
        self.inquiry.ask(&Question::Connections, Instant::now());
    }

    /// Learns an answer, and tells what has waited for it.
    pub(super) fn learn(&mut self, question: &Question, answer: Option<Answer>, now: Instant) {
        self.inquiry.answered(question, now);
        if let Some(answer) = answer {
            self.enricher.learn(answer, now);
        }
        self.release(now);
    }

    /// When something that waits may wait no longer.
    pub(super) fn next_release(&self) -> Option<Instant> {
        self.hold.next()
    }

    /// Tells what has waited long enough, or lacks nothing any more.
    pub(crate) fn release(&mut self, now: Instant) {
        if self.hold.is_empty() {
            return;
        }
        let Self { hold, correlator, inquiry, .. } = self;
        let is_ready = |waiting: &Waiting| {
            let has_left = now >= waiting.left_by || waiting.has_left(correlator);
            has_left && !waiting.is_asking(inquiry)
        };
        let mut ready = hold.take(now, is_ready);
        // What has waited for two things stands behind what came after it.
        ready.sort_by_key(|waiting| waiting.number);
        for waiting in ready {
            self.tell_or_wait(waiting, now);
        }
    }

    /// Opens files again.
    pub(super) fn reopen(&self) {
        self.outlet.reopen();
    }

    fn tell(&mut self, waiting: &Waiting, now: Instant) {
        let connection = self.correlator.peek(waiting.connection).unwrap_or(&waiting.known);
        let seen: Vec<Seen> = connection
            .places()
            .map(|place| Seen {
                index: place.interface,
                interface: self.enricher.interface_name(place.interface),
                direction: self.enricher.watch(place.interface).direction,
                source: place.source,
            })
            .collect();
        for news in &waiting.news {
            let sighting = &news.sighting;
            let who = match &news.origin {
                Some(origin) => origin.who.clone(),
                None => self.enricher.who(&clue(connection, sighting), now).0,
            };
            let source = connection.nearest().source;
            let excepts = &mut self.exceptions;
            if excepts.covers_workload(&who, source.ip(), sighting.destination, sighting.time) {
                self.account.excepted += 1;
                continue;
            }
            let incident = news.scan.as_ref().map_or(connection.incident, |scan| scan.incident);
            let novelty = self.memory.as_mut().map(|memory| {
                memory.saw(&who, source.ip(), sighting.destination.ip(), incident, sighting.time)
            });
            let finding = Finding {
                sighting,
                judgement: news.judgement,
                incident,
                source,
                translated: connection.translated(),
                seen: &seen,
                attempts: &news.attempts,
                since: news.since,
                scan: news.scan.as_ref(),
                dialogue: self.conversations.dialogue(waiting.connection),
                who: &who,
                novelty,
                peer: &self.files.about(sighting.destination.ip(), sighting.time),
                origin: news.origin.as_ref(),
                suppressed: self.untold.suppressed,
                lost: self.untold.lost,
            };
            self.untold = Untold::default();
            let document = self.alerter.alert(&finding, self.clock.unwrap_or_else(Timestamp::now));
            self.outlet.send(document);
            let Judgement { grade, severity, .. } = news.judgement;
            *self.account.alerts.entry((grade, severity)).or_default() += 1;
        }
    }

    /// What may be asked for at any time. The programs are asked last, so that they have counted all that was
    /// taken from them.
    pub(super) fn snapshot(&self, probe: &Probe, interfaces: Interfaces) -> anyhow::Result<Snapshot> {
        let held = self.hold.iter().map(|waiting| waiting.news.len() as u64).sum();
        Ok(Snapshot {
            account: self.account.clone(),
            held,
            interfaces,
            questions: self.inquiry.questions(),
            sinks: self.outlet.counts(),
            flows: self.config.flows,
            ring_bytes: self.config.ring_bytes,
            programs: probe.runs(),
            kernel: probe.counters()?,
        })
    }

    /// The account so far, beside what the programs have counted.
    pub(crate) fn account(&self, kernel: Counters) -> Summary {
        let exceptions = self.exceptions.hits().map(|(hits, reason)| (hits, reason.to_owned())).collect();
        Summary { kernel, account: self.account.clone(), exceptions, sinks: Vec::new() }
    }

    /// Tells what still waits, waits for the sinks, and adds up.
    pub(super) async fn close(mut self, probe: &Probe) -> anyhow::Result<Summary> {
        let now = Instant::now();
        for waiting in self.hold.drain() {
            self.tell(&waiting, now);
        }
        let account = self.account(probe.counters()?);
        let Outlet::Sinks(sinks) = self.outlet else { anyhow::bail!("alerts go to one place only") };
        let closing: Vec<_> = sinks.into_iter().map(Running::close).collect();
        let deadline = tokio::time::Instant::now() + CLOSE;
        while !closing.iter().all(sink::Closing::is_finished) && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let sinks = closing.into_iter().map(|sink| {
            let counts = sink.counts();
            (sink.name, counts)
        });
        Ok(Summary { sinks: sinks.collect(), ..account })
    }
}

/// What a connection and one of its sightings say of who is behind it.
fn clue<'a>(connection: &Connection, sighting: &'a FlowObservation) -> Clue<'a> {
    let nearest = connection.nearest();
    Clue {
        cookie: sighting.cookie.or(nearest.cookie.map(NonZeroU64::get)),
        owner: sighting.owner.as_ref(),
        cgroup: sighting.cgroup,
        uid: sighting.uid,
        interface: nearest.interface,
        source: nearest.source,
        destination: sighting.destination,
    }
}
