//! What rules would have told: they are run over the events of the lake, without any effect on anything.
//!
//! Detection rules see the events as they come out of the lake; correlations see what matched in the order of
//! event time, as `erne hunt` does it. Bounded in events, seconds, and what is kept in memory; a replay that
//! meets a bound says so and tells what it has.

use crate::processor::Stateful;
use crate::rebuild;
use detect::{Detector, Keyed, Matched, RuleSet};
use event::{Entity, Event, Finding, FindingStatus, Id, Severity, Timestamp};
use parse::enrich::Enricher;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;
use store::lake::{Lake, LakeError};

/// Findings that are shown.
const SAMPLES_MAX: usize = 20;
/// Entities that are told, and those that are counted to find them.
const ENTITIES_SHOWN: usize = 20;
const ENTITIES_MAX: usize = 100_000;
/// Events that play a part in correlations and are held until all is read.
const KEYED_MAX: usize = 500_000;
/// Alerts that are told apart.
const ALERTS_MAX: usize = 1_000_000;

/// Where a replay stops.
#[derive(Clone, Copy, Debug)]
pub struct ReplayLimits {
    pub events_max: u64,
    pub secs_max: u64,
}

impl Default for ReplayLimits {
    fn default() -> Self {
        Self { events_max: 5_000_000, secs_max: 120 }
    }
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct ReplayDay {
    /// `2026-11-20`, UTC.
    pub day: String,
    pub events: u64,
    pub findings: u64,
    pub alerts: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct EntityCount {
    pub entity: Entity,
    pub count: u64,
}

/// What a replay tells.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Replay {
    /// Events read.
    pub events: u64,
    /// Matches of the rules, informational ones too.
    pub matches: u64,
    /// Alerts that would have been raised: findings of one rule about one entity within its `dedup`.
    pub alerts: u64,
    pub secs: f64,
    /// Whether a bound ended it early.
    pub truncated: bool,
    pub per_day: Vec<ReplayDay>,
    /// Those with the most findings, most first.
    pub entities: Vec<EntityCount>,
    /// The first findings, oldest first.
    pub samples: Vec<Finding>,
    /// What could not be replayed, and why it ended early.
    pub notes: Vec<String>,
}

/// What to replay.
pub struct ReplayJob<'a> {
    pub lake: &'a Lake,
    pub enricher: &'a Enricher,
    pub rules: &'a Arc<RuleSet>,
    /// Whether findings of a rule are told; others only feed correlations.
    pub tells: &'a (dyn Fn(&event::Rule) -> bool + Sync),
    pub from: Timestamp,
    pub to: Timestamp,
    pub limits: ReplayLimits,
}

/// Runs it. `go_on` is asked every few thousand events, with how many were read.
pub fn replay(job: &ReplayJob<'_>, go_on: &mut dyn FnMut(u64) -> bool) -> Result<Replay, LakeError> {
    let mut run = Run::new(job);
    job.lake.scan(rebuild::COLUMNS, job.from, job.to, &mut |batch| {
        let mut events = Vec::with_capacity(batch.num_rows());
        rebuild::rows(batch, &mut |stored| match stored.and_then(|stored| stored.rebuild(job.enricher)) {
            Some(rebuilt) => {
                run.differing += u64::from(!rebuilt.same_time);
                events.push(rebuilt.event);
            }
            None => run.not_rebuilt += 1,
        });
        run.take(&mut events);
        run.may_go_on() && go_on(run.out.events)
    })?;
    Ok(run.finish())
}

/// Findings are told again when late events change them: what is left of them in the end.
fn last_revisions(findings: Vec<Finding>) -> Vec<Finding> {
    let mut last: HashMap<Id, Finding> = HashMap::new();
    for finding in findings {
        if let Some(old) = finding.replaces {
            last.remove(&old);
        }
        match finding.status {
            FindingStatus::Withdrawn => last.remove(&finding.id),
            _ => last.insert(finding.id, finding),
        };
    }
    let mut last: Vec<Finding> = last.into_values().collect();
    last.sort_by_key(|finding| (finding.time, finding.id));
    last
}

struct Run<'a> {
    job: &'a ReplayJob<'a>,
    detector: Detector,
    started: Instant,
    keyed: Vec<Keyed>,
    days: BTreeMap<i64, ReplayDay>,
    alerts: HashSet<Id>,
    entities: HashMap<Entity, u64>,
    not_rebuilt: u64,
    differing: u64,
    out: Replay,
}

