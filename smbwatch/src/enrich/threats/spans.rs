//! Prefixes of one family, sorted. A million scattered addresses take a third (IPv4) to an eighth (IPv6) of what they
//! take in a trie.

use std::cmp::Reverse;

/// Stands for no span.
const NONE: u32 = u32::MAX;

/// The addresses of one prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span<A> {
    pub(super) first: A,
    pub(super) last: A,
    /// The narrowest other one around it.
    around: u32,
    /// What is known of it.
    pub(super) index: u32,
}

/// Sorted by their first address, and the wider before the narrower. Prefixes never overlap by half: whatever
/// holds an address is the last one that begins before it, or around that.
pub(super) struct Spans<A>(Vec<Span<A>>);

impl<A> Default for Spans<A> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<A: Copy + Ord> Spans<A> {
    /// Adds a prefix. Nothing is found before all are settled.
    pub(super) fn push(&mut self, first: A, last: A, index: u32) {
        self.0.push(Span { first, last, around: NONE, index });
    }

    /// Puts them in order. Of several that are one prefix, that with the highest `rank` stays.
    pub(super) fn settle<R: Ord>(&mut self, rank: impl Fn(u32) -> R) {
        let Self(spans) = self;
        spans.sort_unstable_by_key(|span| (span.first, Reverse(span.last), Reverse(rank(span.index))));
        spans.dedup_by_key(|span| (span.first, span.last));
        spans.shrink_to_fit();
        let mut open: Vec<(A, u32)> = Vec::new();
        for (number, span) in (0..).zip(spans) {
            while open.pop_if(|(last, _)| *last < span.first).is_some() {}
            span.around = open.last().map_or(NONE, |(_, number)| *number);
            open.push((span.last, number));
        }
    }

    /// All that hold an address, from the narrowest on.
    pub(super) fn around(&self, address: A) -> impl Iterator<Item = &Span<A>> {
        let nearest = self.0.partition_point(|span| span.first <= address).checked_sub(1);
        let nearest = nearest.and_then(|number| self.0.get(number));
        let outward = std::iter::successors(nearest, |span| self.0.get(span.around as usize));
        outward.filter(move |span| address <= span.last)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against trying each.
    #[test]
    fn agrees_with_the_oracle() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..300 {
            let mut spans = Spans::default();
            let mut all = Vec::new();
            for index in 0..random.u32(..40) {
                let mask = u8::MAX.checked_shr(random.u32(..9)).unwrap_or(0);
                let first = random.u8(..) & !mask;
                spans.push(first, first | mask, index);
                all.push((first, first | mask, index));
            }
            // The last of equal ones has the highest rank.
            spans.settle(|index| index);
            for address in 0..=u8::MAX {
                let holds = |(first, last, _): &&(u8, u8, u32)| (*first..=*last).contains(&address);
                let mut expected: Vec<_> = all.iter().filter(holds).copied().collect();
                expected.sort_by_key(|(first, last, index)| (last - first, Reverse(*index)));
                expected.dedup_by_key(|(first, last, _)| (*first, *last));
                let found: Vec<_> =
                    spans.around(address).map(|span| (span.first, span.last, span.index)).collect();
                assert_eq!(found, expected, "{address} in {all:?}");
            }
        }
    }
}
