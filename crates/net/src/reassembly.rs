//! TCP streams put into order.
//!
//! Overlap: the bytes that came first stay, whatever a later segment says of the same place, and what was handed on
//! cannot change. An attacker who sends two versions is seen with the first; hosts that take the last see the other
//! (Ptacek and Newsham, 1998). Segments that contradict bytes which still wait are counted as conflicts.
//!
//! A gap is told once the other side acknowledged what is missing (the capture lost it), or when more waits behind
//! it than may be held.

/// Bytes that may wait behind a gap in one direction.
pub const HELD_BYTES_MAX: usize = 256 << 10;
/// Segments that may wait behind a gap in one direction.
pub const SEGMENTS_MAX: usize = 256;
/// Bytes that may wait in all connections.
pub const TOTAL_BYTES_MAX: usize = 128 << 20;

/// What a stream hands on.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    Data(&'a [u8]),
    /// So many bytes are missing before what follows.
    Gap(u32),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    pub gaps: u64,
    pub gap_bytes: u64,
    /// Segments whose bytes differ from those that came first.
    pub conflicts: u64,
    /// Bytes held now.
    pub held: usize,
    pub held_max: usize,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub struct Stream {
    /// The next byte to hand on.
    next: Option<u32>,
    /// What the other side has acknowledged.
    acknowledged: Option<u32>,
    /// Segments behind a gap, in order, without overlaps.
    waiting: Vec<(u32, Vec<u8>)>,
    held: usize,
    pub gap_bytes: u64,
}

