//! What a window is told as, and what changed since it was told last.

use super::super::finding::{condition, duration};
use super::entry::Entry;
use super::rule::{MILLI, Measure, Rule};
use super::walk::{self, Window};
use crate::stateful::{Draft, EventRef};
use event::{Condition, Finding, FindingStatus, Timestamp};
use rsigma_parser::ConditionOperator;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A withdrawn finding is remembered so that its revisions go on if it comes back; so many at most.
const WITHDRAWN_MAX: usize = 16;
/// Rules that an explanation lists.
const RULE_CONDITIONS_MAX: usize = 8;

/// A finding that was told and is not final.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// Its first event time: its cause.
    pub from: i64,
    pub to: i64,
    pub count: u64,
    pub revision: u32,
    pub is_withdrawn: bool,
}

/// A window that satisfies the condition, as it is now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Burst {
    pub from: i64,
    pub to: i64,
    pub count: u64,
    /// Nothing can change it any more.
    pub is_final: bool,
    /// Where its details are.
    pub place: usize,
}

/// The details of a window.
pub(crate) struct Details {
    pub time: i64,
    pub window: (i64, i64),
    pub count: u64,
    /// Events were folded, let go or estimated.
    pub is_about: bool,
    pub distinct: u64,
    /// Thousandths.
    pub number: i128,
    /// First event time per part.
    pub parts: BTreeMap<u16, i64>,
    pub events: Vec<EventRef>,
}

/// What is to be told of a burst.
pub(crate) struct Telling {
    pub burst: Burst,
    pub status: FindingStatus,
    pub revision: u32,
    pub replaces: Option<i64>,
}

/// Compares what there is with what was told, and returns what is to be told now.
pub(crate) fn compare(told: &mut Vec<Told>, now: &[Burst]) -> Vec<Telling> {
    let mut tellings = Vec::new();
    let mut gone: Vec<Told> = Vec::new();
    told.retain(|one| {
        let stays = one.is_withdrawn || now.iter().any(|burst| burst.from == one.from);
        if !stays {
            gone.push(one.clone());
        }
        stays
    });
    for burst in now {
        // A finding whose events are this one's now: it began elsewhere, or the two have grown together.
        let same = |one: &Told| one.from <= burst.to && one.to >= burst.from;
        let replaced = gone.iter().position(same).map(|place| gone.remove(place));
        let known = told.iter().position(|one| one.from == burst.from).map(|place| told.remove(place));
        let is_due = burst.is_final
            || replaced.is_some()
            || known.as_ref().is_none_or(|one| one.is_withdrawn || burst.count >= one.count.saturating_mul(2));
        let revisions = known.iter().chain(&replaced).map(|one| one.revision + 1);
        let revision = revisions.max().unwrap_or(0);
        let stays = match (known, is_due) {
            (Some(one), false) => Told { to: burst.to, ..one },
            _ => {
                let status = if burst.is_final { FindingStatus::Final } else { FindingStatus::Provisional };
                let replaces = replaced.as_ref().map(|one| one.from);
                tellings.push(Telling { burst: *burst, status, revision, replaces });
                // Its beginning may come back, when a still earlier event moves the cut of a session.
                told.extend(replaced.map(|one| Told { is_withdrawn: true, ..one }));
                Told { from: burst.from, to: burst.to, count: burst.count, revision, is_withdrawn: false }
            }
        };
        if !burst.is_final {
            told.push(stays);
        }
    }
    for one in gone {
        let burst = Burst { from: one.from, to: one.to, count: one.count, is_final: false, place: usize::MAX };
        let revision = one.revision + 1;
        tellings.push(Telling { burst, status: FindingStatus::Withdrawn, revision, replaces: None });
        told.push(Told { revision, is_withdrawn: true, ..one });
    }
    while told.iter().filter(|one| one.is_withdrawn).count() > WITHDRAWN_MAX
        && let Some(oldest) = told.iter().position(|one| one.is_withdrawn)
    {
        told.remove(oldest);
    }
    tellings
}

impl Details {
    /// Of a window whose entries are all there.
    pub(crate) fn of(rule: &Rule, entries: &[Entry], window: &Window, is_about: bool) -> Self {
        let own = &entries[window.first..=window.last];
        let mut parts = BTreeMap::new();
        for entry in own {
            parts.entry(entry.part).or_insert(entry.time);
        }
        let values: std::collections::HashSet<i128, ahash::RandomState> = own.iter().map(|entry| entry.value).collect();
        let count = own.iter().map(|entry| u64::from(entry.weight)).sum();
        let from = own[0].time;
        let is_absence = rule.measure == Measure::Absence;
        Self {
            time: if is_absence { from + rule.span } else { entries[window.trigger].time },
            window: (from, if is_absence { from + rule.span } else { own[own.len() - 1].time }),
            count,
            is_about,
            distinct: values.len() as u64,
            number: match rule.measure {
                Measure::Percentile(percent) => walk::percentile(own, percent),
                Measure::Average => own.iter().map(|entry| entry.value).sum::<i128>() / i128::from(count.max(1)),
                _ => own.iter().map(|entry| entry.value).sum(),
            },
            parts,
            events: own.iter().take(Finding::EVENTS_MAX).map(Entry::event_ref).collect(),
        }
    }

    /// Of a finding that is withdrawn: its events are no longer known.
    pub(crate) fn withdrawn(burst: &Burst) -> Self {
        Self {
            time: burst.to,
            window: (burst.from, burst.to),
            count: burst.count,
            is_about: false,
            distinct: 0,
            number: 0,
            parts: BTreeMap::new(),
            events: Vec::new(),
        }
    }
}

