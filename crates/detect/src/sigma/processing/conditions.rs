//! When a step of a pipeline applies: conditions about the rule, its items and their fields.

use regex::Regex;
use rsigma_parser::{CorrelationRule, Detection, DetectionItem, Level, LogSource, SigmaRule, SigmaValue};
use std::collections::BTreeSet;

/// Conditions of one kind and how they are joined. Without conditions, everything passes.
pub(super) struct Guard<T> {
    pub conditions: Vec<T>,
    pub any: bool,
    pub not: bool,
}

impl<T> Guard<T> {
    pub(super) fn holds(&self, mut test: impl FnMut(&T) -> bool) -> bool {
        if self.conditions.is_empty() {
            return true;
        }
        let joined =
            if self.any { self.conditions.iter().any(&mut test) } else { self.conditions.iter().all(&mut test) };
        joined != self.not
    }
}

pub(super) enum RuleCondition {
    LogSource { category: Option<String>, product: Option<String>, service: Option<String> },
    ContainsItem { field: String, value: SigmaValue },
    ContainsField(String),
    Tag(String),
    Attribute { name: String, operator: Operator, values: Vec<String> },
    IsRule,
    IsCorrelation,
    /// A step of this id has been applied to the rule.
    Applied(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    NotIn,
}

pub(super) enum ItemCondition {
    /// Any or all of the item's texts match.
    Text { pattern: Regex, all: bool, negate: bool },
    Null { all: bool },
}

pub(super) enum FieldCondition {
    Include(FieldNames),
    Exclude(FieldNames),
}

pub(super) enum FieldNames {
    Plain(Vec<String>),
    Patterns(Vec<Regex>),
}

impl RuleCondition {
    pub(super) fn holds(&self, rule: &SigmaRule, applied: &BTreeSet<&str>) -> bool {
        match self {
            Self::LogSource { .. } => self.is_of(&rule.logsource),
            Self::ContainsItem { field, value } => {
                any_item(rule, &mut |item| item.field.name.as_ref() == Some(field) && item.values.contains(value))
            }
            Self::ContainsField(field) => any_item(rule, &mut |item| item.field.name.as_ref() == Some(field)),
            Self::Tag(tag) => rule.tags.iter().any(|own| own.eq_ignore_ascii_case(tag)),
            Self::Attribute { name, operator, values } => compare(&attribute(rule, name), *operator, values, name),
            Self::IsRule => true,
            Self::IsCorrelation => false,
            Self::Applied(id) => applied.contains(id.as_str()),
        }
    }

    pub(super) fn holds_for_correlation(&self, rule: &CorrelationRule, bases: &[&SigmaRule], applied: &BTreeSet<&str>) -> bool {
        match self {
            Self::LogSource { .. } => bases.iter().any(|base| self.is_of(&base.logsource)),
            Self::Tag(tag) => rule.tags.iter().any(|own| own.eq_ignore_ascii_case(tag)),
            Self::IsCorrelation => true,
            Self::Applied(id) => applied.contains(id.as_str()),
            Self::ContainsItem { .. } | Self::ContainsField(_) | Self::Attribute { .. } | Self::IsRule => false,
        }
    }