/// How far `a` is behind `b` in a sequence space that wraps.
fn ahead(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

impl Stream {
    /// The sequence number of the first byte, from a SYN.
    pub fn begin(&mut self, first: u32) {
        self.next.get_or_insert(first);
    }

    /// What the other side acknowledged.
    pub fn acknowledge(&mut self, ack: u32) {
        if self.acknowledged.is_none_or(|old| ahead(ack, old) > 0) {
            self.acknowledged = Some(ack);
        }
    }

    /// Takes a segment's bytes. `len` is its length on the wire: more than `bytes` in a capture that cuts frames.
    pub fn segment(&mut self, seq: u32, bytes: &[u8], len: u32, counts: &mut Counts, mut hand_on: impl FnMut(Piece<'_>)) {
        let next = *self.next.get_or_insert(seq);
        let behind = ahead(next, seq);
        if behind >= 0 {
            let old = (behind as usize).min(bytes.len());
            let fresh = &bytes[old..];
            if self.waiting.is_empty() {
                self.deliver(fresh, &mut hand_on);
            } else {
                self.hold(seq.wrapping_add(old as u32), fresh, counts);
            }
            self.drain(counts, &mut hand_on);
            // The part that the capture cut off: nobody will bring it.
            if len as usize > bytes.len() && self.next.is_some_and(|n| n == seq.wrapping_add(bytes.len() as u32)) {
                self.skip(len - bytes.len() as u32, counts, &mut hand_on);
                self.drain(counts, &mut hand_on);
            }
            return;
        }
        // Absurdly far ahead is no segment of this connection's window.
        if behind < -(1 << 30) {
            return;
        }
        self.hold(seq, bytes, counts);
        let lost = self.acknowledged.is_some_and(|ack| ahead(ack, next) > 0 && self.waiting.first().is_some_and(|(at, _)| ahead(ack, *at) >= 0));
        if lost || self.held > HELD_BYTES_MAX || self.waiting.len() > SEGMENTS_MAX || counts.held > TOTAL_BYTES_MAX {
            self.close_gap(counts, &mut hand_on);
        }
    }

    /// Hands on what waits, gaps included: the connection is over.
    pub fn finish(&mut self, counts: &mut Counts, mut hand_on: impl FnMut(Piece<'_>)) {
        while !self.waiting.is_empty() {
            self.close_gap(counts, &mut hand_on);
        }
    }

    /// Gives up what waits, for a connection that nobody reads any more.
    pub fn abandon(&mut self, counts: &mut Counts) {
        counts.held -= self.held;
        self.held = 0;
        self.waiting = Vec::new();
    }

    fn deliver(&mut self, bytes: &[u8], hand_on: &mut impl FnMut(Piece<'_>)) {
        if !bytes.is_empty() {
            self.next = self.next.map(|next| next.wrapping_add(bytes.len() as u32));
            hand_on(Piece::Data(bytes));
        }
    }

    fn skip(&mut self, missing: u32, counts: &mut Counts, hand_on: &mut impl FnMut(Piece<'_>)) {
        self.next = self.next.map(|next| next.wrapping_add(missing));
        self.gap_bytes += u64::from(missing);
        counts.gaps += 1;
        counts.gap_bytes += u64::from(missing);
        hand_on(Piece::Gap(missing));
    }

    fn close_gap(&mut self, counts: &mut Counts, hand_on: &mut impl FnMut(Piece<'_>)) {
        if let (Some((at, _)), Some(next)) = (self.waiting.first(), self.next) {
            let missing = ahead(*at, next);
            if missing > 0 {
                self.skip(missing as u32, counts, hand_on);
            }
        }
        self.drain(counts, hand_on);
    }

    /// Keeps the bytes of a segment that no earlier one brought.
    fn hold(&mut self, seq: u32, bytes: &[u8], counts: &mut Counts) {
        let end = seq.wrapping_add(bytes.len() as u32);
        let mut from = seq;
        let mut fresh: Vec<(u32, u32)> = Vec::new();
        for (at, kept) in &self.waiting {
            let until = at.wrapping_add(kept.len() as u32);
            if ahead(until, from) <= 0 {
                continue;
            }
            if ahead(*at, end) >= 0 {
                break;
            }
            if ahead(*at, from) > 0 {
                fresh.push((from, *at));
            }
            counts.conflicts += u64::from(differs(*at, kept, seq, bytes));
            from = until;
        }
        if ahead(end, from) > 0 {
            fresh.push((from, end));
        }
        for (from, until) in fresh {
            let part = bytes[from.wrapping_sub(seq) as usize..until.wrapping_sub(seq) as usize].to_vec();
            self.held += part.len();
            counts.held += part.len();
            let place = self.waiting.partition_point(|(at, _)| ahead(*at, from) < 0);
            self.waiting.insert(place, (from, part));
        }
        counts.held_max = counts.held_max.max(counts.held);
    }

    /// Hands on what follows without a gap.
    fn drain(&mut self, counts: &mut Counts, hand_on: &mut impl FnMut(Piece<'_>)) {
        let mut ready = 0;
        let Some(mut next) = self.next else { return };
        while let Some((at, kept)) = self.waiting.get(ready) {
            let behind = ahead(next, *at);
            if behind < 0 {
                break;
            }
            next = if behind as usize >= kept.len() { next } else { at.wrapping_add(kept.len() as u32) };
            ready += 1;
        }
        for (at, kept) in self.waiting.drain(..ready).collect::<Vec<_>>() {
            self.held -= kept.len();
            counts.held -= kept.len();
            let old = self.next.map_or(0, |next| ahead(next, at).max(0) as usize).min(kept.len());
            self.deliver(&kept[old..], hand_on);
        }
    }
}

/// Whether two segments say different things of the bytes that both hold.
fn differs(at: u32, kept: &[u8], seq: u32, bytes: &[u8]) -> bool {
    let shift = ahead(at, seq);
    let (kept, bytes) = if shift >= 0 { (kept, bytes.get(shift as usize..).unwrap_or_default()) } else { (kept.get(shift.unsigned_abs() as usize..).unwrap_or_default(), bytes) };
    kept.iter().zip(bytes).any(|(a, b)| a != b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(segments: &[(u32, &[u8])]) -> (Vec<u8>, u64, Counts) {
        let (mut stream, mut counts, mut got) = (Stream::default(), Counts::default(), Vec::new());
        let mut take = |piece: Piece<'_>| match piece {
            Piece::Data(bytes) => got.extend_from_slice(bytes),
            Piece::Gap(_) => got.push(b'_'),
        };
        stream.begin(segments.first().map_or(0, |s| s.0));
        for (seq, bytes) in segments {
            stream.segment(*seq, bytes, bytes.len() as u32, &mut counts, &mut take);
        }
        stream.finish(&mut counts, &mut take);
        assert_eq!(counts.held, 0);
        (got, stream.gap_bytes, counts)
    }

    #[test]
    fn the_first_bytes_win_and_conflicts_are_counted() {
        let (got, _, counts) = run(&[(u32::MAX, b"a"), (2, b"CDE"), (0, b"bbXX"), (4, b"zF")]);
        assert_eq!(got, b"abbCDEF");
        // The `z` came when its place had been handed on already: there is nothing left to compare it with.
        assert_eq!(counts.conflicts, 1);
    }

    #[test]
    fn what_never_comes_is_a_gap() {
        let (got, gap, counts) = run(&[(0, b"ab"), (10, b"cd")]);
        assert_eq!((got.as_slice(), gap, counts.gaps), (b"ab_cd".as_slice(), 8, 1));
    }

    #[test]
    fn an_acknowledged_gap_is_closed_at_once_and_held_bytes_are_bounded() {
        let (mut stream, mut counts) = (Stream::default(), Counts::default());
        let mut pieces = 0;
        stream.begin(0);
        stream.acknowledge(100);
        stream.segment(50, b"x", 1, &mut counts, |_| pieces += 1);
        assert_eq!(pieces, 2);
        let mut stream = Stream::default();
        stream.begin(0);
        for i in 0..10_000u32 {
            stream.segment(1_000_000 + i * 2_000, &[7; 1_000], 1_000, &mut counts, |_| {});
            assert!(stream.held <= HELD_BYTES_MAX + 1_000 && stream.waiting.len() <= SEGMENTS_MAX + 1);
        }
    }

    proptest! {
        /// Whatever the order and overlap of true segments, the stream comes out as it was sent.
        #[test]
        fn any_order_gives_the_stream(start in any::<u32>(), cuts in proptest::collection::vec((0usize..200, 1usize..40), 1..60), seed in any::<u64>()) {
            let sent: Vec<u8> = (0..200u32).map(|i| (i * 7) as u8).collect();
            let mut parts: Vec<(usize, usize)> = cuts.into_iter().map(|(at, len)| (at, (at + len).min(200))).collect();
            parts.extend((0..20).map(|i| (i * 10, i * 10 + 10)));
            let mut state = seed | 1;
            for i in (1..parts.len()).rev() {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                parts.swap(i, (state >> 33) as usize % (i + 1));
            }
            let (mut stream, mut counts, mut got) = (Stream::default(), Counts::default(), Vec::new());
            stream.begin(start);
            for (from, to) in parts {
                stream.segment(start.wrapping_add(from as u32), &sent[from..to], (to - from) as u32, &mut counts, |piece| {
                    if let Piece::Data(bytes) = piece { got.extend_from_slice(bytes) }
                });
            }
            prop_assert_eq!(got, sent);
            prop_assert_eq!((counts.gaps, counts.conflicts, counts.held), (0, 0, 0));
        }
    }
}