pub(crate) fn draft(rule: &Rule, telling: &Telling, details: Details) -> Draft {
    let is_withdrawn = telling.status == FindingStatus::Withdrawn;
    Draft {
        cause: cause(telling.burst.from),
        replaces: telling.replaces.map(cause),
        status: telling.status,
        revision: telling.revision,
        time: Timestamp(details.time),
        window: (Timestamp(details.window.0), Timestamp(details.window.1)),
        event_count: details.count,
        what: if is_withdrawn { "late events show that the condition did not hold".into() } else { what(rule, &details) },
        conditions: if is_withdrawn { Vec::new() } else { conditions(rule, &details) },
        events: details.events,
    }
}

fn cause(from: i64) -> Vec<u8> {
    from.to_le_bytes().to_vec()
}

fn secs(details: &Details) -> i64 {
    (details.window.1 - details.window.0) / 1_000_000
}

fn what(rule: &Rule, details: &Details) -> String {
    let about = if details.is_about { "about " } else { "" };
    let count = details.count;
    let field = &rule.field;
    let measured = match &rule.measure {
        Measure::Events => format!("{about}{count} events"),
        Measure::Values => format!("{about}{} different values of {field}", details.distinct),
        Measure::Sum => format!("{field} adds up to {about}{} in {count} events", thousandths(details.number)),
        Measure::Average => format!("{field} is {about}{} on average of {count} events", thousandths(details.number)),
        Measure::Percentile(percent) => {
            format!("percentile {percent} of {field} is {about}{} in {count} events", thousandths(details.number))
        }
        Measure::Parts(_) => format!("{} of the rules {}", details.parts.len(), distinct_titles(rule).join(", ")),
        Measure::Order => format!("{} in this order", in_order(rule)),
        Measure::Absence => {
            let within = duration(rule.span / 1_000_000);
            return format!("{} was not followed by {} within {within}", rule.titles[0], rule.titles[1]);
        }
    };
    format!("{measured} within {}", duration(secs(details)))
}

fn distinct_titles(rule: &Rule) -> Vec<&str> {
    let first = |(place, part): &(usize, &u16)| usize::from(**part) == *place;
    rule.places.iter().enumerate().filter(first).map(|(place, _)| rule.titles[place].as_str()).collect()
}

/// `fail (3 times), success`.
fn in_order(rule: &Rule) -> String {
    let runs = rule.places.chunk_by(|a, b| a == b).map(|run| match run.len() {
        1 => rule.titles[usize::from(run[0])].clone(),
        times => format!("{} ({times} times)", rule.titles[usize::from(run[0])]),
    });
    runs.collect::<Vec<_>>().join(", ")
}

fn thousandths(number: i128) -> String {
    let (sign, number) = (if number < 0 { "-" } else { "" }, number.unsigned_abs());
    match number % 1_000 {
        0 => format!("{sign}{}", number / 1_000),
        rest => format!("{sign}{}.{rest:03}", number / 1_000).trim_end_matches('0').to_owned(),
    }
}

fn conditions(rule: &Rule, details: &Details) -> Vec<Condition> {
    let mut conditions = Vec::new();
    let about = if details.is_about { "about " } else { "" };
    let actual = match &rule.measure {
        Measure::Events => format!("{about}{}", details.count),
        Measure::Values => format!("{about}{}", details.distinct),
        Measure::Parts(_) => details.parts.len().to_string(),
        _ => format!("{about}{}", thousandths(details.number)),
    };
    let (selection, field) = match &rule.measure {
        Measure::Events => ("count", "events"),
        Measure::Values => ("count", rule.field.as_str()),
        Measure::Sum => ("sum", rule.field.as_str()),
        Measure::Average => ("average", rule.field.as_str()),
        Measure::Percentile(_) => ("percentile", rule.field.as_str()),
        Measure::Parts(_) | Measure::Order | Measure::Absence => ("rules", "rules"),
    };
    if !matches!(rule.measure, Measure::Parts(_) | Measure::Order | Measure::Absence) {
        for (operator, than) in &rule.predicates {
            conditions.push(condition(selection, field, operator_name(*operator), &than.to_string(), &actual));
        }
    }
    if matches!(rule.measure, Measure::Parts(_) | Measure::Order | Measure::Absence) {
        for (part, time) in details.parts.iter().take(RULE_CONDITIONS_MAX) {
            let title = &rule.titles[usize::from(*part)];
            conditions.push(condition("rule", "rule", "occurred", title, &Timestamp(*time).to_string()));
        }
    }
    let within = duration(rule.span / 1_000_000);
    if rule.measure == Measure::Absence {
        conditions.push(condition("rule", "rule", "followed", &rule.titles[1], &format!("not within {within}")));
    } else {
        conditions.push(condition("window", "time", "within", &within, &duration(secs(details))));
    }
    conditions
}

fn operator_name(operator: ConditionOperator) -> &'static str {
    match operator {
        ConditionOperator::Lt => "lt",
        ConditionOperator::Lte => "lte",
        ConditionOperator::Gt => "gt",
        ConditionOperator::Gte => "gte",
        ConditionOperator::Eq => "eq",
        ConditionOperator::Neq => "neq",
    }
}

const _: () = assert!(MILLI == 1_000, "`thousandths` writes three digits");
