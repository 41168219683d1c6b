use crate::content::{self, ContentDirs};
use detect::{Correlator, Detector, Front, Keyed, LoadIssue, Matched, RuleSet, Stepped};
use event::{CompactString, Event, Finding, Format, Id, Issue, Position, Record, Rule, Timestamp};
use parse::enrich::Enricher;
use std::sync::Arc;

/// The pure step: everything that decides what a record means. No clock, no I/O, no threads inside, so
/// that the same records give the same events and findings live, replayed and in `erne hunt`.
pub struct Processor {
    enricher: Arc<Enricher>,
    detector: Detector,
}

/// Entries of one record that become events of their own. An event takes a kilobyte and a half, an entry as
/// little as two bytes: without a bound, one hostile body would need gigabytes, again at every replay.
pub const ENTRIES_PER_RECORD_MAX: usize = 50_000;

/// Reads a record's entries; what follows the last one that is read stays together as one flagged event.
fn read(record: &Record, offset: u64, events: &mut Vec<Event>) {
    let from = events.len();
    let mut entries = parse::events(record, offset);
    events.extend(entries.by_ref().take(ENTRIES_PER_RECORD_MAX));
    if events.len() - from < ENTRIES_PER_RECORD_MAX || entries.next().is_none() {
        return;
    }
    // UTF-16 is converted, so that its entries are no slices of the body: then the whole body is kept.
    let body = record.body.as_ptr() as usize;
    let end = events.last().map_or(0, |e| (e.raw.as_ptr() as usize + e.raw.len()).wrapping_sub(body));
    let rest = record.body.slice(if end <= record.body.len() { end } else { 0 }..);
    let index = ENTRIES_PER_RECORD_MAX as u32;
    let uid = Id::of(&[b"event", record.source.as_bytes(), &offset.to_le_bytes(), &index.to_le_bytes()]);
    let mut event = Event::new(
        compact(uid),
        Position { offset, index },
        record.received,
        record.source.clone(),
        Format::Raw,
        rest,
    );
    let detail = format!("the record has more than {ENTRIES_PER_RECORD_MAX} entries; this is the rest, unread").into();
    event.issues.push(Issue { code: "too_many_entries", detail });
    events.push(event);
}

fn compact(id: Id) -> CompactString {
    CompactString::from(id.to_string())
}

/// What the stateless stage made of a run of records.
#[derive(Default)]
pub struct Stateless {
    pub events: Vec<Event>,
    pub findings: Vec<Finding>,
    pub keyed: Vec<Keyed>,
}

impl Processor {
    pub fn new(enricher: Arc<Enricher>, detector: Detector) -> Self {
        Self { enricher, detector }
    }

    /// With the content pack of the binary and no GeoIP database.
    pub fn builtin() -> (Self, Vec<LoadIssue>) {
        let dirs = ContentDirs::default();
        let (rules, mut issues) = content::load_rules(&dirs);
        let (lists, more) = content::load_lists(&dirs);
        issues.extend(more);
        let (enricher, _) = Enricher::new(Default::default());
        let detector = Detector { rules: Arc::new(rules), lists: Arc::new(lists), lateness: Default::default() };
        (Self::new(Arc::new(enricher), detector), issues)
    }

    pub fn rules(&self) -> &[Arc<Rule>] {
        self.detector.rules.rules()
    }

    pub fn rule_set(&self) -> &Arc<RuleSet> {
        &self.detector.rules
    }

    /// The same rules and enrichment with other threat lists.
    pub fn with_lists(&self, lists: Arc<detect::ThreatLists>) -> Self {
        let detector = Detector { rules: self.detector.rules.clone(), lists, lateness: self.detector.lateness.clone() };
        Self { enricher: self.enricher.clone(), detector }
    }

    /// Parses, enriches and matches. Each record comes with its log offset.
    pub fn stateless(&self, records: &[(u64, Record)]) -> Stateless {
        let mut out = Stateless::default();
        for (offset, record) in records {
            read(record, *offset, &mut out.events);
        }
        for event in &mut out.events {
            self.enricher.enrich(event);
        }
        let mut matched = Matched::default();
        self.detector.run(&mut out.events, &mut matched);
        out.findings = matched.findings;
        out.keyed = matched.keyed;
        out
    }
}

