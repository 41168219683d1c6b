//! The stateful stage: one correlator a shard, driven in one order.

use detect::{Correlator, Front, Keyed, RuleSet, Stepped};
use event::Timestamp;
use std::sync::Arc;

/// Most rounds in which findings feed correlations of other shards at one moment.
const ROUNDS_MAX: usize = 64;

/// Correlation state, split by key into shards that share nothing.
///
/// The number of shards is a constant, like a topic's partitions: an entry's shard is the first byte of
/// its stored key, so that state finds its shard again after a restart, and on another node.
///
/// The order is that of the log: what is due by an event's time of receipt ripens before it, over all shards, and
/// what a finding is to other correlations is fed before the next event. So it does not matter how the log was cut
/// into runs, nor how often time was told to advance in between.
///
/// Before the shards stands what groups share: who assumed which role, how many people use an address.
pub struct Stateful {
    front: Front,
    shards: Vec<Correlator>,
}

/// Begins the stored keys of what stands before the shards.
const FRONT: u8 = u8::MAX;

impl Stateful {
    pub const SHARDS: usize = 8;

    pub fn new(rules: &Arc<RuleSet>) -> Self {
        Self { front: Front::new(rules.clone()), shards: (0..Self::SHARDS).map(|_| Correlator::new(rules.clone())).collect() }
    }

    /// Takes back an entry that an earlier `step` wrote, in the order of keys. False if it is of a rule that
    /// changed or went: then it can be deleted.
    pub fn restore(&mut self, key: &[u8], value: &[u8]) -> bool {
        let Some((shard, key)) = key.split_first() else { return false };
        if *shard == FRONT {
            return self.front.restore(key, value);
        }
        self.shards.get_mut(usize::from(*shard)).is_some_and(|shard| shard.restore(key, value))
    }

    /// Takes the events' parts in log order.
    pub fn step(&mut self, keyed: Vec<Keyed>) -> Stepped {
        let mut out = Stepped::default();
        let keyed = self.front.pass(keyed, &mut out.delta);
        address(FRONT, &mut out.delta);
        for part in keyed {
            self.ripen(part.received, &mut out);
            let shard = shard_of(&part);
            self.shards[shard].apply(&part, &mut out);
            self.feed(&mut out);
        }
        self.flush(&mut out);
        out
    }

    /// Time passes without events; `now` is not later than the receipt of any record still to come.
    pub fn advance(&mut self, now: Timestamp) -> Stepped {
        let mut out = Stepped::default();
        self.ripen(now, &mut out);
        self.flush(&mut out);
        out
    }

    /// Whether something is due by then.
    pub fn is_due(&mut self, now: Timestamp) -> bool {
        self.next_due().is_some_and(|(time, _)| time <= now)
    }

    /// No more input comes: tells what is decided by the newest event time seen. For files.
    pub fn finish(&mut self) -> Stepped {
        let mut out = Stepped::default();
        for _ in 0..ROUNDS_MAX {
            let newest = self.shards.iter().map(Correlator::newest).max().unwrap_or(Timestamp(i64::MIN));
            for shard in &mut self.shards {
                shard.finish_until(newest, &mut out);
            }
            if out.chained.is_empty() {
                break;
            }
            self.feed(&mut out);
        }
        self.flush(&mut out);
        out
    }

    /// Goes on with other rules: windows of unchanged correlations are kept, the others' state is deleted.
    pub fn reload(&mut self, rules: &Arc<RuleSet>) -> Stepped {
        let mut out = Stepped::default();
        self.front.reload(rules.clone());
        for (index, shard) in self.shards.iter_mut().enumerate() {
            let from = out.delta.len();
            shard.reload(rules.clone(), &mut out);
            address(index as u8, &mut out.delta[from..]);
        }
        out
    }

    fn next_due(&mut self) -> Option<(Timestamp, usize)> {
        let due = |(index, shard): (usize, &mut Correlator)| shard.next_due().map(|time| (time, index));
        self.shards.iter_mut().enumerate().filter_map(due).min()
    }

    fn ripen(&mut self, until: Timestamp, out: &mut Stepped) {
        while let Some((time, shard)) = self.next_due()
            && time <= until
        {
            self.shards[shard].ripen_next(out);
            self.feed(out);
        }
    }

    fn feed(&mut self, out: &mut Stepped) {
        for _ in 0..ROUNDS_MAX {
            if out.chained.is_empty() {
                return;
            }
            for part in std::mem::take(&mut out.chained) {
                self.shards[shard_of(&part)].apply(&part, out);
            }
        }
        tracing::error!(left = out.chained.len(), "correlations of correlations do not come to rest");
        out.chained.clear();
    }

    fn flush(&mut self, out: &mut Stepped) {
        for (index, shard) in self.shards.iter_mut().enumerate() {
            let from = out.delta.len();
            shard.flush(out);
            address(index as u8, &mut out.delta[from..]);
        }
    }
}

fn shard_of(part: &Keyed) -> usize {
    (part.shard_hash % Stateful::SHARDS as u64) as usize
}

fn address(shard: u8, delta: &mut [(Vec<u8>, Option<Vec<u8>>)]) {
    for (key, _) in delta {
        key.insert(0, shard);
    }
}
