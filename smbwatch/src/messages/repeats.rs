//! Warnings and errors that come over and over are counted, and told with the next one that passes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Messages from one place in the code that pass in each [`WINDOW`].
const LIMIT: u32 = 20;
const WINDOW: Duration = Duration::from_secs(60);

/// How many came from each place of late.
#[derive(Default)]
pub(super) struct Repeats {
    places: Mutex<HashMap<Identifier, Place>>,
}

struct Place {
    since: Instant,
    count: u32,
}

impl<S: Subscriber> Layer<S> for Repeats {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        if *event.metadata().level() > Level::WARN {
            return true;
        }
        let now = Instant::now();
        let (passes, left_out) = {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            let place = places.entry(event.metadata().callsite());
            place.or_insert(Place { since: now, count: 0 }).count(now)
        };
        if left_out > 0 {
            // A message of its own, from another place.
            tracing::info!("{left_out} messages like the next one were left out");
        }
        passes
    }
}

impl Place {
    /// Whether one more passes, and how many have not since one did.
    fn count(&mut self, now: Instant) -> (bool, u32) {
        let mut left_out = 0;
        if now.saturating_duration_since(self.since) >= WINDOW {
            left_out = self.count.saturating_sub(LIMIT);
            *self = Self { since: now, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        (self.count <= LIMIT, left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_told_in_the_next_window() {
        let start = Instant::now();
        let mut place = Place { since: start, count: 0 };
        let mut passed = |seconds, messages: u32| {
            let now = start + Duration::from_secs(seconds);
            let counted: Vec<_> = (0..messages).map(|_| place.count(now)).collect();
            let left_out: u32 = counted.iter().map(|(_, left_out)| left_out).sum();
            (counted.iter().filter(|(passes, _)| *passes).count(), left_out)
        };
        for (seconds, messages, expected) in
            [(0, 5, (5, 0)), (30, 25, (15, 0)), (60, 3, (3, 10)), (120, 21, (20, 0)), (240, 1, (1, 1))]
        {
            assert_eq!(passed(seconds, messages), expected, "at {seconds}");
        }
    }
}
