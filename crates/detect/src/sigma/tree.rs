//! A rule's condition as a tree over predicates: selections are inlined, selectors (`1 of x*`) resolved.

use super::RuleMap;
use super::look::Look;
use super::pattern::{Context, Predicate, Refusal, Result};
use compact_str::CompactString;
use rsigma_parser::{ConditionExpr, Detection, Detections, Quantifier};
use std::collections::BTreeMap;

/// Most values in all selections of one rule.
const PATTERNS_PER_RULE_MAX: usize = 50_000;

#[derive(Debug)]
pub(crate) enum Node {
    Predicate(u32),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    AtLeast(usize, Vec<Node>),
    /// A selection, by its index in the rule's list of names.
    Named(u16, Box<Node>),
}

impl Node {
    pub(crate) fn holds(&self, look: &mut Look<'_, '_>) -> bool {
        match self {
            Self::Predicate(predicate) => look.holds(*predicate),
            Self::And(nodes) => nodes.iter().all(|node| node.holds(look)),
            Self::Or(nodes) => nodes.iter().any(|node| node.holds(look)),
            Self::Not(node) => !node.holds(look),
            Self::Named(_, node) => node.holds(look),
            Self::AtLeast(count, nodes) => {
                let mut missing = *count;
                missing == 0
                    || nodes.iter().any(|node| {
                        missing -= usize::from(node.holds(look));
                        missing == 0
                    })
            }
        }
    }

    /// Calls `visit` with every predicate of the tree.
    pub(crate) fn each_predicate(&self, visit: &mut dyn FnMut(u32)) {
        match self {
            Self::Predicate(predicate) => visit(*predicate),
            Self::And(nodes) | Self::Or(nodes) | Self::AtLeast(_, nodes) => {
                nodes.iter().for_each(|node| node.each_predicate(visit));
            }
            Self::Not(node) | Self::Named(_, node) => node.each_predicate(visit),
        }
    }
}

/// The distinct predicates of a rule set.
#[derive(Default)]
pub(crate) struct Predicates {
    pub list: Vec<Predicate>,
    ids: RuleMap<String, u32>,
}

impl Predicates {
    fn intern(&mut self, key: String, make: impl FnOnce() -> Result<Predicate>) -> Result<u32> {
        if let Some(id) = self.ids.get(&key) {
            return Ok(*id);
        }
        let id = self.list.len() as u32;
        self.list.push(make()?);
        self.ids.insert(key, id);
        Ok(id)
    }
}

/// Builds one rule's tree.
pub(crate) struct Builder<'a, 'c> {
    pub context: &'a mut Context<'c>,
    pub predicates: &'a mut Predicates,
    pub names: Vec<CompactString>,
}

impl Builder<'_, '_> {
    /// The tree of a detection section: its conditions, of which any may hold.
    pub(crate) fn section(&mut self, section: &Detections, prefix: &str) -> Result<Node> {
        let patterns: usize = section.named.values().map(count).sum();
        if patterns > PATTERNS_PER_RULE_MAX {
            let message = format!("{patterns} values in one rule, at most {PATTERNS_PER_RULE_MAX} are loaded");
            return Err(Refusal::new(message, "use a threat list for long lists", "detection:"));
        }
        // Sorted, so that the same text always compiles to the same tree.
        let named: BTreeMap<&str, &Detection> = section.named.iter().map(|(k, v)| (k.as_str(), v)).collect();
        let mut nodes = Vec::new();
        for condition in &section.conditions {
            nodes.push(self.condition(condition, &named, prefix)?);
        }
        match nodes.len() {
            0 => Err(Refusal::new("no condition", "add `condition:` to the detection", "detection:")),
            1 => Ok(nodes.remove(0)),
            _ => Ok(Node::Or(nodes)),
        }
    }

