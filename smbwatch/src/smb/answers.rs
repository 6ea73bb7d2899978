//! Which answer belongs to which request.

use std::collections::{HashMap, VecDeque};

/// Answers by what identifies their request. Of several with one identifier, the first is taken first: SMB 1
/// may use an identifier again.
#[derive(Debug)]
pub(super) struct Answers<T>(HashMap<u64, VecDeque<T>>);

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Answers<T> {
    /// Keeps the next answer with this identifier.
    pub(super) fn add(&mut self, id: u64, answer: T) {
        self.0.entry(id).or_default().push_back(answer);
    }

    /// The answer to the next request with this identifier.
    pub(super) fn take(&mut self, id: u64) -> Option<T> {
        self.0.get_mut(&id)?.pop_front()
    }
}
