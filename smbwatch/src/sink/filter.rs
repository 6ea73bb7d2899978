//! Which alerts a sink is given.

use crate::alert::Document;
use crate::judge::Grade;

/// What an alert has to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// At least so severe.
    pub severity: u8,
    /// Of one of these grades; of any where there are none.
    pub grades: Vec<Grade>,
}

impl Filter {
    pub(super) fn passes(&self, document: &Document) -> bool {
        let is_named = self.grades.is_empty() || self.grades.contains(&document.smbwatch.grade);
        is_named && document.event.severity >= self.severity
    }
}
