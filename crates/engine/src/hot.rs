//! What is kept in memory about the recent past: counters for the overview, and which events go live.

use crate::analytics::{Analytics, Counted};
use crate::live::{Ring, Topic};
use crate::metrics::Metrics;
use event::{Event, Finding, FindingStatus, Rule, Severity, Timestamp};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// Plain events sent to sockets per second; threats are always sent, up to five times as many.
const LIVE_EVENTS_PER_SECOND: u32 = 200;
const LIVE_THREATS_PER_SECOND: u32 = 1_000;
/// Seconds that the rate averages over.
const RATE_SECS: usize = 10;

/// Findings per hour and rule. Those of signal rules are in the hours only: totals are about what pages people.
#[derive(Default)]
pub(crate) struct FindingCounts {
    hours: BTreeMap<i64, HashMap<Arc<str>, (Arc<Rule>, Severity, u64)>>,
    pub total: u64,
}

/// Whether a finding is told for the first time: revisions, replacements and withdrawals count nothing.
pub(crate) fn is_first_telling(finding: &Finding) -> bool {
    finding.revision == 0 && finding.replaces.is_none() && finding.status != FindingStatus::Withdrawn
}

impl FindingCounts {
    pub fn add(&mut self, rule: &Arc<Rule>, level: Severity, time: Timestamp, count: u64) {
        if !rule.handling.signal {
            self.total += count;
        }
        let hour = self.hours.entry(time.secs().div_euclid(3600)).or_default();
        let entry = hour.entry(rule.id.clone()).or_insert_with(|| (rule.clone(), level, 0));
        entry.1 = entry.1.max(level);
        entry.2 += count;
        if self.hours.len() > 26 {
            self.hours.pop_first();
        }
    }

    fn since(&self, hour: i64) -> impl Iterator<Item = &(Arc<Rule>, Severity, u64)> {
        self.hours.range(hour..).flat_map(|(_, rules)| rules.values())
    }

    pub fn last_hour(&self, now: Timestamp) -> u64 {
        self.since(now.secs().div_euclid(3600)).filter(|(rule, ..)| !rule.handling.signal).map(|(_, _, n)| n).sum()
    }

    /// Of the last 24 h, most first, signal rules included.
    pub fn by_rule(&self, now: Timestamp) -> Vec<(Arc<Rule>, Severity, u64)> {
        let mut sum: HashMap<&str, (Arc<Rule>, Severity, u64)> = HashMap::new();
        for (rule, level, count) in self.since(now.secs().div_euclid(3600) - 23) {
            let entry = sum.entry(&rule.id).or_insert_with(|| (rule.clone(), *level, 0));
            entry.1 = entry.1.max(*level);
            entry.2 += count;
        }
        let mut list: Vec<_> = sum.into_values().collect();
        list.sort_by(|a, b| (b.2, b.1, &a.0.id).cmp(&(a.2, a.1, &b.0.id)));
        list
    }
}

/// Events per second over the last few seconds.
#[derive(Default)]
pub(crate) struct Rate {
    seconds: VecDeque<(i64, u64)>,
}

impl Rate {
    fn add(&mut self, now: Timestamp, count: u64) {
        match self.seconds.back_mut() {
            Some((second, sum)) if *second == now.secs() => *sum += count,
            _ => self.seconds.push_back((now.secs(), count)),
        }
        while self.seconds.len() > RATE_SECS + 1 {
            self.seconds.pop_front();
        }
    }

    pub fn per_second(&self, now: Timestamp) -> f64 {
        let from = now.secs() - RATE_SECS as i64;
        let sum: u64 = self.seconds.iter().filter(|(s, _)| *s >= from && *s < now.secs()).map(|(_, n)| n).sum();
        sum as f64 / RATE_SECS as f64
    }
}

/// How many events may still go live in this second.
#[derive(Default)]
struct Budget {
    second: i64,
    events: u32,
    threats: u32,
}

impl Budget {
    fn take(&mut self, second: i64, threat: bool) -> bool {
        if self.second != second {
            *self = Self { second, events: 0, threats: 0 };
        }
        let (used, max) = if threat {
            (&mut self.threats, LIVE_THREATS_PER_SECOND)
        } else {
            (&mut self.events, LIVE_EVENTS_PER_SECOND)
        };
        *used += 1;
        *used <= max
    }
}

