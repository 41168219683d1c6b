//! What a window must satisfy, compiled.

use super::super::document::{Refused, refused};
use super::super::kinds::{Head, Kind};
use super::super::{EVENTS_PER_GROUP_MAX, VALUES_PER_GROUP_MAX};
use super::Group;
use rsigma_parser::{
    ConditionExpr, ConditionOperator, CorrelationCondition, CorrelationType, Quantifier, SelectorPattern, WindowMode,
};

/// Least entries that a group may keep, so that disorder has room.
const ENTRIES_MIN: usize = 256;
/// Numbers are kept in thousandths: their sums are the same in any order.
pub(crate) const MILLI: i128 = 1_000;
const DEFAULT_PERCENTILE: u64 = 50;

/// What is measured of a window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Measure {
    Events,
    /// Distinct values.
    Values,
    Sum,
    Average,
    /// 0 to 100.
    Percentile(u8),
    /// Which rules occurred.
    Parts(Presence),
    /// The rules occurred in their order.
    Order,
    /// The first rule occurred and the second did not follow.
    Absence,
}

/// How events are cut into windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The window of `timespan` that ends at an event.
    Sliding,
    /// Windows of `timespan` from the first event on, one after the other: for what is only known at the end.
    Anchored,
    /// Windows that begin at multiples of `timespan` since 1970.
    Tumbling,
    /// Events of which each is within `gap` (µs) of the one before, `timespan` at most in all.
    Session { gap: i64 },
}

/// Which of the correlation's rules must have occurred.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Presence {
    /// So many of the parts in the mask, by all predicates.
    Count(u64, Vec<(ConditionOperator, u64)>),
    Part(u16),
    Not(Box<Presence>),
    And(Vec<Presence>),
    Or(Vec<Presence>),
}

impl Presence {
    pub(crate) fn holds(&self, present: u64) -> bool {
        match self {
            Self::Count(mask, predicates) => satisfied(predicates, i128::from((present & mask).count_ones()), 1),
            Self::Part(part) => present & (1 << part) != 0,
            Self::Not(one) => !one.holds(present),
            Self::And(list) => list.iter().all(|one| one.holds(present)),
            Self::Or(list) => list.iter().any(|one| one.holds(present)),
        }
    }

