//! Running a rule set over events: candidates by index, evaluation, and what a match turns into.

use super::explain::{Explainer, summary};
use super::index::Bucket;
use super::look::{Look, Memory};
use super::pattern::Pattern;
use super::tree::Node;
use super::{Compiled, RuleSet};
use crate::{Lateness, Matched};
use crate::correlate::{EventSummary, Keyed};
use crate::front::principal;
use event::{Entity, Event, Explanation, Finding, FindingStatus, LogSource, Rule, Severity};
use std::sync::{Arc, Mutex, PoisonError};

/// The state of one batch.
pub(crate) struct Evaluation<'s, 'e> {
    look: Look<'s, 'e>,
    candidates: Candidates,
    /// The buckets of the log sources that the batch has shown.
    buckets: Vec<(LogSource, Vec<&'s Bucket>)>,
}

#[derive(Default)]
struct Candidates {
    rules: Vec<u32>,
    /// Per rule: the last event for which it was a candidate.
    seen: Vec<u32>,
    turn: u32,
}

/// What batches leave for the next ones: one for each thread that evaluates.
#[derive(Default)]
pub(crate) struct Pool(Mutex<Vec<(Memory, Candidates)>>);

/// Most memories that are kept; each has some 100 KB with all of SigmaHQ's rules.
const POOL_MAX: usize = 64;

/// Which parts of a rule held for an event, for `erne explain`.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Trace {
    pub rule: Arc<Rule>,
    pub matched: bool,
    /// Whether the event's log source is one that the rule runs on.
    pub log_source_matches: bool,
    pub steps: Vec<TraceStep>,
    /// The exception that takes this event out of the rule, where the rule matched.
    pub excepted_by: Option<Arc<str>>,
}

/// One detection item of a rule.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TraceStep {
    pub selection: String,
    pub field: String,
    pub operator: String,
    /// The rule's values; all must match where `all` is set, else one.
    pub expected: Vec<String>,
    pub all: bool,
    /// The event's values of that field; empty when it has none.
    pub actual: Vec<String>,
    pub matched: bool,
}

/// Services whose lines are part of a wider log that rules name too: (product, service, wider service).
const WIDER_SERVICES: &[(&str, &str, &str)] = &[("linux", "sshd", "auth"), ("linux", "sudo", "auth")];

/// Categories that are part of a wider one that rules name too: (category, wider category). Sigma's taxonomy
/// has `registry_event` for every registry event of Sysmon.
const WIDER_CATEGORIES: &[(&str, &str)] = &[
    ("registry_add", "registry_event"),
    ("registry_delete", "registry_event"),
    ("registry_set", "registry_event"),
    ("registry_rename", "registry_event"),
];

/// Most values of either side that a trace lists.
const TRACE_VALUES_MAX: usize = 20;

impl RuleSet {
    pub(crate) fn evaluation<'s, 'e>(&'s self) -> Evaluation<'s, 'e> {
        let kept = self.pool.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (memory, mut candidates) = kept.unwrap_or_default();
        candidates.seen.resize(self.compiled.len(), 0);
        Evaluation { look: Look::with(&self.fields, &self.predicates, memory), candidates, buckets: Vec::new() }
    }

    /// Keeps an evaluation's memory for the next batch.
    pub(crate) fn finish(&self, evaluation: Evaluation<'_, '_>) {
        let mut kept = self.pool.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < POOL_MAX {
            kept.push((evaluation.look.into_memory(), evaluation.candidates));
        }
    }

