//! Exceptions: matches that people have judged to be harmless. An exception is a selection of its own, compiled
//! by the code that compiles rules, and asked only when a rule has matched. What it takes out makes no
//! finding and plays no part in correlations, but is counted: silence that nobody sees is how intruders stay.

use super::load::Documents;
use super::pattern::{Context, Refusal, Result};
use super::tree::{Builder, Node, Predicates};
use super::look::Look;
use super::{Placeholders, RuleMap, RuleSet};
use crate::{LoadIssue, RuleFile};
use event::{Event, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Most exceptions of a rule set. Every match of a rule asks each exception that may apply to it.
pub const EXCEPTIONS_MAX: usize = 5_000;
/// Threat lists are rules of this name, which the rule set does not hold.
const LIST_PREFIX: &str = "threat-list:";

/// What people judged to be harmless.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Exception {
    pub id: String,
    /// The detection rule, correlation or `threat-list:NAME` it is about; `None` for all of them.
    pub rule_id: Option<String>,
    /// `field|modifiers` to a value or a list of values, as in a Sigma selection. All must hold; none at all
    /// stands for every event of the rule.
    #[serde(rename = "where")]
    pub conditions: BTreeMap<String, serde_json::Value>,
    /// Events received from then on are not excepted any more.
    pub expires_at: Option<Timestamp>,
}

/// How often an exception has taken something out since its rule set was loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExceptionHits {
    pub id: Arc<str>,
    pub hits: u64,
    /// When the last event that it took out was received.
    pub last_hit: Option<Timestamp>,
}

#[derive(Debug)]
struct Counter {
    hits: AtomicU64,
    last_hit: AtomicI64,
}

impl Default for Counter {
    fn default() -> Self {
        Self { hits: AtomicU64::new(0), last_hit: AtomicI64::new(i64::MIN) }
    }
}

#[derive(Debug)]
struct Compiled {
    id: Arc<str>,
    root: Node,
    expires_at: Option<Timestamp>,
    counter: Arc<Counter>,
}

impl Compiled {
    fn holds(&self, event: &Event, look: &mut Look<'_, '_>) -> bool {
        self.expires_at.is_none_or(|expires| event.received < expires) && self.root.holds(look)
    }
}

/// The compiled exceptions of a rule set, by what they are about. Numbers are indices of `list`.
#[derive(Debug, Default)]
pub(crate) struct Exceptions {
    list: Vec<Compiled>,
    any: Vec<u32>,
    by_rule: RuleMap<Box<str>, Vec<u32>>,
}

impl Exceptions {
    /// The exception that takes an event out of a rule, without counting it.
    pub(crate) fn find(&self, rule_id: &str, event: &Event, look: &mut Look<'_, '_>) -> Option<&Arc<str>> {
        let number = self.position(rule_id, true, event, look)?;
        Some(&self.list[number as usize].id)
    }

    /// Whether an event is taken out of a rule. Counted.
    pub(crate) fn take(&self, rule_id: &str, event: &Event, look: &mut Look<'_, '_>) -> bool {
        !self.list.is_empty() && self.count(self.position(rule_id, true, event, look), event)
    }

    /// The same for a correlation one of whose rules has matched: exceptions from every rule were asked there.
    pub(crate) fn take_correlated(&self, rule_id: &str, event: &Event, look: &mut Look<'_, '_>) -> bool {
        !self.by_rule.is_empty() && self.count(self.position(rule_id, false, event, look), event)
    }

    fn position(&self, rule_id: &str, any: bool, event: &Event, look: &mut Look<'_, '_>) -> Option<u32> {
        let own = self.by_rule.get(rule_id).map(Vec::as_slice).unwrap_or_default();
        let any = if any { self.any.as_slice() } else { &[] };
        own.iter().chain(any).copied().find(|number| self.list[*number as usize].holds(event, look))
    }

    fn count(&self, number: Option<u32>, event: &Event) -> bool {
        let Some(number) = number else { return false };
        let counter = &self.list[number as usize].counter;
        counter.hits.fetch_add(1, Ordering::Relaxed);
        counter.last_hit.fetch_max(event.received.0, Ordering::Relaxed);
        true
    }
}

impl RuleSet {
    /// What the exceptions have taken out, in the order they were given.
    pub fn exception_hits(&self) -> Vec<ExceptionHits> {
        let hits = |one: &Compiled| {
            let last = one.counter.last_hit.load(Ordering::Relaxed);
            ExceptionHits {
                id: one.id.clone(),
                hits: one.counter.hits.load(Ordering::Relaxed),
                last_hit: (last != i64::MIN).then_some(Timestamp(last)),
            }
        };
        self.exceptions.list.iter().map(hits).collect()
    }

