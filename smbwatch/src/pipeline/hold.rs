//! Alerts that wait a moment for what they lack.

use std::collections::VecDeque;
use std::time::Instant;

/// Alerts that may wait at a time; any further one sends the oldest off as it is.
const MAX_HELD: usize = 1024;

/// What waits, in the order in which it came.
pub(super) struct Hold<T> {
    waiting: VecDeque<(Instant, T)>,
}

impl<T> Hold<T> {
    pub(super) const fn new() -> Self {
        Self { waiting: VecDeque::new() }
    }

    /// Lets `item` wait, but not beyond `until`; gives back the oldest if there are too many.
    pub(super) fn put(&mut self, item: T, until: Instant) -> Option<T> {
        self.waiting.push_back((until, item));
        if self.waiting.len() > MAX_HELD { self.waiting.pop_front().map(|(_, oldest)| oldest) } else { None }
    }

    /// An item that waits.
    pub(super) fn find(&mut self, is_it: impl Fn(&T) -> bool) -> Option<&mut T> {
        self.waiting.iter_mut().map(|(_, item)| item).find(|item| is_it(item))
    }

    /// All that waits.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.waiting.iter().map(|(_, item)| item)
    }

    /// When the next item may wait no longer.
    pub(super) fn next(&self) -> Option<Instant> {
        self.waiting.iter().map(|(until, _)| *until).min()
    }

    /// Takes out what may wait no longer at `now`, and what `is_ready`.
    pub(super) fn take(&mut self, now: Instant, is_ready: impl Fn(&T) -> bool) -> Vec<T> {
        let (ready, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition::<VecDeque<_>, _>(|(until, item)| *until <= now || is_ready(item));
        self.waiting = waiting;
        ready.into_iter().map(|(_, item)| item).collect()
    }

    /// Takes out everything.
    pub(super) fn drain(&mut self) -> Vec<T> {
        self.waiting.drain(..).map(|(_, item)| item).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn items_leave_when_they_are_ready_or_late() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut hold = Hold::new();
        for (item, millis) in [("a", 5), ("b", 1), ("c", 9)] {
            assert_eq!(hold.put(item, after(millis)), None);
        }
        assert_eq!(hold.next(), Some(after(1)));
        assert_eq!(hold.take(start, |item| *item == "c"), ["c"]);
        assert_eq!(hold.take(after(1), |_| false), ["b"]);
        assert_eq!(hold.drain(), ["a"]);
        assert!(hold.is_empty() && hold.next().is_none());
    }

    #[test]
    fn too_many_send_the_oldest_off() {
        let mut hold = Hold::new();
        let now = Instant::now();
        assert!((0..MAX_HELD).all(|item| hold.put(item, now).is_none()));
        assert_eq!(hold.put(MAX_HELD, now), Some(0));
    }
}
