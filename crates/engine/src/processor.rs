use crate::content::{self, ContentDirs};
use detect::{Correlator, Detector, Keyed, LoadIssue, Matched, RuleSet, Stepped};
use event::{Event, Finding, Record, Rule};
use parse::enrich::Enricher;
use std::sync::Arc;

/// The pure step: everything that decides what a record means. No clock, no I/O, no threads inside, so
/// that the same records give the same events and findings live, replayed and in `erne hunt`.
pub struct Processor {
    enricher: Arc<Enricher>,
    detector: Detector,
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
        let detector = Detector { rules: Arc::new(rules), lists: Arc::new(lists) };
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
        let detector = Detector { rules: self.detector.rules.clone(), lists };
        Self { enricher: self.enricher.clone(), detector }
    }

    /// Parses, enriches and matches. Each record comes with its log offset.
    pub fn stateless(&self, records: &[(u64, Record)]) -> Stateless {
        let mut out = Stateless::default();
        for (offset, record) in records {
            parse::parse(record, *offset, &mut out.events);
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
pub struct Stateful {
    shards: Vec<Correlator>,
}

impl Stateful {
    pub const SHARDS: usize = 8;

    pub fn new(rules: &Arc<RuleSet>) -> Self {
        Self { shards: (0..Self::SHARDS).map(|_| Correlator::new(rules.clone())).collect() }
    }

    /// Takes back an entry that an earlier `step` wrote.
    pub fn restore(&mut self, key: &[u8], value: &[u8]) {
        if let Some((shard, key)) = key.split_first()
            && let Some(shard) = self.shards.get_mut(usize::from(*shard))
        {
            shard.restore(key, value);
        }
    }

    /// Correlates keyed events in log order; findings come out in shard order.
    pub fn step(&mut self, keyed: Vec<Keyed>) -> Stepped {
        let mut parts: [Vec<Keyed>; Self::SHARDS] = Default::default();
        for one in keyed {
            parts[(one.shard_hash % Self::SHARDS as u64) as usize].push(one);
        }
        let mut out = Stepped::default();
        for (index, (shard, part)) in self.shards.iter_mut().zip(&parts).enumerate() {
            if part.is_empty() {
                continue;
            }
            let from = out.delta.len();
            shard.step(part, &mut out);
            for (key, _) in &mut out.delta[from..] {
                key.insert(0, index as u8);
            }
        }
        out
    }
}
