//! Says when a sink begins to fail, when it fails for another reason, and when it works again.

use std::fmt::Display;

pub(super) struct Health {
    name: String,
    consequence: &'static str,
    /// What was said last of a failure that still lasts.
    failure: Option<String>,
}

impl Health {
    pub(super) fn new(name: &str, consequence: &'static str) -> Self {
        Self { name: name.to_owned(), consequence, failure: None }
    }

    pub(super) fn failed(&mut self, failure: impl Display) {
        let failure = failure.to_string();
        if self.failure.as_ref() != Some(&failure) {
            tracing::error!("sink {}: {failure}; {}", self.name, self.consequence);
        }
        self.failure = Some(failure);
    }

    pub(super) fn works(&mut self) {
        if self.failure.take().is_some() {
            tracing::warn!("sink {}: writing works again", self.name);
        }
    }
}
