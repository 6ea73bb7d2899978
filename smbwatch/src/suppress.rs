//! What is worth telling: one alert for each connection and grade, and never more a second than are read.

use jiff::Timestamp;

use crate::correlate::Connection;
use crate::judge::{Judgement, Outcome};

/// Why a sighting made no alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suppressed {
    /// The connection's grade was told before.
    Repeat,
    /// More alerts than the limit in this second.
    Flood,
}

/// Decides what is told.
pub struct Suppressor {
    per_second: u32,
    second: i64,
    told: u32,
}

impl Suppressor {
    /// Lets up to `per_second` alerts pass in each second.
    pub const fn new(per_second: u32) -> Self {
        Self { per_second, second: i64::MIN, told: 0 }
    }

    /// Decides whether a judgement about `connection` is told, and notes it there if it is.
    pub fn suppress(
        &mut self,
        connection: &mut Connection,
        judgement: &Judgement,
        now: Timestamp,
    ) -> Option<Suppressed> {
        let failed = matches!(judgement.outcome, Outcome::Refused | Outcome::Unanswered);
        let news = (judgement.grade, failed);
        if connection.told.is_some_and(|told| told >= news) {
            return Some(Suppressed::Repeat);
        }
        if now.as_second() != self.second {
            self.second = now.as_second();
            self.told = 0;
        }
        if self.told >= self.per_second {
            return Some(Suppressed::Flood);
        }
        self.told += 1;
        connection.told = Some(news);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::Grade;

    fn judgement(grade: Grade, outcome: Outcome) -> Judgement {
        Judgement { grade, outcome, severity: 21 }
    }

    #[test]
    fn each_grade_is_told_once_and_a_failure_too() {
        let mut suppressor = Suppressor::new(10);
        let mut connection = Connection { incident: String::new(), told: None };
        let mut told = |judgement| suppressor.suppress(&mut connection, &judgement, Timestamp::UNIX_EPOCH);
        assert_eq!(told(judgement(Grade::Attempted, Outcome::Pending)), None);
        assert_eq!(told(judgement(Grade::Attempted, Outcome::Pending)), Some(Suppressed::Repeat));
        assert_eq!(told(judgement(Grade::Attempted, Outcome::Unanswered)), None);
        assert_eq!(told(judgement(Grade::Attempted, Outcome::Unanswered)), Some(Suppressed::Repeat));
        assert_eq!(told(judgement(Grade::Smb, Outcome::Connected)), None);
        assert_eq!(told(judgement(Grade::Established, Outcome::Connected)), Some(Suppressed::Repeat));
    }

    #[test]
    fn a_flood_is_cut_and_what_was_cut_may_still_be_told() {
        let mut suppressor = Suppressor::new(2);
        let news = judgement(Grade::Attempted, Outcome::Pending);
        let mut connections: Vec<_> =
            (0..5).map(|_| Connection { incident: String::new(), told: None }).collect();
        let mut pass = |second| {
            let now = Timestamp::from_second(second).expect("a time");
            connections
                .iter_mut()
                .map(|connection| suppressor.suppress(connection, &news, now))
                .filter(Option::is_none)
                .count()
        };
        assert_eq!(pass(0), 2);
        assert_eq!(pass(1), 2);
        assert_eq!(pass(2), 1);
        assert_eq!(pass(3), 0);
    }
}
