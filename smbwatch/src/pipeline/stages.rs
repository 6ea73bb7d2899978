//! The stages between a record and its alert, and what they have counted.

mod telling;

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::alert::Alerter;
use crate::config::Config;
use crate::converse::Conversations;
use crate::correlate::{Correlator, Key};
use crate::decode::{Clock, decode};
use crate::enrich::Enricher;
use crate::enrich::files::{Files, Follower, Fresh};
use crate::enrich::host::Host;
use crate::enrich::who::Origin;
use crate::except::Exceptions;
use crate::judge::judge;
use crate::metrics::snapshot::{Reloads, Snapshot};
use crate::metrics::{Account, Summary};
use crate::novelty::Memory;
use crate::observation::{FlowObservation, Observation, PayloadObservation};
use crate::pipeline::hold::Hold;
use crate::pipeline::inquiry::Inquiry;
use crate::pipeline::programs::Programs;
use crate::probe::Counters;
use crate::probe::interfaces::Interface;
use crate::probe::roles::UPLINK;
use crate::runtime::Runtimes;
use crate::scan::{Part, Scans};
use crate::sink::{Closing, Outlet, Running};
use crate::smb::Options;
use crate::suppress::{Since, Suppressed, Suppressor};
pub(super) use telling::ANSWERS;
use telling::{News, Waiting};

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
    pub(super) exceptions: Exceptions,
    scans: Scans,
    suppressor: Suppressor,
    hold: Hold<Waiting>,
    waited: u64,
    inquiry: Inquiry,
    alerter: Alerter,
    pub(super) outlet: Outlet,
    /// Sinks that another configuration no longer names.
    /// What the wall clock shows, where that is not the time: in a replay.
    clock: Option<Timestamp>,
    account: Account,
    untold: Untold,
    /// Since when the configuration holds, if not from the beginning.
    adapted: Option<Timestamp>,
    /// Where the sighting at hand comes from, if not from here.
    origin: Option<Origin>,
}

/// What the next alert has to say of records that made none.
#[derive(Default)]
struct Untold {
    suppressed: u64,
    lost: u64,
}

/// How much the stages remember.
struct Capacities {
    connections: NonZeroUsize,
    /// Bytes of each side of a dialogue.
    dialogue: usize,
    files: Options,
}

impl Capacities {
    fn of(config: &Config) -> Self {
        Self {
            connections: NonZeroUsize::new(config.flows as usize).unwrap_or(NonZeroUsize::MIN),
            dialogue: config.payload_bytes as usize,
            files: Options { files: config.file_names },
        }
    }
}

impl Stages {
    pub(super) fn new(config: Config, outlet: Outlet, runtimes: Option<Runtimes>, inquiry: Inquiry) -> Self {
        let Capacities { connections, dialogue, files } = Capacities::of(&config);
        Self {
            enricher: Enricher::new(runtimes),
            files: Files::default(),
            memory: None,
            correlator: Correlator::new(connections, config.incident_window),
            conversations: Conversations::new(dialogue, files),
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
            adapted: None,
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

    /// Works by another configuration from now on.
    pub(super) fn adapt(&mut self, config: Config, sinks: Vec<Running>) {
        let Capacities { connections, dialogue, files } = Capacities::of(&config);
        self.correlator.adapt(connections, config.incident_window);
        self.conversations.adapt(dialogue, files);
        self.exceptions.adapt(&config.exceptions);
        self.scans.adapt(config.scan);
        self.suppressor.adapt(config.alerts_per_second, config.incident_window);
        self.alerter.adapt(&config);
        self.account.expect(config.severity);
        self.files.keep(&config);
        if config.runtimes != self.config.runtimes {
            let runtimes = Runtimes::of(&config.runtimes);
            self.inquiry.adapt(runtimes.clone());
            self.enricher.adapt(runtimes);
        }
        if config.state != self.config.state {
            // The old one lets go of its file before the new one takes it.
            self.memory = None;
            self.memory = Memory::open(&config.state);
        }
        self.outlet.adapt(&config.sinks, sinks);
        self.adapted = Some(Timestamp::now());
        self.config = config;
    }

    /// Takes what was read anew.
    pub(super) fn refresh(&mut self, fresh: Fresh) {
        self.exceptions.refresh(&fresh);
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
        let source = connection.nearest().source.ip();
        // The programs still follow a flow that another configuration would not have let them begin with.
        let is_older = self.adapted.is_some_and(|adapted| sighting.started < adapted);
        is_older && !self.config.watches(source, sighting.destination)
            || !self.exceptions.is_empty()
                && self.exceptions.covers(source, sighting.destination, sighting.time)
    }

    /// Says which exceptions have expired.
    pub(super) fn expire_exceptions(&mut self) {
        self.exceptions.expire(Timestamp::now());
    }

    /// Whether anyone needs that now and then.
    pub(super) fn has_exceptions(&self) -> bool {
        !self.exceptions.is_empty()
    }

    /// Opens files again.
    pub(super) fn reopen(&self) {
        self.outlet.reopen();
    }

    /// What may be asked for at any time. The programs are asked last, so that they have counted all that was
    /// taken from them.
    pub(super) fn snapshot(&self, programs: &Programs, reloads: Reloads) -> anyhow::Result<Snapshot> {
        let held = self.hold.iter().map(|waiting| waiting.news.len() as u64).sum();
        Ok(Snapshot {
            account: self.account.clone(),
            held,
            states: self.correlator.states(),
            interfaces: programs.watcher.interfaces(),
            questions: self.inquiry.questions(),
            sinks: self.outlet.counts(),
            flows: self.config.flows,
            ring_bytes: self.config.ring_bytes,
            reloads,
            programs: programs.probe.runs(),
            kernel: programs.counters()?,
        })
    }

    /// The account so far, beside what the programs have counted.
    pub(crate) fn account(&self, kernel: Counters) -> Summary {
        let exceptions = self.exceptions.hits().map(|(hits, reason)| (hits, reason.to_owned())).collect();
        Summary { kernel, account: self.account.clone(), exceptions, sinks: Vec::new() }
    }

    /// Tells what still waits, waits for the sinks, and adds up.
    pub(super) async fn close(mut self, kernel: Counters) -> anyhow::Result<Summary> {
        let now = Instant::now();
        for waiting in self.hold.drain() {
            self.tell(&waiting, now);
        }
        let account = self.account(kernel);
        let closing = self.outlet.close();
        let deadline = tokio::time::Instant::now() + CLOSE;
        while !closing.iter().all(Closing::is_finished) && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let sinks = closing.into_iter().map(|sink| {
            let counts = sink.counts();
            (sink.name, counts)
        });
        Ok(Summary { sinks: sinks.collect(), ..account })
    }
}