/// The stateful stage: correlation state, split by key into shards that share nothing.
///
/// The number of shards is a constant, like a topic's partitions: an entry's shard is the first byte of
/// its stored key, so that state finds its shard again after a restart, and on another node.
///
/// Before them stands what groups share: who assumed which role, how many people use an address.
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

    /// Takes back an entry that an earlier `step` wrote; entries come in the order of their keys. False if no rule
    /// knows it any more: then it can be deleted.
    pub fn restore(&mut self, key: &[u8], value: &[u8]) -> bool {
        let Some((shard, key)) = key.split_first() else { return false };
        if *shard == FRONT {
            return self.front.restore(key, value);
        }
        self.shards.get_mut(usize::from(*shard)).is_some_and(|shard| shard.restore(key, value))
    }

    /// Correlates keyed events in log order. What is due in any shard by an event's receipt ripens before the event,
    /// and a finding that feeds another correlation does so at once: the order of everything is that of the
    /// log, however it is cut into batches.
    pub fn step(&mut self, keyed: Vec<Keyed>) -> Stepped {
        let mut out = Stepped::default();
        let keyed = self.front.pass(keyed, &mut out.delta);
        out.delta.iter_mut().for_each(|(key, _)| key.insert(0, FRONT));
        for one in keyed {
            self.ripen_until(one.received, &mut out);
            self.shards[shard_of(&one)].apply(&one, &mut out);
            self.feed(&mut out);
        }
        self.flush(&mut out);
        out
    }

    /// Time passes without events. `now` must not be later than the receipt of any record still to be processed: call it
    /// when everything in the log is processed, with the clock as it was read before that was checked.
    pub fn advance(&mut self, now: Timestamp) -> Stepped {
        let mut out = Stepped::default();
        self.ripen_until(now, &mut out);
        self.flush(&mut out);
        out
    }

    /// When `advance` has something to do next, in log time.
    pub fn next_due(&mut self) -> Option<Timestamp> {
        self.shards.iter_mut().filter_map(Correlator::next_due).min()
    }

    /// No more input comes (files): what is decided by the newest event time seen is told.
    pub fn finish(&mut self) -> Stepped {
        let mut out = Stepped::default();
        for _ in 0..ROUNDS_MAX {
            let Some(newest) = self.shards.iter().map(Correlator::newest).max() else { break };
            self.shards.iter_mut().for_each(|shard| shard.finish_until(newest, &mut out));
            if out.chained.is_empty() {
                break;
            }
            self.feed(&mut out);
        }
        self.flush(&mut out);
        out
    }

    /// Takes other rules; those whose text is the same keep their windows. The delta deletes the state of the others.
    pub fn reload(&mut self, rules: &Arc<RuleSet>) -> Stepped {
        let mut out = Stepped::default();
        self.front.reload(rules.clone());
        for (index, shard) in self.shards.iter_mut().enumerate() {
            let from = out.delta.len();
            shard.reload(rules.clone(), &mut out);
            number_keys(&mut out, from, index);
        }
        out
    }

    fn ripen_until(&mut self, until: Timestamp, out: &mut Stepped) {
        loop {
            let next = self.shards.iter_mut().enumerate().filter_map(|(index, shard)| Some((shard.next_due()?, index))).min();
            let Some((_, index)) = next.filter(|(due, _)| *due <= until) else { return };
            self.shards[index].ripen_next(out);
            self.feed(out);
        }
    }

    /// Findings that other correlations count go to their shards, until none is left.
    fn feed(&mut self, out: &mut Stepped) {
        for _ in 0..ROUNDS_MAX {
            if out.chained.is_empty() {
                return;
            }
            for one in std::mem::take(&mut out.chained) {
                self.shards[shard_of(&one)].apply(&one, out);
            }
        }
        out.chained.clear();
    }

    fn flush(&mut self, out: &mut Stepped) {
        for (index, shard) in self.shards.iter_mut().enumerate() {
            let from = out.delta.len();
            shard.flush(out);
            number_keys(out, from, index);
        }
    }
}

/// Most rounds in which findings feed correlations at one moment; rules build on each other at most four deep.
const ROUNDS_MAX: usize = 64;

fn shard_of(one: &Keyed) -> usize {
    (one.shard_hash % Stateful::SHARDS as u64) as usize
}

/// Stored keys begin with their shard.
fn number_keys(out: &mut Stepped, from: usize, shard: usize) {
    for (key, _) in &mut out.delta[from..] {
        key.insert(0, shard as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_millions_of_entries_costs_a_bounded_amount() {
        let (processor, _) = Processor::builtin();
        let body = "x\n".repeat(3_000_000);
        let record = Record { source: "s".into(), format: None, received: Timestamp(0), peer: None, body: body.clone().into() };
        let out = processor.stateless(&[(7, record)]);
        assert_eq!(out.events.len(), ENTRIES_PER_RECORD_MAX + 1);
        let rest = out.events.last().expect("the rest");
        assert_eq!(rest.issues[0].code, "too_many_entries");
        let kept: usize = out.events.iter().map(|e| e.raw.iter().filter(|b| **b == b'x').count()).sum();
        assert_eq!(kept, 3_000_000, "no byte of content is lost");
    }
}
