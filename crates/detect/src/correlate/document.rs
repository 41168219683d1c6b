//! Correlation documents before `rsigma-parser` reads them: it does not know Erne's own types, and it lets
//! misspelt keys pass, after which a rule would count something else than its author meant.

use super::kinds::{KINDS, OWN_KEYS_SPEC};
use rsigma_parser::CorrelationRule;
use yaml_serde::{Mapping, Value};

/// A correlation document: what Sigma says of it, and the keys of its own type.
#[derive(Debug)]
pub(crate) struct Document {
    pub sigma: CorrelationRule,
    pub options: Options,
}

/// What a type of Erne's own has in its `correlation:` section beside the common keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// The type's name; empty for the types of the specification.
    pub kind: &'static str,
    map: Mapping,
}

/// What is wrong with a document, and the text on whose line it stands.
pub(crate) type Refused = (String, Option<String>, String);

pub(crate) fn refused<T>(message: impl Into<String>, hint: impl Into<String>, near: impl Into<String>) -> Result<T, Refused> {
    Err((message.into(), Some(hint.into()), near.into()))
}

impl Options {
    /// A duration such as `30m` in seconds.
    pub(crate) fn secs(&self, key: &str) -> Result<Option<i64>, Refused> {
        let Some(value) = self.map.get(key) else { return Ok(None) };
        let near = format!("{key}:");
        let Some(text) = value.as_str() else {
            return refused(format!("`{key}` must be a duration"), "such as 30m, 12h or 7d", near);
        };
        match rsigma_parser::Timespan::parse(text) {
            Ok(span) => Ok(Some(span.seconds as i64)),
            Err(error) => refused(format!("`{key}`: {error}"), "such as 30m, 12h or 7d", near),
        }
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>, Refused> {
        let Some(value) = self.map.get(key) else { return Ok(None) };
        match value.as_f64().filter(|number| number.is_finite()) {
            Some(number) => Ok(Some(number)),
            None => refused(format!("`{key}` must be a number"), "without quotes", format!("{key}:")),
        }
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>, Refused> {
        let Some(value) = self.map.get(key) else { return Ok(None) };
        match value.as_str() {
            Some(text) if !text.is_empty() => Ok(Some(text)),
            _ => refused(format!("`{key}` must be text"), "put it in quotes", format!("{key}:")),
        }
    }

    /// All of them, for a type that reads them into a structure.
    pub(crate) fn all(&self) -> Value {
        Value::Mapping(self.map.clone())
    }
}

/// Keys that every type has.
const COMMON_KEYS: &[&str] = &["type", "rules", "group-by", "timespan", "timeframe", "aliases", "generate"];
const CONDITION_KEYS: &[&str] = &["gte", "gt", "lte", "lt", "eq", "neq", "field", "percentile"];
const SPEC_TYPES: &[&str] = &[
    "event_count", "value_count", "temporal", "temporal_ordered", "value_sum", "value_avg", "value_percentile", "value_median",
];

/// Checks a correlation document's keys. For a type of Erne's own, returns the options and the document as
/// the parser is to see it: the same rule as a `temporal` correlation.
pub(crate) fn read(text: &str) -> Result<Option<(Options, String)>, Refused> {
    // What is no YAML, or no mapping, is the parser's to refuse.
    let Ok(Value::Mapping(mut document)) = yaml_serde::from_str::<Value>(text) else { return Ok(None) };
    let Some(Value::Mapping(section)) = document.get("correlation") else { return Ok(None) };
    let Some(name) = section.get("type").and_then(Value::as_str) else { return Ok(None) };
    if SPEC_TYPES.contains(&name) {
        check_keys(section, &[COMMON_KEYS, OWN_KEYS_SPEC], "correlation")?;
        if let Some(Value::Mapping(condition)) = section.get("condition") {
            check_keys(condition, &[CONDITION_KEYS], "condition")?;
        }
        return Ok(None);
    }
    let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else {
        let known: Vec<&str> = SPEC_TYPES.iter().copied().chain(KINDS.iter().map(|kind| kind.name)).collect();
        return refused(format!("unknown correlation type `{name}`"), did_you_mean(name, &known), "type:");
    };
    check_keys(section, &[COMMON_KEYS, kind.keys], "correlation")?;
    let mut options = Options { kind: kind.name, map: Mapping::new() };
    let mut plain = Mapping::new();
    for (key, value) in section {
        let is_common = key.as_str().is_some_and(|key| COMMON_KEYS.contains(&key));
        let into = if is_common { &mut plain } else { &mut options.map };
        into.insert(key.clone(), value.clone());
    }
    plain.insert("type".into(), "temporal".into());
    if !plain.contains_key("timespan") && !plain.contains_key("timeframe") {
        match kind.timespan_default {
            Some(default) => plain.insert("timespan".into(), default.into()),
            None => return refused(format!("{name} needs a `timespan`"), "such as timespan: 1h", "correlation:"),
        };
    }
    document.insert("correlation".into(), plain.into());
    match yaml_serde::to_string(&Value::Mapping(document)) {
        Ok(text) => Ok(Some((options, text))),
        Err(error) => refused(format!("YAML: {error}"), "check indentation and quotes", "correlation:"),
    }
}

fn check_keys(mapping: &Mapping, known: &[&[&str]], section: &str) -> Result<(), Refused> {
    let known = known.concat();
    for key in mapping.keys() {
        let key = key.as_str().unwrap_or_default();
        if !known.contains(&key) {
            return refused(format!("unknown key `{key}` in `{section}`"), did_you_mean(key, &known), format!("{key}:"));
        }
    }
    Ok(())
}

/// The nearest known word where one is near, else all of them.
pub(crate) fn did_you_mean(word: &str, known: &[&str]) -> String {
    let word: String = word.to_lowercase().chars().take(64).map(|c| if c == '-' { '_' } else { c }).collect();
    let nearest = known.iter().map(|known| (distance(&word, &known.replace('-', "_")), *known)).min();
    match nearest {
        Some((distance, known)) if distance * 3 <= word.chars().count().max(3) => format!("did you mean `{known}`?"),
        _ => format!("one of {}", known.join(", ")),
    }
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let cost = if x == *y { diagonal } else { 1 + diagonal.min(row[j]).min(row[j + 1]) };
            diagonal = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[b.len()]
}