    /// Whether more parts can never make it false.
    fn is_rising(&self) -> bool {
        match self {
            Self::Count(_, predicates) => predicates.iter().all(|(operator, _)| is_lower_bound(*operator)),
            Self::Part(_) => true,
            Self::Not(_) => false,
            Self::And(list) | Self::Or(list) => list.iter().all(Self::is_rising),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub measure: Measure,
    pub shape: Shape,
    /// The timespan, µs.
    pub span: i64,
    /// All of them must hold for what is measured.
    pub predicates: Vec<(ConditionOperator, u64)>,
    /// More events can never make the condition false: then it is told as soon as it holds.
    pub is_rising: bool,
    /// The counted or summed fields, as text.
    pub field: String,
    /// Per entry of the rule's `rules`: its part, and its name.
    pub places: Vec<u16>,
    pub titles: Vec<String>,
    /// Most entries that a group keeps one by one.
    pub entries_max: usize,
    /// Findings of other correlations are counted, which can be taken back.
    pub is_chained: bool,
}

pub(crate) fn is_lower_bound(operator: ConditionOperator) -> bool {
    matches!(operator, ConditionOperator::Gt | ConditionOperator::Gte)
}

/// Whether `value / scale` satisfies all predicates.
pub(crate) fn satisfied(predicates: &[(ConditionOperator, u64)], value: i128, scale: i128) -> bool {
    predicates.iter().all(|(operator, than)| {
        let than = i128::from(*than).saturating_mul(scale);
        match operator {
            ConditionOperator::Lt => value < than,
            ConditionOperator::Lte => value <= than,
            ConditionOperator::Gt => value > than,
            ConditionOperator::Gte => value >= than,
            ConditionOperator::Eq => value == than,
            ConditionOperator::Neq => value != than,
        }
    })
}

/// Compiles the types of the specification.
pub(crate) fn compile(head: &Head<'_>) -> Result<Kind, Refused> {
    let sigma = head.sigma;
    let (predicates, fields) = match &sigma.condition {
        CorrelationCondition::Threshold { predicates, field, .. } => (predicates.clone(), field.clone().unwrap_or_default()),
        CorrelationCondition::Extended(_) => (Vec::new(), Vec::new()),
    };
    let measure = measure(head, &predicates)?;
    let needs_field = !matches!(measure, Measure::Events | Measure::Parts(_) | Measure::Order);
    let name = sigma.correlation_type.as_str();
    if needs_field && fields.is_empty() {
        return refused(format!("{name} needs `field` in its condition"), "name the field to count", "condition:");
    }
    if matches!(measure, Measure::Sum | Measure::Average | Measure::Percentile(_)) && fields.len() > 1 {
        return refused(format!("{name} takes one field"), "name the field that holds the number", "field:");
    }
    let lower_only = predicates.iter().all(|(operator, _)| is_lower_bound(*operator));
    let is_rising = match &measure {
        Measure::Events | Measure::Values | Measure::Sum => lower_only,
        Measure::Average | Measure::Percentile(_) | Measure::Absence => false,
        Measure::Parts(presence) => presence.is_rising(),
        Measure::Order => true,
    };
    let span = head.timespan_secs * 1_000_000;
    let shape = match (sigma.window, &sigma.gap) {
        (WindowMode::Sliding, _) if is_rising => Shape::Sliding,
        (WindowMode::Sliding, _) => Shape::Anchored,
        (WindowMode::Tumbling, _) => Shape::Tumbling,
        (WindowMode::Session, gap) => {
            let gap = gap.as_ref().map_or(0, |gap| gap.seconds as i64);
            if !(1..=head.timespan_secs).contains(&gap) {
                return refused("the gap must be between one second and the timespan", "choose a shorter one", "gap");
            }
            Shape::Session { gap: gap * 1_000_000 }
        }
    };
    let rule = Rule {
        entries_max: entries_max(&measure, &predicates)?,
        measure,
        shape,
        span,
        predicates,
        is_rising,
        field: fields.join(", "),
        places: head.places.to_vec(),
        titles: sigma.rules.clone(),
        is_chained: head.is_chained,
    };
    let mut kind = Kind::of::<Group>(name, rule.clone());
    kind.value_fields = if needs_field { fields } else { Vec::new() };
    kind.delay_secs = if rule.shape == Shape::Sliding { 0 } else { head.timespan_secs };
    kind.can_chain = true;
    Ok(kind)
}

/// Compiles `absence`: of two rules, the second does not follow the first within the timespan.
pub(crate) fn compile_absence(head: &Head<'_>) -> Result<Kind, Refused> {
    if head.places != [0, 1] {
        let hint = "the first is what happened, the second what should have followed";
        return refused("absence needs two different rules", hint, "rules:");
    }
    let rule = Rule {
        measure: Measure::Absence,
        shape: Shape::Anchored,
        span: head.timespan_secs * 1_000_000,
        predicates: Vec::new(),
        is_rising: false,
        field: String::new(),
        places: head.places.to_vec(),
        titles: head.sigma.rules.clone(),
        entries_max: ENTRIES_MIN,
        is_chained: head.is_chained,
    };
    let mut kind = Kind::of::<Group>("absence", rule);
    kind.delay_secs = head.timespan_secs;
    kind.can_chain = true;
    Ok(kind)
}

fn measure(head: &Head<'_>, predicates: &[(ConditionOperator, u64)]) -> Result<Measure, Refused> {
    let sigma = head.sigma;
    let words = match &sigma.condition {
        CorrelationCondition::Extended(expression) => Some(expression),
        CorrelationCondition::Threshold { .. } => None,
    };
    if words.is_some() && sigma.correlation_type != CorrelationType::Temporal {
        return refused("a condition in words needs `type: temporal`", "compare with gte, gt, lte, lt or eq", "condition:");
    }
    // The parser's stand-in for "no condition" is `gte: 1`; one rule alone is no correlation.
    let is_default = matches!(predicates, [(ConditionOperator::Gte, 0 | 1)]);
    let all = head.places.iter().fold(0u64, |mask, part| mask | 1 << part);
    Ok(match sigma.correlation_type {
        CorrelationType::EventCount => Measure::Events,
        CorrelationType::ValueCount => Measure::Values,
        CorrelationType::ValueSum => Measure::Sum,
        CorrelationType::ValueAvg => Measure::Average,
        CorrelationType::ValueMedian => Measure::Percentile(50),
        CorrelationType::ValuePercentile => Measure::Percentile(percentile(&sigma.condition)?),
        CorrelationType::Temporal => Measure::Parts(match words {
            Some(expression) => presence(expression, &sigma.rules, head.places)?,
            None if is_default => Presence::Count(all, vec![(ConditionOperator::Gte, u64::from(all.count_ones()))]),
            None => Presence::Count(all, predicates.to_vec()),
        }),
        CorrelationType::TemporalOrdered if is_default => Measure::Order,
        CorrelationType::TemporalOrdered => {
            return refused("temporal_ordered takes no number: all its rules must occur", "remove `condition`", "condition:");
        }
    })
}

fn percentile(condition: &CorrelationCondition) -> Result<u8, Refused> {
    let CorrelationCondition::Threshold { percentile, .. } = condition else { return Ok(DEFAULT_PERCENTILE as u8) };
    match u8::try_from(percentile.unwrap_or(DEFAULT_PERCENTILE)) {
        Ok(percentile @ 0..=100) => Ok(percentile),
        _ => refused("percentile goes from 0 to 100", "95 is the value that 5 % exceed", "percentile"),
    }
}

fn presence(expression: &ConditionExpr, rules: &[String], places: &[u16]) -> Result<Presence, Refused> {
    let list = |list: &[ConditionExpr]| list.iter().map(|e| presence(e, rules, places)).collect::<Result<Vec<_>, _>>();
    Ok(match expression {
        ConditionExpr::And(parts) => Presence::And(list(parts)?),
        ConditionExpr::Or(parts) => Presence::Or(list(parts)?),
        ConditionExpr::Not(one) => Presence::Not(Box::new(presence(one, rules, places)?)),
        ConditionExpr::Identifier(name) => match rules.iter().position(|rule| rule == name) {
            Some(place) => Presence::Part(places[place]),
            None => {
                let known: Vec<&str> = rules.iter().map(String::as_str).collect();
                let hint = super::super::document::did_you_mean(name, &known);
                return refused(format!("`{name}` is not one of the rules"), hint, "condition:");
            }
        },
        ConditionExpr::Selector { quantifier, pattern } => {
            let named = |rule: &String| match pattern {
                SelectorPattern::Them => true,
                SelectorPattern::Pattern(pattern) => matches_glob(pattern, rule),
            };
            let mask = rules.iter().zip(places).filter(|(rule, _)| named(rule)).fold(0u64, |mask, (_, part)| mask | 1 << part);
            if mask == 0 {
                return refused("the condition's pattern names none of the rules", "check the spelling", "condition:");
            }
            let least = match quantifier {
                Quantifier::Any => 1,
                Quantifier::All => u64::from(mask.count_ones()),
                Quantifier::Count(count) => *count,
            };
            Presence::Count(mask, vec![(ConditionOperator::Gte, least)])
        }
    })
}

/// `*` stands for any text; names of rules are short.
fn matches_glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(head) else { return false };
    (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| matches_glob(rest, &text[at..]))
}

/// How many entries a group keeps: a few times what the condition needs.
fn entries_max(measure: &Measure, predicates: &[(ConditionOperator, u64)]) -> Result<usize, Refused> {
    let limit = match measure {
        Measure::Events => EVENTS_PER_GROUP_MAX,
        Measure::Values => VALUES_PER_GROUP_MAX,
        Measure::Sum | Measure::Average | Measure::Percentile(_) => return Ok(EVENTS_PER_GROUP_MAX),
        Measure::Parts(_) | Measure::Order | Measure::Absence => return Ok(ENTRIES_MIN * 4),
    };
    let needed = predicates.iter().map(|(_, count)| *count).max().unwrap_or(1);
    if needed >= limit as u64 {
        return refused(format!("the condition needs {needed} events, a group keeps {limit}"), "lower the number", "condition:");
    }
    Ok((needed as usize * 4).clamp(ENTRIES_MIN, limit))
}