impl<'a> Run<'a> {
    fn new(job: &'a ReplayJob<'a>) -> Self {
        Self {
            job,
            detector: Detector { rules: job.rules.clone(), lists: Arc::default(), lateness: Arc::default() },
            started: Instant::now(),
            keyed: Vec::new(),
            days: BTreeMap::new(),
            alerts: HashSet::new(),
            entities: HashMap::new(),
            not_rebuilt: 0,
            differing: 0,
            out: Replay::default(),
        }
    }

    fn take(&mut self, events: &mut [Event]) {
        self.out.events += events.len() as u64;
        for event in events.iter() {
            self.day(event.time).events += 1;
        }
        let mut matched = Matched::default();
        self.detector.run(events, &mut matched);
        self.keyed.extend(matched.keyed);
        for finding in matched.findings {
            self.tell(finding);
        }
    }

    fn day(&mut self, time: Timestamp) -> &mut ReplayDay {
        let day = time.0.div_euclid(86_400_000_000);
        self.days.entry(day).or_insert_with(|| ReplayDay {
            day: Timestamp(day * 86_400_000_000).to_string().chars().take(10).collect(),
            ..ReplayDay::default()
        })
    }

    fn tell(&mut self, finding: Finding) {
        if !(self.job.tells)(&finding.rule) {
            return;
        }
        self.out.matches += 1;
        if finding.level == Severity::Informational {
            return;
        }
        let is_new = !finding.rule.handling.signal && self.is_new_alert(&finding);
        let day = self.day(finding.time);
        day.findings += 1;
        day.alerts += u64::from(is_new);
        self.out.alerts += u64::from(is_new);
        if self.entities.len() < ENTITIES_MAX || self.entities.contains_key(&finding.entity) {
            *self.entities.entry(finding.entity.clone()).or_default() += 1;
        }
        if self.out.samples.len() < SAMPLES_MAX {
            self.out.samples.push(finding);
        }
    }

    /// Whether no earlier finding of this rule about this entity fell into the same stretch of `dedup`.
    fn is_new_alert(&mut self, finding: &Finding) -> bool {
        if self.alerts.len() >= ALERTS_MAX {
            return true;
        }
        let stretch = finding.time.0.div_euclid(finding.rule.handling.dedup_secs.max(1).saturating_mul(1_000_000));
        let entity = serde_json::to_vec(&finding.entity).unwrap_or_default();
        self.alerts.insert(Id::of(&[finding.rule.id.as_bytes(), &entity, &stretch.to_le_bytes()]))
    }

    fn may_go_on(&mut self) -> bool {
        let limits = self.job.limits;
        let why = if self.out.events >= limits.events_max {
            format!("ended after {} events: choose a shorter time", self.out.events)
        } else if self.started.elapsed().as_secs() >= limits.secs_max {
            format!("ended after {} seconds: choose a shorter time", limits.secs_max)
        } else if self.keyed.len() >= KEYED_MAX {
            format!("ended at {KEYED_MAX} events for correlations: choose a shorter time")
        } else {
            return true;
        };
        self.out.truncated = true;
        self.out.notes.push(why);
        false
    }

    fn finish(mut self) -> Replay {
        let mut keyed = std::mem::take(&mut self.keyed);
        keyed.sort_by_key(|part| (part.time, part.position));
        let mut stateful = Stateful::new(self.job.rules);
        let mut stepped = stateful.step(keyed);
        stepped.findings.extend(stateful.finish().findings);
        for finding in last_revisions(stepped.findings) {
            self.tell(finding);
        }
        let mut note = |count: u64, what: &str| {
            if count > 0 {
                self.out.notes.push(format!("{count} {what}"));
            }
        };
        note(self.not_rebuilt, "stored events could not be read again and were left out");
        note(self.differing, "events have another time than when they were stored: the parser has changed since");
        self.out.samples.sort_by_key(|finding| finding.time);
        self.out.per_day = self.days.into_values().collect();
        let mut entities: Vec<_> = self.entities.into_iter().map(|(entity, count)| EntityCount { entity, count }).collect();
        entities.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.entity.value.cmp(&b.entity.value)));
        entities.truncate(ENTITIES_SHOWN);
        self.out.entities = entities;
        self.out.secs = self.started.elapsed().as_secs_f64();
        self.out
    }
}