    /// Evaluates one event.
    pub(crate) fn run<'s, 'e>(
        &'s self,
        evaluation: &mut Evaluation<'s, 'e>,
        event: &'e Event,
        lateness: &Lateness,
        out: &mut Matched,
        ids: &mut Vec<Arc<str>>,
        severity: &mut Severity,
    ) {
        self.collect(evaluation, event);
        for index in &evaluation.candidates.rules {
            let compiled = &self.compiled[*index as usize];
            if !compiled.root.holds(&mut evaluation.look)
                || self.exceptions.take(&compiled.rule.id, event, &mut evaluation.look)
            {
                continue;
            }
            if compiled.emits {
                ids.push(compiled.rule.id.clone());
                *severity = (*severity).max(compiled.rule.level);
                if compiled.rule.level >= out.findings_from {
                    out.findings.push(self.finding(compiled, event, &mut evaluation.look));
                } else {
                    out.untold += 1;
                }
            }
            for (correlation, part) in &compiled.parts {
                let correlation_rule = &self.correlations[*correlation as usize];
                if self.exceptions.take_correlated(&correlation_rule.rule.id, event, &mut evaluation.look) {
                    continue;
                }
                out.keyed.extend(correlation_rule.key(*correlation, *part, event, lateness.secs(event)));
            }
        }
        if self.traces_principals && principal::grants(event) {
            out.keyed.extend(Keyed::grant(event, lateness.secs(event)));
        }
    }

    /// Whether an exception takes the event out of a rule that this set does not hold, a threat list's. The event
    /// must be the one that was run last.
    pub(crate) fn excepts<'s, 'e>(&'s self, evaluation: &mut Evaluation<'s, 'e>, rule_id: &str, event: &'e Event) -> bool {
        self.exceptions.take(rule_id, event, &mut evaluation.look)
    }

    /// The rules whose witness the event shows, in the order they were loaded.
    fn collect<'s, 'e>(&'s self, evaluation: &mut Evaluation<'s, 'e>, event: &'e Event) {
        let Evaluation { look, candidates: Candidates { rules, seen, turn }, buckets } = evaluation;
        let known = buckets.iter().position(|(source, _)| *source == event.log_source);
        let at = known.unwrap_or_else(|| {
            buckets.push((event.log_source, self.buckets_of(&event.log_source)));
            buckets.len() - 1
        });
        look.turn(event);
        rules.clear();
        *turn = turn.wrapping_add(1);
        if *turn == 0 {
            seen.fill(0);
            *turn = 1;
        }
        let turn = *turn;
        for bucket in &buckets[at].1 {
            bucket.candidates(look, &mut |rule| {
                let last = &mut seen[rule as usize];
                if *last != turn {
                    *last = turn;
                    rules.push(rule);
                }
            });
        }
        rules.sort_unstable();
    }

    /// The buckets of every log source that a rule may name for an event of this one: each part is either
    /// the event's or none.
    fn buckets_of(&self, source: &LogSource) -> Vec<&Bucket> {
        let optional = |part: &'static str| if part.is_empty() { vec![""] } else { vec!["", part] };
        let mut services = optional(source.service);
        services.extend(wider_service(source));
        let mut categories = optional(source.category);
        categories.extend(wider_category(source));
        let mut buckets = Vec::new();
        for product in optional(source.product) {
            for category in categories.iter().copied() {
                let key = |service: &&str| [product.into(), category.into(), (*service).into()];
                buckets.extend(services.iter().filter_map(|service| self.buckets.get(&key(service))));
            }
        }
        buckets
    }

    /// Ids of the rules that hold for an event, found without the index: what the index is tested against.
    #[doc(hidden)]
    pub fn matches_without_index(&self, event: &Event) -> Vec<Arc<str>> {
        let mut look = Look::new(&self.fields, &self.predicates);
        look.turn(event);
        let of_source = |compiled: &&Compiled| runs_on(compiled, &event.log_source);
        let rules = self.compiled.iter().filter(of_source);
        rules.filter(|compiled| compiled.root.holds(&mut look)).map(|compiled| compiled.rule.id.clone()).collect()
    }

    fn finding(&self, compiled: &Compiled, event: &Event, look: &mut Look<'_, '_>) -> Finding {
        let mut explainer =
            Explainer { fields: &self.fields, predicates: &self.predicates, names: &compiled.names, conditions: Vec::new() };
        explainer.walk(&compiled.root, "", look);
        let explanation =
            Explanation { summary: summary(event, &compiled.rule.name), conditions: explainer.conditions };
        finding_of_event(&compiled.rule, event, explanation)
    }

