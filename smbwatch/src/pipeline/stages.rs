//! The stages between a record and its alert, and what they have counted.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::alert::{Alerter, Finding, Seen};
use crate::config::Config;
use crate::correlate::{Attempt, Connection, Correlator, Key};
use crate::decode::{Clock, decode};
use crate::enrich::Enricher;
use crate::enrich::host::Host;
use crate::judge::{Judgement, judge};
use crate::metrics::{Account, Summary};
use crate::observation::{FlowObservation, Observation};
use crate::pipeline::hold::Hold;
use crate::probe::Probe;
use crate::probe::roles::Role;
use crate::sink::{self, Running};
use crate::suppress::{Suppressed, Suppressor};

/// How long an alert of a workload waits to be seen at the uplink, where NAT has given it another address.
const TRANSLATION: Duration = Duration::from_millis(1);
/// How long sinks may take to empty their queues at the end.
const CLOSE: Duration = Duration::from_secs(2);

pub(super) struct Stages {
    pub(super) config: Config,
    pub(super) enricher: Enricher,
    correlator: Correlator,
    suppressor: Suppressor,
    hold: Hold<News>,
    alerter: Alerter,
    sinks: Vec<Running>,
    account: Account,
    untold: Untold,
}

/// What is to be told.
struct News {
    connection: Key,
    sighting: Box<FlowObservation>,
    judgement: Judgement,
    attempts: Vec<Attempt>,
    /// What is known of the connection, should it be forgotten while this waits.
    known: Connection,
}

/// What the next alert has to say of records that made none.
#[derive(Default)]
struct Untold {
    suppressed: u64,
    lost: u64,
}

impl Stages {
    pub(super) fn new(config: Config, sinks: Vec<Running>) -> Self {
        let capacity = NonZeroUsize::new(config.flows as usize).unwrap_or(NonZeroUsize::MIN);
        Self {
            enricher: Enricher::new(),
            correlator: Correlator::new(capacity),
            suppressor: Suppressor::new(config.alerts_per_second),
            hold: Hold::new(),
            alerter: Alerter::new(Host::look(), config.profile, Timestamp::now()),
            sinks,
            account: Account::default(),
            untold: Untold::default(),
            config,
        }
    }

    /// Takes one record through all stages. After the last one of a batch, what it completes is to be released.
    pub(super) fn take(&mut self, record: &[u8], clock: Clock, now: Instant) {
        match decode(record, clock) {
            Ok(Observation::Flow(sighting)) => self.flow(sighting, now),
            Ok(Observation::Process(process)) => self.enricher.running(process),
            Ok(Observation::Connect(connect)) => self.enricher.connecting(&connect),
            Err(error) => {
                self.account.undecoded += 1;
                log::error!("record not understood: {error}");
            }
        }
    }

    fn flow(&mut self, sighting: Box<FlowObservation>, now: Instant) {
        self.untold.lost += u64::from(sighting.lost);
        let judgement = judge(&sighting, self.config.severity);
        let watch = self.enricher.watch(sighting.interface);
        let key = self.correlator.join(&sighting, watch.role);
        let attempts = self.correlator.attempts(key, &sighting, judgement);
        let Some(connection) = self.correlator.connection(key) else { return };
        match self.suppressor.suppress(connection, &judgement, &sighting) {
            Some(reason) => {
                self.untold.suppressed += 1;
                *match reason {
                    Suppressed::Repeat => &mut self.account.repeated,
                    Suppressed::Elsewhere => &mut self.account.elsewhere,
                    Suppressed::Flood => &mut self.account.flooded,
                } += 1;
            }
            None => {
                let waits = watch.role == Role::Workload && !connection.has_left();
                let known = connection.clone();
                // What was held about this connection came before.
                for earlier in self.hold.take(now, |news| news.connection == key) {
                    self.tell(&earlier);
                }
                let news = News { connection: key, sighting, judgement, attempts, known };
                let ready = if waits { self.hold.put(news, now + TRANSLATION) } else { Some(news) };
                ready.iter().for_each(|news| self.tell(news));
            }
        }
    }

    /// When something that waits may wait no longer.
    pub(super) fn next_release(&self) -> Option<Instant> {
        self.hold.next()
    }

    /// Tells what has waited long enough, or lacks nothing any more.
    pub(super) fn release(&mut self, now: Instant) {
        if self.hold.is_empty() {
            return;
        }
        let has_left = |news: &News| self.correlator.peek(news.connection).is_none_or(Connection::has_left);
        for news in self.hold.take(now, has_left) {
            self.tell(&news);
        }
    }

    /// Opens files again.
    pub(super) fn reopen(&self) {
        self.sinks.iter().for_each(Running::reopen);
    }

    fn tell(&mut self, news: &News) {
        let sighting = &news.sighting;
        let connection = self.correlator.peek(news.connection).unwrap_or(&news.known);
        let seen = connection.places().map(|place| Seen {
            index: place.interface,
            interface: self.enricher.interface_name(place.interface),
            direction: self.enricher.watch(place.interface).direction,
            source: place.source,
        });
        let finding = Finding {
            sighting,
            judgement: news.judgement,
            incident: connection.incident,
            source: connection.nearest().source,
            translated: connection.translated(),
            seen: seen.collect(),
            attempts: &news.attempts,
            who: self.enricher.who(sighting),
            suppressed: self.untold.suppressed,
            lost: self.untold.lost,
        };
        self.untold = Untold::default();
        let document = Arc::new(self.alerter.alert(&finding, Timestamp::now()));
        self.sinks.iter().for_each(|sink| sink.send(&document));
        self.account.alerted += 1;
    }

    /// Tells what still waits, waits for the sinks, and adds up.
    pub(super) async fn close(mut self, probe: &Probe) -> anyhow::Result<Summary> {
        for news in self.hold.drain() {
            self.tell(&news);
        }
        let alerted = self.account.alerted;
        let closing: Vec<_> = self.sinks.into_iter().map(Running::close).collect();
        let deadline = tokio::time::Instant::now() + CLOSE;
        while !closing.iter().all(sink::Closing::is_finished) && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let sinks = closing.into_iter().map(|sink| {
            let delivered = sink.tally.delivered.load(Ordering::Relaxed);
            (sink.name, delivered, alerted - delivered.min(alerted))
        });
        Ok(Summary { kernel: probe.counters()?, account: self.account, sinks: sinks.collect() })
    }
}