    fn is_of(&self, source: &LogSource) -> bool {
        let Self::LogSource { category, product, service } = self else { return false };
        let fits = |wanted: &Option<String>, part: &Option<String>| match wanted {
            None => true,
            Some(wanted) => part.as_ref().is_some_and(|part| part.eq_ignore_ascii_case(wanted)),
        };
        fits(category, &source.category) && fits(product, &source.product) && fits(service, &source.service)
    }
}

/// The values of a rule's attribute, empty where it has none.
fn attribute(rule: &SigmaRule, name: &str) -> Vec<String> {
    let one = |text: &Option<String>| text.iter().cloned().collect();
    match name {
        "title" => vec![rule.title.clone()],
        "id" => one(&rule.id),
        "name" => one(&rule.name),
        "author" => one(&rule.author),
        "date" => one(&rule.date),
        "modified" => one(&rule.modified),
        "description" => one(&rule.description),
        "taxonomy" => one(&rule.taxonomy),
        "license" => one(&rule.license),
        "level" => rule.level.iter().map(|level| level.as_str().to_owned()).collect(),
        "status" => rule.status.iter().filter_map(|s| Some(serde_json::to_value(s).ok()?.as_str()?.to_owned())).collect(),
        "tags" => rule.tags.clone(),
        "references" => rule.references.clone(),
        "fields" => rule.fields.clone(),
        "falsepositives" => rule.falsepositives.clone(),
        other => match rule.custom_attributes.get(other) {
            Some(value) => value.as_str().map(str::to_owned).or_else(|| serde_json::to_string(value).ok()).into_iter().collect(),
            None => Vec::new(),
        },
    }
}

fn compare(own: &[String], operator: Operator, wanted: &[String], name: &str) -> bool {
    let is_in = own.iter().any(|own| wanted.contains(own));
    let ordered = |test: fn(std::cmp::Ordering) -> bool| {
        let (Some(own), Some(wanted)) = (own.first(), wanted.first()) else { return false };
        order(name, own, wanted).is_some_and(test)
    };
    match operator {
        Operator::Equal | Operator::In => is_in,
        Operator::NotEqual | Operator::NotIn => !is_in,
        Operator::Less => ordered(|o| o.is_lt()),
        Operator::LessEqual => ordered(|o| o.is_le()),
        Operator::Greater => ordered(|o| o.is_gt()),
        Operator::GreaterEqual => ordered(|o| o.is_ge()),
    }
}

/// Levels by their rank, numbers as numbers, everything else (dates: year first) as text.
fn order(name: &str, own: &str, wanted: &str) -> Option<std::cmp::Ordering> {
    if name == "level" {
        let rank = |text: &str| text.parse::<Level>().ok().map(|level| level as u8);
        return Some(rank(own)?.cmp(&rank(wanted)?));
    }
    match (own.parse::<f64>(), wanted.parse::<f64>()) {
        (Ok(own), Ok(wanted)) => own.partial_cmp(&wanted),
        _ => Some(own.replace('/', "-").cmp(&wanted.replace('/', "-"))),
    }
}

impl ItemCondition {
    pub(super) fn holds(&self, item: &DetectionItem) -> bool {
        let (all, mut test): (bool, Box<dyn FnMut(&SigmaValue) -> bool>) = match self {
            Self::Text { pattern, all, negate } => (
                *all,
                Box::new(move |value| match value {
                    SigmaValue::String(text) => pattern.is_match(&text.original) != *negate,
                    _ => false,
                }),
            ),
            Self::Null { all } => (*all, Box::new(|value| *value == SigmaValue::Null)),
        };
        if all { !item.values.is_empty() && item.values.iter().all(&mut test) } else { item.values.iter().any(&mut test) }
    }
}

impl FieldCondition {
    /// `None` is the name of a keyword search.
    pub(super) fn holds(&self, name: Option<&str>) -> bool {
        match self {
            Self::Include(names) => name.is_some_and(|name| names.contain(name)),
            Self::Exclude(names) => !name.is_some_and(|name| names.contain(name)),
        }
    }
}

impl FieldNames {
    fn contain(&self, name: &str) -> bool {
        match self {
            Self::Plain(names) => names.iter().any(|own| own == name),
            Self::Patterns(patterns) => patterns.iter().any(|pattern| pattern.is_match(name)),
        }
    }
}

fn any_item(rule: &SigmaRule, test: &mut dyn FnMut(&DetectionItem) -> bool) -> bool {
    rule.detection.named.values().any(|detection| any_in(detection, test))
}

fn any_in(detection: &Detection, test: &mut dyn FnMut(&DetectionItem) -> bool) -> bool {
    match detection {
        Detection::AllOf(items) => items.iter().any(test),
        Detection::AnyOf(list) | Detection::And(list) => list.iter().any(|one| any_in(one, test)),
        Detection::Keywords(_) => false,
        Detection::ArrayMatch { body, .. } => any_in(body, test),
        Detection::Conditional { named, .. } => named.values().any(|one| any_in(one, test)),
    }
}