#[derive(Default)]
pub(crate) struct Counters {
    pub analytics: Analytics,
    pub findings: FindingCounts,
    pub rate: Rate,
    budget: Budget,
    /// Events since the start that nothing could be read from.
    pub quarantined: u64,
}

/// Shared by the pipeline, which writes, and the platform, which reads.
#[derive(Default)]
pub(crate) struct Hot {
    counters: Mutex<Counters>,
    pub ring: Arc<Ring>,
}

impl Hot {
    /// Counts processed events and sends them to whoever listens.
    pub fn events(&self, events: &[Event], now: Timestamp, metrics: &Metrics) {
        let mut live = Vec::new();
        {
            let mut counters = self.counters.lock();
            counters.rate.add(now, events.len() as u64);
            let listened = self.ring.has_readers();
            for event in events {
                metrics.count_event(event);
                counters.quarantined += u64::from(crate::metrics::is_quarantined(event));
                counters.analytics.count(&Counted::from(event), now);
                if listened {
                    if counters.budget.take(now.secs(), event.is_threat()) {
                        live.push(event);
                    } else {
                        metrics.live_skipped.inc();
                    }
                }
            }
        }
        for event in live {
            self.ring.publish(Topic::Event, event.to_json().to_string());
        }
    }

    pub fn findings(&self, findings: &[Finding]) {
        let mut counters = self.counters.lock();
        for finding in findings.iter().filter(|finding| is_first_telling(finding)) {
            counters.findings.add(&finding.rule, finding.level, finding.time, 1);
        }
        drop(counters);
        if !self.ring.has_readers() {
            return;
        }
        for finding in findings.iter().take(LIVE_THREATS_PER_SECOND as usize) {
            match serde_json::to_string(finding) {
                Ok(json) => self.ring.publish(Topic::Finding, json),
                Err(error) => tracing::error!(%error, "a finding cannot be written as JSON"),
            }
        }
    }

    /// Takes back what an earlier run counted: of each hour and rule, and in all.
    pub fn restore_findings(&self, total: u64, recent: Vec<(Arc<Rule>, Severity, Timestamp, u64)>) {
        let mut counters = self.counters.lock();
        for (rule, level, time, count) in recent {
            counters.findings.add(&rule, level, time, count);
        }
        counters.findings.total = total;
    }

    pub fn restore_event(&self, event: &Counted<'_>, now: Timestamp) {
        self.counters.lock().analytics.count(event, now);
    }

    pub fn read<T>(&self, read: impl FnOnce(&Counters) -> T) -> T {
        read(&self.counters.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::{Entity, EntityKind, Explanation, Handling, Id, RuleKind};

    fn finding(n: u8, signal: bool) -> Finding {
        let rule = Rule {
            id: if signal { "s" } else { "r" }.into(), name: "R".into(), kind: RuleKind::Correlation, level: Severity::High,
            description: String::new(), techniques: vec![], tactics: vec![], false_positives: vec![], references: vec![],
            author: String::new(), file: String::new(), handling: Handling { signal, ..Handling::default() },
        };
        Finding {
            id: Id([n; 16]), time: Timestamp::from_secs(100), rule: rule.into(), level: Severity::High,
            entity: Entity::new(EntityKind::User, "alice"), event_ids: vec![], positions: vec![], event_count: 1, window: None,
            explanation: Explanation::default(), status: FindingStatus::Provisional, revision: 0, replaces: None,
            user: None, source_ip: None, event_name: None, place: None,
        }
    }

    #[test]
    fn a_finding_counts_once_however_often_it_is_revised_and_signals_apart() {
        let hot = Hot::default();
        let revised = Finding { revision: 1, ..finding(1, false) };
        let withdrawn = Finding { revision: 2, status: FindingStatus::Withdrawn, ..finding(1, false) };
        let moved = Finding { replaces: Some(Id([1; 16])), ..finding(2, false) };
        hot.findings(&[finding(1, false), revised, withdrawn, moved, finding(3, true)]);
        let now = Timestamp::from_secs(200);
        hot.read(|counters| {
            assert_eq!((counters.findings.total, counters.findings.last_hour(now)), (1, 1));
            let by_rule: Vec<_> = counters.findings.by_rule(now).into_iter().map(|(r, _, n)| (r.id.to_string(), n)).collect();
            assert_eq!(by_rule, [("r".to_owned(), 1), ("s".to_owned(), 1)]);
        });
    }
}
