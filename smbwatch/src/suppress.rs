//! What is worth telling: each incident once for each grade, again after a while with what was counted since, and
//! never more a second than are read.

use std::num::NonZeroUsize;

use jiff::{SignedDuration, Timestamp};
use lru::LruCache;

use crate::correlate::{Connection, Told};
use crate::judge::{Grade, Judgement};
use crate::observation::FlowObservation;

/// Seconds by which a record may be older than the newest one. Further back, the clock was set.
const OLDER: i64 = 3;
/// Incidents that are remembered.
const INCIDENTS: NonZeroUsize = NonZeroUsize::new(1 << 12).expect("not zero");
/// The longest time after which an incident that goes on is told again.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// Why a sighting made no alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suppressed {
    /// The connection's grade was told before.
    Repeat,
    /// It was told when another interface saw it.
    Elsewhere,
    /// It is counted as a part of a scan.
    Scan,
    /// More alerts of its grade than the limit in this second.
    Flood,
}

/// What an alert has to say of its incident.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Since {
    /// Nothing is new but the time: it goes on.
    pub again: bool,
    /// Changes since its last alert that made none.
    pub repeats: u64,
}

/// Decides what is told.
pub struct Suppressor {
    per_second: u32,
    /// After this time, and then twice as long each time, an incident that goes on is told again; 0: never.
    window: SignedDuration,
    incidents: LruCache<u64, Incident>,
    second: i64,
    told: ThisSecond,
}

/// What was told of an incident.
struct Incident {
    told: Told,
    last: Timestamp,
    interval: SignedDuration,
    repeats: u64,
}

/// Alerts that were told in the current second. Each grade has its own, so that no flood of attempts hides
/// SMB that is spoken.
#[derive(Default)]
struct ThisSecond {
    attempted: u32,
    established: u32,
    smb: u32,
    authenticated: u32,
    transferring: u32,
}

impl Suppressor {
    /// Lets up to `per_second` alerts of each grade pass in each second; tells an incident that goes on again
    /// after `window`.
    pub fn new(per_second: u32, window: SignedDuration) -> Self {
        let incidents = LruCache::new(INCIDENTS);
        Self { per_second, window, incidents, second: i64::MIN, told: ThisSecond::default() }
    }

    /// Takes other limits than those that it began with.
    pub fn adapt(&mut self, per_second: u32, window: SignedDuration) {
        (self.per_second, self.window) = (per_second, window);
    }

    /// Decides whether a judgement about `connection` is told, and notes it.
    pub fn suppress(
        &mut self,
        connection: &mut Connection,
        judgement: &Judgement,
        sighting: &FlowObservation,
    ) -> Result<Since, Suppressed> {
        let (news, time) = (Told::of(judgement), sighting.time);
        let known_here = connection.judged.is_some_and(|judged| judged.covers(news));
        let judged = connection.judged.map_or(news, |judged| judged.and(news));
        if known_here && connection.nearest().interface != sighting.interface {
            return Err(Suppressed::Elsewhere);
        }
        let window = self.window;
        let mut again = false;
        if let Some(incident) = self.incidents.get_mut(&connection.incident)
            && incident.told.covers(news)
        {
            again = !window.is_zero() && time.duration_since(incident.last) >= incident.interval;
            if !again {
                incident.repeats += 1;
                connection.judged = Some(judged);
                return Err(Suppressed::Repeat);
            }
        }
        if self.is_flooded(judgement.grade, time) {
            return Err(Suppressed::Flood);
        }
        connection.judged = Some(judged);
        let fresh = || Incident { told: news, last: time, interval: window, repeats: 0 };
        let incident = self.incidents.get_or_insert_mut(connection.incident, fresh);
        incident.told = incident.told.and(news);
        incident.last = time;
        if again {
            incident.interval = incident.interval.saturating_add(incident.interval).min(LONGEST);
        }
        Ok(Since { again, repeats: std::mem::take(&mut incident.repeats) })
    }

    /// Whether this second has had all the alerts of its grade; if not, there is one more.
    fn is_flooded(&mut self, grade: Grade, time: Timestamp) -> bool {
        let second = time.as_second();
        if !(self.second.saturating_sub(OLDER)..=self.second).contains(&second) {
            self.second = second;
            self.told = ThisSecond::default();
        }
        let told = self.told.of(grade);
        let is_flooded = *told >= self.per_second;
        *told += u32::from(!is_flooded);
        is_flooded
    }
}

