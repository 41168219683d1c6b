//! Loading correlations: in the order in which they build on each other.

use super::compile::{Base, Correlation};
use super::document::Document;
use super::kinds::KINDS;
use crate::RuleSet;
use crate::sigma::{HANDLING_HINT, Loading, Source, correlation_rule_of};
use event::RuleKind;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// How far a document is.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Unread,
    Under,
    Done(Option<u32>),
}

/// What the documents' references lead to.
struct Order<'a> {
    sources: &'a [Source<Document>],
    states: Vec<State>,
    /// Ids and names of correlations.
    names: HashMap<&'a str, usize>,
    silent: BTreeSet<Base>,
    loud: BTreeSet<Base>,
}

impl RuleSet {
    pub(crate) fn add_correlations(&mut self, sources: &[Source<Document>], loading: &mut Loading<'_>) {
        let mut names = HashMap::new();
        for (place, source) in sources.iter().enumerate() {
            for name in [&source.item.sigma.id, &source.item.sigma.name].into_iter().flatten() {
                names.entry(name.as_str()).or_insert(place);
            }
        }
        let states = vec![State::Unread; sources.len()];
        let mut order = Order { sources, states, names, silent: BTreeSet::new(), loud: BTreeSet::new() };
        for place in 0..sources.len() {
            self.add_correlation(place, &mut order, loading);
        }
        for base in order.silent.difference(&order.loud) {
            match base {
                Base::Rule(rule) => self.compiled[*rule as usize].emits = false,
                Base::Correlation(number) => self.correlations[*number as usize].emits = false,
            }
        }
    }

    /// Compiles one document after those that it refers to. A circle ends at the document that is under way, which
    /// its last member then does not find.
    fn add_correlation(&mut self, place: usize, order: &mut Order<'_>, loading: &mut Loading<'_>) {
        if order.states[place] != State::Unread {
            return;
        }
        order.states[place] = State::Under;
        let source = &order.sources[place];
        let names: BTreeSet<&str> = source.item.sigma.rules.iter().map(String::as_str).collect();
        for name in names {
            if let Some(next) = order.names.get(name).copied().filter(|_| loading.find_rule(name).is_none()) {
                self.add_correlation(next, order, loading);
            }
        }
        let number = self.compile_correlation(source, order, loading);
        let bases = number.map(|number| self.correlations[number as usize].bases.clone()).unwrap_or_default();
        if source.item.sigma.generate { order.loud.extend(bases) } else { order.silent.extend(bases) }
        order.states[place] = State::Done(number);
    }

    fn compile_correlation(&mut self, source: &Source<Document>, order: &Order<'_>, loading: &mut Loading<'_>) -> Option<u32> {
        let entry = KINDS.iter().find(|kind| kind.name == source.item.options.kind);
        let kind = entry.map_or(RuleKind::Correlation, |entry| entry.rule_kind);
        let rule = match correlation_rule_of(source, kind) {
            Ok(rule) => Arc::new(rule),
            Err(message) => {
                loading.issues.push(source.issue(message, Some(HANDLING_HINT.into()), "erne:"));
                return None;
            }
        };
        if !loading.claim(&rule.id, source) {
            return None;
        }
        let find = |name: &str| match loading.find_rule(name) {
            Some(rule) => Some(Base::Rule(rule)),
            None => match order.states[*order.names.get(name)?] {
                State::Done(number) => number.map(Base::Correlation),
                State::Unread | State::Under => None,
            },
        };
        match Correlation::compile(source, rule, &find, &self.correlations) {
            Ok(correlation) => Some(self.join(correlation)),
            Err((message, hint, near)) => {
                loading.issues.push(source.issue(message, hint, &near));
                None
            }
        }
    }

    /// Ties a correlation to the rules that it counts.
    fn join(&mut self, correlation: Correlation) -> u32 {
        let number = self.correlations.len() as u32;
        for (part, base) in correlation.distinct_bases() {
            match base {
                Base::Rule(rule) => self.compiled[rule as usize].parts.push((number, part)),
                Base::Correlation(other) => self.correlations[other as usize].chains.push((number, part)),
            }
        }
        self.rules.push(correlation.rule.clone());
        self.correlations.push(correlation);
        number
    }
}
