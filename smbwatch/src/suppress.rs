//! What is worth telling: one alert for each connection and grade, and never more a second than are read.

use crate::correlate::{Connection, Told};
use crate::judge::{Grade, Judgement, Outcome};
use crate::observation::FlowObservation;

/// Seconds by which a record may be older than the newest one. Further back, the clock was set.
const OLDER: i64 = 3;

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

/// Decides what is told.
pub struct Suppressor {
    per_second: u32,
    second: i64,
    told: ThisSecond,
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
    /// Lets up to `per_second` alerts of each grade pass in each second.
    pub fn new(per_second: u32) -> Self {
        Self { per_second, second: i64::MIN, told: ThisSecond::default() }
    }

    /// Decides whether a judgement about `connection` is told, and notes it there if it is.
    pub fn suppress(
        &mut self,
        connection: &mut Connection,
        judgement: &Judgement,
        sighting: &FlowObservation,
    ) -> Option<Suppressed> {
        let failed = matches!(judgement.outcome, Outcome::Refused | Outcome::Unanswered);
        let told = connection.told;
        let is_known = |told: Told| {
            told.grade >= judgement.grade && told.failed >= failed && told.ended >= judgement.ended
        };
        if told.is_some_and(is_known) {
            let elsewhere = connection.nearest().interface != sighting.interface;
            return Some(if elsewhere { Suppressed::Elsewhere } else { Suppressed::Repeat });
        }
        let second = sighting.time.as_second();
        if !(self.second.saturating_sub(OLDER)..=self.second).contains(&second) {
            self.second = second;
            self.told = ThisSecond::default();
        }
        let this_second = self.told.of(judgement.grade);
        if *this_second >= self.per_second {
            return Some(Suppressed::Flood);
        }
        *this_second += 1;
        let grade = told.map_or(judgement.grade, |told| told.grade.max(judgement.grade));
        connection.told = Some(Told { grade, failed, ended: judgement.ended });
        None
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
    use jiff::Timestamp;

    use super::*;
    use crate::correlate::Place;
    use crate::observation::tests::syn;
    use crate::probe::roles::Role;

    fn connection() -> Connection {
        let source = ([10, 0, 0, 1], 50_000).into();
        Connection::new(1, Place { interface: 1, role: Role::Uplink, source, cookie: None })
    }

    fn at(second: i64) -> FlowObservation {
        let time = Timestamp::from_second(second).expect("a time");
        FlowObservation { time, ..syn("10.0.0.1:50000", "8.8.8.8:445", 1) }
    }

    fn judgement(grade: Grade, outcome: Outcome) -> Judgement {
        Judgement { grade, outcome, ended: false, severity: 21 }
    }

    #[test]
    fn each_grade_is_told_once_and_a_failure_too() {
        let mut suppressor = Suppressor::new(10);
        let mut connection = connection();
        let mut tell = |judgement| suppressor.suppress(&mut connection, &judgement, &at(0));
        assert_eq!(tell(judgement(Grade::Attempted, Outcome::Pending)), None);
        assert_eq!(tell(judgement(Grade::Attempted, Outcome::Pending)), Some(Suppressed::Repeat));
        assert_eq!(tell(judgement(Grade::Attempted, Outcome::Unanswered)), None);
        assert_eq!(tell(judgement(Grade::Attempted, Outcome::Unanswered)), Some(Suppressed::Repeat));
        assert_eq!(tell(judgement(Grade::Smb, Outcome::Connected)), None);
        assert_eq!(tell(judgement(Grade::Established, Outcome::Connected)), Some(Suppressed::Repeat));
        let end = Judgement { ended: true, ..judgement(Grade::Smb, Outcome::Connected) };
        assert_eq!([tell(end), tell(end)], [None, Some(Suppressed::Repeat)]);
        assert_eq!(tell(judgement(Grade::Transferring, Outcome::Connected)), None);
    }

    /// Of `count` new connections at `second`, those that are told.
    fn told(suppressor: &mut Suppressor, grade: Grade, second: i64, count: usize) -> usize {
        let news = judgement(grade, Outcome::Pending);
        (0..count)
            .filter(|_| {
                let mut connection = connection();
                suppressor.suppress(&mut connection, &news, &at(second)).is_none()
            })
            .count()
    }

    #[test]
    fn what_a_flood_cut_may_still_be_told() {
        let mut suppressor = Suppressor::new(1);
        let news = judgement(Grade::Smb, Outcome::Connected);
        assert_eq!(told(&mut suppressor, Grade::Smb, 0, 5), 1);
        let mut connection = connection();
        let mut tell = |second| suppressor.suppress(&mut connection, &news, &at(second));
        assert_eq!([tell(0), tell(1), tell(2)], [Some(Suppressed::Flood), None, Some(Suppressed::Repeat)]);
    }

    #[test]
    fn a_flood_of_one_grade_leaves_the_others_their_second() {
        let mut suppressor = Suppressor::new(2);
        for grade in
            [Grade::Attempted, Grade::Established, Grade::Smb, Grade::Authenticated, Grade::Transferring]
        {
            assert_eq!(told(&mut suppressor, grade, 0, 5), 2, "{grade:?}");
        }
    }

    #[test]
    fn a_second_begins_when_time_goes_forward_or_the_clock_was_set_back() {
        let mut suppressor = Suppressor::new(2);
        for (second, passed) in [(9, 2), (10, 2), (9, 0), (7, 0), (10, 0), (11, 2), (2, 2), (2, 0), (3, 2)] {
            assert_eq!(told(&mut suppressor, Grade::Attempted, second, 5), passed, "second {second}");
        }
    }
}