    /// Which parts of one rule hold for one event; `None` if there is no detection rule of that id.
    pub fn explain(&self, rule_id: &str, event: &Event) -> Option<Trace> {
        let compiled = self.compiled.iter().find(|compiled| &*compiled.rule.id == rule_id)?;
        let mut look = Look::new(&self.fields, &self.predicates);
        look.turn(event);
        let mut steps = Vec::new();
        self.trace(&compiled.root, compiled, "", &mut look, &mut steps);
        let log_source_matches = runs_on(compiled, &event.log_source);
        let matched = log_source_matches && compiled.root.holds(&mut look);
        let excepted_by = if matched { self.exceptions.find(rule_id, event, &mut look).cloned() } else { None };
        Some(Trace { rule: compiled.rule.clone(), matched, log_source_matches, steps, excepted_by })
    }

    fn trace(&self, node: &Node, compiled: &Compiled, selection: &str, look: &mut Look<'_, '_>, out: &mut Vec<TraceStep>) {
        match node {
            Node::Predicate(id) => out.push(self.trace_step(*id, selection, look)),
            Node::And(nodes) | Node::Or(nodes) | Node::AtLeast(_, nodes) => {
                nodes.iter().for_each(|node| self.trace(node, compiled, selection, look, out));
            }
            Node::Not(inner) => self.trace(inner, compiled, selection, look, out),
            Node::Named(name, inner) => self.trace(inner, compiled, &compiled.names[*name as usize], look, out),
        }
    }

    fn trace_step(&self, id: u32, selection: &str, look: &mut Look<'_, '_>) -> TraceStep {
        let predicate = &self.predicates[id as usize];
        let matched = look.holds(id);
        look.fill(predicate.field);
        let shown = |pattern: &Pattern| pattern.shown.to_string();
        let values = look.values(predicate.field).iter().filter_map(|seen| seen.text());
        TraceStep {
            selection: selection.to_owned(),
            field: self.fields.name(predicate.field).to_owned(),
            operator: predicate.operator.to_string(),
            expected: match predicate.exists {
                Some(expected) => vec![expected.to_string()],
                None => predicate.patterns.iter().take(TRACE_VALUES_MAX).map(shown).collect(),
            },
            all: predicate.all,
            actual: values.take(TRACE_VALUES_MAX).map(|text| super::cut(text, 256).to_string()).collect(),
            matched,
        }
    }
}

/// A finding about a single event.
pub(crate) fn finding_of_event(rule: &Arc<Rule>, event: &Event, explanation: Explanation) -> Finding {
    let EventSummary { user, source_ip, event_name, place, .. } = EventSummary::of(event);
    Finding {
        id: Finding::id_of_event(&rule.id, event),
        time: event.time,
        rule: rule.clone(),
        level: rule.level,
        entity: Entity::of(event),
        event_ids: vec![event.uid.clone()],
        positions: vec![event.position],
        event_count: 1,
        window: None,
        explanation,
        status: FindingStatus::Final,
        revision: 0,
        replaces: None,
        user,
        source_ip,
        event_name,
        place,
    }
}

fn runs_on(compiled: &Compiled, source: &LogSource) -> bool {
    let [product, category, service] = compiled.log_source.each_ref().map(|part| part.as_str());
    let fits = |wanted: &str, part: &str| wanted.is_empty() || wanted == part;
    fits(product, source.product)
        && (fits(category, source.category) || wider_category(source) == Some(category))
        && (fits(service, source.service) || wider_service(source) == Some(service))
}

fn wider_category(source: &LogSource) -> Option<&'static str> {
    WIDER_CATEGORIES.iter().find(|(category, _)| *category == source.category).map(|(_, wider)| *wider)
}

fn wider_service(source: &LogSource) -> Option<&'static str> {
    let (_, _, wider) = WIDER_SERVICES.iter().find(|(p, s, _)| *p == source.product && *s == source.service)?;
    Some(wider)
}
