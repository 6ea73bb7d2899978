//! Streams by table, and against an oracle that keeps one cell for each byte.

use super::*;

/// Segments by sequence number; what is contiguous; what it waits for.
type Row = (&'static [(u32, &'static str)], &'static str, State);

#[test]
fn segments_in_every_order() {
    let rows: &[Row] = &[
        (&[], "", State::Open),
        (&[(100, "")], "", State::Open),
        (&[(100, "abc")], "abc", State::Open),
        (&[(100, "abc"), (103, "de")], "abcde", State::Open),
        (&[(103, "de")], "", State::Gap),
        (&[(103, "de"), (100, "abc")], "abcde", State::Open),
        (&[(100, "ab"), (103, "d")], "ab", State::Gap),
        (&[(100, "abc"), (100, "XYZ")], "abc", State::Open),
        (&[(101, "bc"), (100, "XXXX")], "XbcX", State::Open),
        (&[(101, "b"), (103, "d"), (100, "XXXXX")], "XbXdX", State::Open),
        (&[(98, "yzabc")], "abc", State::Open),
        (&[(98, "y")], "", State::Open),
        (&[(100, "0123456789")], "01234567", State::Full),
        (&[(104, "456789"), (100, "0123")], "01234567", State::Full),
        (&[(108, "8")], "", State::Open),
    ];
    for (segments, contiguous, state) in rows {
        // Again across the end of the sequence numbers.
        for shift in [0, 0u32.wrapping_sub(103)] {
            let mut stream = Stream::new(100u32.wrapping_add(shift), 8);
            for (sequence, payload) in *segments {
                stream.add(sequence.wrapping_add(shift), payload.as_bytes());
            }
            assert_eq!(stream.contiguous(), contiguous.as_bytes(), "{segments:?}");
            assert_eq!(stream.state(), *state, "{segments:?}");
        }
    }
}

/// One cell for each byte up to the limit.
struct Oracle {
    first: u32,
    cells: Vec<Option<u8>>,
}

impl Oracle {
    fn add(&mut self, sequence: u32, payload: &[u8]) {
        for (index, byte) in payload.iter().enumerate() {
            let number = sequence.wrapping_add(u32::try_from(index).expect("a short payload"));
            let offset = number.wrapping_sub(self.first) as usize;
            if let Some(cell) = self.cells.get_mut(offset) {
                cell.get_or_insert(*byte);
            }
        }
        while runs(&self.cells) > MAX_RUNS {
            let last = self.cells.iter().rposition(Option::is_some).expect("a run");
            self.cells[last] = None;
        }
    }

    fn contiguous(&self) -> Vec<u8> {
        self.cells.iter().map_while(|cell| *cell).collect()
    }
}

fn runs(cells: &[Option<u8>]) -> usize {
    cells.split(Option::is_none).filter(|run| !run.is_empty()).count()
}

#[test]
fn agrees_with_the_oracle() {
    let mut random = fastrand::Rng::with_seed(445);
    for case in 0..3_000 {
        let limit = random.usize(0..200);
        let first = if random.bool() { random.u32(..) } else { 0u32.wrapping_sub(random.u32(0..100)) };
        let longest = random.usize(1..40);
        let mut stream = Stream::new(first, limit);
        let mut oracle = Oracle { first, cells: vec![None; limit] };
        for _ in 0..random.usize(0..60) {
            let sequence = first.wrapping_add(random.u32(0..220)).wrapping_sub(20);
            let payload: Vec<u8> = (0..random.usize(0..longest)).map(|_| random.u8(1..)).collect();
            stream.add(sequence, &payload);
            oracle.add(sequence, &payload);
            let contiguous = oracle.contiguous();
            assert_eq!(stream.contiguous(), contiguous, "case {case}");
            let waits = runs(&oracle.cells) > usize::from(!contiguous.is_empty());
            let expected = match (contiguous.len() == limit, waits) {
                (true, _) => State::Full,
                (false, true) => State::Gap,
                (false, false) => State::Open,
            };
            assert_eq!(stream.state(), expected, "case {case}");
            assert!(stream.bytes.len() <= limit && stream.runs.len() <= MAX_RUNS, "case {case}");
        }
    }
}
