use crate::content::{self, ContentDirs};
use detect::{Detector, Keyed, LoadIssue, Matched, RuleSet};
use event::{CompactString, Event, Finding, Format, Id, Issue, Position, Record, Rule, Severity};
use parse::enrich::Enricher;
use std::sync::Arc;

/// The pure step: everything that decides what a record means. No clock, no I/O, no threads inside, so
/// that the same records give the same events and findings live, replayed and in `erne hunt`.
pub struct Processor {
    enricher: Arc<Enricher>,
    detector: Detector,
    /// The level from which on matches are told as findings.
    findings_from: Severity,
    /// Grows by one with every other rule set: results of different rule sets must not be mixed.
    generation: u64,
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
    /// The rules that made it; `keyed` refers to them by number.
    pub rules: Arc<RuleSet>,
    /// Which of the processor's rule sets that is.
    pub generation: u64,
    pub events: Vec<Event>,
    pub findings: Vec<Finding>,
    pub keyed: Vec<Keyed>,
    /// Matches below the level from which on they are told.
    pub untold: u64,
}

impl Processor {
    pub fn new(enricher: Arc<Enricher>, detector: Detector) -> Self {
        Self { enricher, detector, generation: 0, findings_from: Severity::Informational }
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

    /// The same, telling findings from this level on; what is below is counted, and stands on its event.
    pub fn telling_from(self, level: Severity) -> Self {
        Self { findings_from: level, ..self }
    }

    /// The same rules and enrichment with other threat lists.
    pub fn with_lists(&self, lists: Arc<detect::ThreatLists>) -> Self {
        let detector = Detector { rules: self.detector.rules.clone(), lists, lateness: self.detector.lateness.clone() };
        Self { enricher: self.enricher.clone(), detector, generation: self.generation, findings_from: self.findings_from }
    }

    /// The same lists and enrichment with other rules.
    pub fn with_rules(&self, rules: Arc<RuleSet>) -> Self {
        let detector = Detector { rules, lists: self.detector.lists.clone(), lateness: self.detector.lateness.clone() };
        Self { enricher: self.enricher.clone(), detector, generation: self.generation + 1, findings_from: self.findings_from }
    }

    /// How late events may come, by source.
    pub fn lateness(&self) -> &detect::Lateness {
        &self.detector.lateness
    }

    /// One rule for each threat list.
    pub fn list_rules(&self) -> &[Arc<Rule>] {
        self.detector.lists.rules()
    }

    pub(crate) fn enricher(&self) -> &Enricher {
        &self.enricher
    }

    /// Parses, enriches and matches. Each record comes with its log offset.
    pub fn stateless(&self, records: &[(u64, Record)]) -> Stateless {
        let mut out =
            Stateless { rules: self.detector.rules.clone(), generation: self.generation, ..Stateless::default() };
        for (offset, record) in records {
            read(record, *offset, &mut out.events);
        }
        for event in &mut out.events {
            self.enricher.enrich(event);
        }
        let mut matched = Matched { findings_from: self.findings_from, ..Matched::default() };
        self.detector.run(&mut out.events, &mut matched);
        out.findings = matched.findings;
        out.keyed = matched.keyed;
        out.untold = matched.untold;
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::Timestamp;

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
