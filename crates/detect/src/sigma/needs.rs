//! What a rule needs of events, and whether events with certain fields can give it.

use super::pattern::{Predicate, Test};
use super::tree::Node;
use super::{Compiled, RuleSet};

/// What a detection rule's condition can come to on events that have only some fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Possible {
    /// Whether some event could satisfy the condition.
    pub can_hold: bool,
    /// Fields that the rule names and no event has, in order.
    pub absent: Vec<String>,
}

/// Which values a part of a condition can take.
#[derive(Clone, Copy)]
struct Range {
    holds: bool,
    fails: bool,
}

impl RuleSet {
    /// Whether a detection rule can hold for events that have only the fields for which `has` answers true;
    /// `None` if there is no detection rule of that id. `keyword` stands for keyword searches.
    pub fn possible(&self, rule_id: &str, has: &dyn Fn(&str) -> bool) -> Option<Possible> {
        let compiled = self.compiled.iter().find(|compiled| &*compiled.rule.id == rule_id)?;
        Some(self.possible_of(compiled, has))
    }

    fn possible_of(&self, compiled: &Compiled, has: &dyn Fn(&str) -> bool) -> Possible {
        let absent = self.fields_of(&compiled.root).into_iter().filter(|field| field != "keyword" && !has(field)).collect();
        let has_field = |id: u32| id == super::pattern::KEYWORDS || has(self.fields.name(id));
        Possible { can_hold: self.range(&compiled.root, &has_field).holds, absent }
    }

    fn range(&self, node: &Node, has: &dyn Fn(u32) -> bool) -> Range {
        match node {
            Node::Predicate(id) => range_of(&self.predicates[*id as usize], has),
            Node::Named(_, inner) => self.range(inner, has),
            Node::Not(inner) => {
                let inner = self.range(inner, has);
                Range { holds: inner.fails, fails: inner.holds }
            }
            Node::And(nodes) => {
                let parts: Vec<Range> = nodes.iter().map(|node| self.range(node, has)).collect();
                Range { holds: parts.iter().all(|p| p.holds), fails: parts.iter().any(|p| p.fails) }
            }
            Node::Or(nodes) => {
                let parts: Vec<Range> = nodes.iter().map(|node| self.range(node, has)).collect();
                Range { holds: parts.iter().any(|p| p.holds), fails: parts.iter().all(|p| p.fails) }
            }
            Node::AtLeast(count, nodes) => {
                let parts: Vec<Range> = nodes.iter().map(|node| self.range(node, has)).collect();
                let certain = parts.iter().filter(|p| !p.fails).count();
                Range { holds: parts.iter().filter(|p| p.holds).count() >= *count, fails: certain < *count }
            }
        }
    }
}

fn range_of(predicate: &Predicate, has: &dyn Fn(u32) -> bool) -> Range {
    let always = |holds: bool| Range { holds, fails: !holds };
    if !has(predicate.field) {
        // As the evaluation of an absent field goes: only `null` and `exists: false` hold.
        if let Some(expected) = predicate.exists {
            return always(!expected);
        }
        let is_null = |pattern: &super::pattern::Pattern| matches!(pattern.test, Test::Null);
        let mut patterns = predicate.patterns.iter();
        return always(!predicate.negated && if predicate.all { patterns.all(is_null) } else { patterns.any(is_null) });
    }
    // A reference to a field that is never there is satisfied by nothing.
    let is_dead = |pattern: &super::pattern::Pattern| matches!(pattern.test, Test::Field(_, other) if !has(other));
    if predicate.exists.is_none() && !predicate.negated && !predicate.patterns.is_empty() && predicate.patterns.iter().all(is_dead) {
        return always(false);
    }
    Range { holds: true, fails: true }
}