    fn condition(
        &mut self,
        expression: &ConditionExpr,
        named: &BTreeMap<&str, &Detection>,
        prefix: &str,
    ) -> Result<Node> {
        Ok(match expression {
            ConditionExpr::And(list) => Node::And(self.conditions(list, named, prefix)?),
            ConditionExpr::Or(list) => Node::Or(self.conditions(list, named, prefix)?),
            ConditionExpr::Not(inner) => Node::Not(Box::new(self.condition(inner, named, prefix)?)),
            ConditionExpr::Identifier(name) => {
                let Some(detection) = named.get(name.as_str()) else {
                    let message = format!("the condition names `{name}`, which the detection does not define");
                    return Err(Refusal::new(message, "check the spelling", "condition:"));
                };
                self.named(name, detection, prefix)?
            }
            ConditionExpr::Selector { quantifier, pattern } => {
                let mut nodes = Vec::new();
                for (name, detection) in named.iter().filter(|(name, _)| pattern.matches_detection_name(name)) {
                    nodes.push(self.named(name, detection, prefix)?);
                }
                if nodes.is_empty() {
                    let message = format!("no selection fits `{pattern}`");
                    return Err(Refusal::new(message, "check the spelling", "condition:"));
                }
                match quantifier {
                    Quantifier::Any => Node::Or(nodes),
                    Quantifier::All => Node::And(nodes),
                    Quantifier::Count(count) => Node::AtLeast(*count as usize, nodes),
                }
            }
        })
    }

    fn conditions(
        &mut self,
        list: &[ConditionExpr],
        named: &BTreeMap<&str, &Detection>,
        prefix: &str,
    ) -> Result<Vec<Node>> {
        list.iter().map(|expression| self.condition(expression, named, prefix)).collect()
    }

    fn named(&mut self, name: &str, detection: &Detection, prefix: &str) -> Result<Node> {
        let name: CompactString = format!("{prefix}{name}").into();
        let index = self.names.iter().position(|n| *n == name).unwrap_or_else(|| {
            self.names.push(name);
            self.names.len() - 1
        });
        Ok(Node::Named(index as u16, Box::new(self.detection(detection)?)))
    }

    fn detection(&mut self, detection: &Detection) -> Result<Node> {
        match detection {
            Detection::AllOf(items) => {
                let mut nodes = Vec::new();
                for item in items {
                    let key = format!("{:?}{:?}{:?}", item.field.name, item.field.modifiers, item.values);
                    let context = &mut *self.context;
                    nodes.push(Node::Predicate(self.predicates.intern(key, || Predicate::compile(item, context))?));
                }
                Ok(single(nodes, Node::And))
            }
            Detection::AnyOf(list) => Ok(single(self.detections(list)?, Node::Or)),
            Detection::And(list) => Ok(single(self.detections(list)?, Node::And)),
            Detection::Keywords(values) => {
                let context = &mut *self.context;
                let make = || Predicate::keywords(values, false, None, context);
                Ok(Node::Predicate(self.predicates.intern(format!("keywords {values:?}"), make)?))
            }
            Detection::ArrayMatch { field, .. } => Err(Refusal::new(
                format!("array selectors of sigma-version 3 are not supported: {field}"),
                "name the field without brackets: a list matches when any element does",
                field.clone(),
            )),
            Detection::Conditional { .. } => {
                Err(Refusal::new("nested conditions are not supported", "move them to the rule's condition", "condition:"))
            }
        }
    }

    fn detections(&mut self, list: &[Detection]) -> Result<Vec<Node>> {
        if list.is_empty() {
            return Err(Refusal::new("a selection is empty", "give it at least one item", "detection:"));
        }
        list.iter().map(|detection| self.detection(detection)).collect()
    }
}

fn single(mut nodes: Vec<Node>, join: fn(Vec<Node>) -> Node) -> Node {
    if nodes.len() == 1 { nodes.remove(0) } else { join(nodes) }
}

fn count(detection: &Detection) -> usize {
    match detection {
        Detection::AllOf(items) => items.iter().map(|item| item.values.len()).sum(),
        Detection::AnyOf(list) | Detection::And(list) => list.iter().map(count).sum(),
        Detection::Keywords(values) => values.len(),
        Detection::ArrayMatch { body, .. } => count(body),
        Detection::Conditional { named, .. } => named.values().map(count).sum(),
    }
}