    /// Goes on with the counts of another rule set's exceptions of the same ids: both count into the same.
    pub fn share_exception_hits(&mut self, with: &RuleSet) {
        let counters: RuleMap<&str, &Arc<Counter>> = with.exceptions.list.iter().map(|one| (&*one.id, &one.counter)).collect();
        for one in &mut self.exceptions.list {
            if let Some(counter) = counters.get(&*one.id) {
                one.counter = (*counter).clone();
            }
        }
    }

    pub(super) fn add_exceptions(
        &mut self,
        exceptions: &[Exception],
        predicates: &mut Predicates,
        placeholders: &Placeholders,
        issues: &mut Vec<LoadIssue>,
    ) {
        for (i, exception) in exceptions.iter().enumerate() {
            if i == EXCEPTIONS_MAX {
                let message = format!("{} exceptions, only the first {EXCEPTIONS_MAX} count", exceptions.len());
                issues.push(issue(exception, &Refusal::new(message, "join those about one rule, or change the rule", "")));
                break;
            }
            match self.compile_exception(exception, predicates, placeholders) {
                Ok(compiled) => {
                    let number = self.exceptions.list.len() as u32;
                    self.exceptions.list.push(compiled);
                    match &exception.rule_id {
                        None => self.exceptions.any.push(number),
                        Some(rule) => self.exceptions.by_rule.entry(rule.as_str().into()).or_default().push(number),
                    }
                }
                Err(refusal) => issues.push(issue(exception, &refusal)),
            }
        }
    }

    fn compile_exception(
        &mut self,
        exception: &Exception,
        predicates: &mut Predicates,
        placeholders: &Placeholders,
    ) -> Result<Compiled> {
        if let Some(id) = &exception.rule_id
            && !id.starts_with(LIST_PREFIX)
            && !self.rules.iter().any(|rule| *rule.id == **id)
        {
            return Err(Refusal::new(format!("there is no rule {id}"), "the rule was removed or did not load", ""));
        }
        if self.exceptions.list.iter().any(|known| *known.id == *exception.id) {
            return Err(Refusal::new("the id is already used by another exception", "", ""));
        }
        let (id, expires_at) = (Arc::from(exception.id.as_str()), exception.expires_at);
        // Without conditions, every event of the rule; of all rules would be to switch everything off.
        if exception.conditions.is_empty() && exception.rule_id.is_some() {
            return Ok(Compiled { id, root: Node::And(Vec::new()), expires_at, counter: Arc::default() });
        }
        let detections = selection(&exception.conditions)?;
        let mut context = Context { fields: &mut self.fields, placeholders };
        let mut builder = Builder { context: &mut context, predicates, names: Vec::new() };
        let root = builder.section(&detections, "")?;
        Ok(Compiled { id, root, expires_at, counter: Arc::default() })
    }
}

/// A selection of fields and values. Goes through the reader of rule files, so that a name or value means here what it means there.
pub(super) fn selection(conditions: &BTreeMap<String, serde_json::Value>) -> Result<rsigma_parser::Detections> {
    if conditions.is_empty() {
        return Err(Refusal::new("no condition", "name at least one field", ""));
    }
    if let Some((field, _)) = conditions.iter().find(|(_, value)| !is_value(value)) {
        return Err(Refusal::new(format!("{field}: not a value or a list of values"), "give texts, numbers, true, false or null", ""));
    }
    let document = serde_json::json!({
        "title": "exception", "logsource": {"product": "any"},
        "detection": {"exception": conditions, "condition": "exception"},
    });
    let mut issues = Vec::new();
    let file = RuleFile { path: String::new(), text: document.to_string() };
    let mut documents = Documents::read(std::slice::from_ref(&file), &mut issues);
    match documents.rules.pop() {
        Some(rule) if issues.is_empty() => Ok(rule.item.detection),
        _ => {
            let first = issues.into_iter().next();
            let hint = first.as_ref().and_then(|issue| issue.hint.clone()).unwrap_or_default();
            Err(Refusal::new(first.map_or_else(|| "cannot be read".into(), |issue| issue.message), hint, ""))
        }
    }
}

fn is_value(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Object(_) => false,
        serde_json::Value::Array(list) => !list.is_empty() && list.iter().all(|one| !one.is_array() && !one.is_object()),
        _ => true,
    }
}

fn issue(exception: &Exception, refusal: &Refusal) -> LoadIssue {
    LoadIssue {
        file: format!("{}{}", crate::EXCEPTION, exception.id),
        line: None,
        message: refusal.message.clone(),
        hint: refusal.hint.clone(),
    }
}