impl ThisSecond {
    const fn of(&mut self, grade: Grade) -> &mut u32 {
        match grade {
            Grade::Attempted => &mut self.attempted,
            Grade::Established => &mut self.established,
            Grade::Smb => &mut self.smb,
            Grade::Authenticated => &mut self.authenticated,
            Grade::Transferring => &mut self.transferring,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::correlate::Place;
    use crate::judge::Outcome;
    use crate::observation::tests::syn;
    use crate::probe::roles::Role;

    const WINDOW: i64 = 300;

    fn suppressor(per_second: u32) -> Suppressor {
        Suppressor::new(per_second, SignedDuration::from_secs(WINDOW))
    }

    fn connection(incident: u64) -> Connection {
        let source = ([10, 0, 0, 1], 50_000).into();
        Connection::new(incident, Place { interface: 1, role: Role::Uplink, source, cookie: None })
    }

    fn at(second: i64) -> FlowObservation {
        let time = Timestamp::from_second(second).expect("a time");
        FlowObservation { time, ..syn("10.0.0.1:50000", "8.8.8.8:445", 1) }
    }

    fn judgement(grade: Grade, outcome: Outcome) -> Judgement {
        Judgement { grade, outcome, ended: false, severity: 21 }
    }

    const TOLD: Result<Since, Suppressed> = Ok(Since { again: false, repeats: 0 });
    const REPEAT: Result<Since, Suppressed> = Err(Suppressed::Repeat);

    #[test]
    fn each_grade_is_told_once_and_a_failure_too() {
        let (mut suppressor, mut connection) = (suppressor(10), connection(1));
        let mut tell = |judgement| suppressor.suppress(&mut connection, &judgement, &at(0)).map(|_| ());
        let attempted = judgement(Grade::Attempted, Outcome::Pending);
        assert_eq!([tell(attempted), tell(attempted)], [Ok(()), Err(Suppressed::Repeat)]);
        let unanswered = judgement(Grade::Attempted, Outcome::Unanswered);
        assert_eq!([tell(unanswered), tell(unanswered)], [Ok(()), Err(Suppressed::Repeat)]);
        assert_eq!(tell(judgement(Grade::Smb, Outcome::Connected)), Ok(()));
        assert_eq!(tell(judgement(Grade::Established, Outcome::Connected)), Err(Suppressed::Repeat));
        let end = Judgement { ended: true, ..judgement(Grade::Smb, Outcome::Connected) };
        assert_eq!([tell(end), tell(end)], [Ok(()), Err(Suppressed::Repeat)]);
        assert_eq!(tell(judgement(Grade::Transferring, Outcome::Connected)), Ok(()));
    }

    #[test]
    fn another_connection_of_an_incident_is_counted_until_it_goes_further() {
        let mut suppressor = suppressor(10);
        let mut tell = |grade| {
            let news = judgement(grade, Outcome::Pending);
            suppressor.suppress(&mut connection(1), &news, &at(0))
        };
        assert_eq!(tell(Grade::Established), TOLD);
        assert_eq!([tell(Grade::Attempted), tell(Grade::Established)], [REPEAT, REPEAT]);
        assert_eq!(tell(Grade::Smb), Ok(Since { again: false, repeats: 2 }));
    }

    #[test]
    fn an_incident_that_goes_on_is_told_again_at_a_growing_interval() {
        let mut suppressor = suppressor(10);
        let news = judgement(Grade::Smb, Outcome::Connected);
        let told: Vec<i64> = (0..40 * WINDOW)
            .step_by(50)
            .filter(|second| suppressor.suppress(&mut connection(1), &news, &at(*second)).is_ok())
            .collect();
        assert_eq!(told, [0, WINDOW, 3 * WINDOW, 7 * WINDOW, 15 * WINDOW, 31 * WINDOW]);
    }

    /// Of `count` new incidents at `second`, those that are told.
    fn told(suppressor: &mut Suppressor, grade: Grade, second: i64, count: u64) -> usize {
        let news = judgement(grade, Outcome::Pending);
        let first = second.unsigned_abs() * 1000 + grade as u64 * 100;
        let mut tell = |incident| suppressor.suppress(&mut connection(first + incident), &news, &at(second));
        (0..count).filter(|incident| tell(*incident).is_ok()).count()
    }

    #[test]
    fn what_a_flood_cut_may_still_be_told() {
        let mut suppressor = suppressor(1);
        let news = judgement(Grade::Smb, Outcome::Connected);
        assert_eq!(told(&mut suppressor, Grade::Smb, 0, 5), 1);
        let mut connection = connection(7);
        let mut tell = |second| suppressor.suppress(&mut connection, &news, &at(second));
        assert_eq!([tell(0), tell(1), tell(2)], [Err(Suppressed::Flood), TOLD, REPEAT]);
    }

    #[test]
    fn a_flood_of_one_grade_leaves_the_others_their_second() {
        let mut suppressor = suppressor(2);
        for grade in
            [Grade::Attempted, Grade::Established, Grade::Smb, Grade::Authenticated, Grade::Transferring]
        {
            assert_eq!(told(&mut suppressor, grade, 0, 5), 2, "{grade:?}");
        }
    }

    #[test]
    fn a_second_begins_when_time_goes_forward_or_the_clock_was_set_back() {
        let mut suppressor = suppressor(2);
        for (number, (second, passed)) in
            [(9, 2), (10, 2), (9, 0), (7, 0), (10, 0), (11, 2), (2, 2), (2, 0), (3, 2)]
                .into_iter()
                .enumerate()
        {
            let news = judgement(Grade::Attempted, Outcome::Pending);
            let first = u64::try_from(number).expect("a number") * 10;
            let mut tell =
                |incident| suppressor.suppress(&mut connection(first + incident), &news, &at(second));
            let told = (0..5).filter(|incident| tell(*incident).is_ok()).count();
            assert_eq!(told, passed, "second {second}");
        }
    }
}
