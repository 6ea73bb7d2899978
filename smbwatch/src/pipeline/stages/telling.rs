//! What is worth telling waits here for what it lacks, and then becomes an alert.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Stages, Untold};
use crate::alert::{Finding, Seen};
use crate::correlate::{Attempt, Connection, Correlator, Key};
use crate::enrich::Clue;
use crate::enrich::questions::{Answer, Question};
use crate::enrich::who::Origin;
use crate::judge::Judgement;
use crate::observation::FlowObservation;
use crate::pipeline::inquiry::Inquiry;
use crate::probe::roles::Role;
use crate::scan::Scan;
use crate::suppress::Since;

/// How long an alert of a workload waits to be seen at the uplink, where NAT has given it another address.
const TRANSLATION: Duration = Duration::from_millis(1);
/// How long an alert waits for answers about who is behind it.
pub(in crate::pipeline) const ANSWERS: Duration = Duration::from_secs(1);

/// What is to be told of a connection, and may lack something.
pub(super) struct Waiting {
    connection: Key,
    pub(super) news: Vec<News>,
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
pub(super) struct News {
    pub(super) sighting: Box<FlowObservation>,
    pub(super) judgement: Judgement,
    pub(super) attempts: Vec<Attempt>,
    pub(super) since: Since,
    /// The scan that it is told for.
    pub(super) scan: Option<Scan>,
    /// Where it comes from, if not from here.
    pub(super) origin: Option<Origin>,
}

impl Waiting {
    fn has_left(&self, correlator: &Correlator) -> bool {
        correlator.peek(self.connection).is_none_or(Connection::has_left)
    }

    fn is_asking(&self, inquiry: &Inquiry) -> bool {
        self.asked.iter().any(|question| inquiry.is_open(question))
    }
}

impl Stages {
    /// Tells what is new of a connection, after all that waits to be told of it.
    pub(super) fn tell_or_hold(&mut self, key: Key, news: News, now: Instant) {
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
    pub(in crate::pipeline) fn begin(&mut self) {
        self.inquiry.ask(&Question::Connections, Instant::now());
    }

    /// Learns an answer, and tells what has waited for it.
    pub(in crate::pipeline) fn learn(&mut self, question: &Question, answer: Option<Answer>, now: Instant) {
        self.inquiry.answered(question, now);
        if let Some(answer) = answer {
            self.enricher.learn(answer, now);
        }
        self.release(now);
    }

    /// When something that waits may wait no longer.
    pub(in crate::pipeline) fn next_release(&self) -> Option<Instant> {
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

    pub(super) fn tell(&mut self, waiting: &Waiting, now: Instant) {
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
