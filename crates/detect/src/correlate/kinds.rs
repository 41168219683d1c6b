//! The kinds of stateful rules: the one place where a new one is added.
//!
//! A kind is a rule type, the [`GroupState`] that it drives and, unless it is one of the specification's,
//! an entry of [`KINDS`]: its name, its own keys, and how it is compiled. The framework does the rest.

use super::document::{Options, Refused};
use super::groups::{AnyGroups, Groups};
use super::{terms, window};
use crate::behaviour;
use crate::stateful::GroupState;
use event::RuleKind;
use rsigma_parser::CorrelationRule;
use std::sync::Arc;

/// A type of Erne's own.
pub(crate) struct KindEntry {
    /// As `correlation: type:` names it.
    pub name: &'static str,
    pub rule_kind: RuleKind,
    /// Its keys in the `correlation:` section beside the common ones.
    pub keys: &'static [&'static str],
    /// What `timespan` is where the rule has none; `None` if it must have one.
    pub timespan_default: Option<&'static str>,
    pub compile: fn(&Head<'_>) -> Result<Kind, Refused>,
}

/// Keys of the specification's types, and of the windows they may have.
pub(crate) const OWN_KEYS_SPEC: &[&str] = &["condition", "window", "gap"];

/// All types that the Sigma specification does not have.
pub(crate) const KINDS: &[KindEntry] = &[
    KindEntry {
        name: "new_terms",
        rule_kind: RuleKind::Correlation,
        keys: terms::KEYS,
        timespan_default: None,
        compile: terms::compile,
    },
    KindEntry {
        name: "absence",
        rule_kind: RuleKind::Correlation,
        keys: &[],
        timespan_default: None,
        compile: window::compile_absence,
    },
    KindEntry {
        name: "impossible_travel",
        rule_kind: RuleKind::Behaviour,
        keys: behaviour::travel::KEYS,
        timespan_default: Some("24h"),
        compile: behaviour::compile_travel,
    },
    KindEntry {
        name: "off_hours",
        rule_kind: RuleKind::Behaviour,
        keys: behaviour::hours::KEYS,
        timespan_default: Some("24h"),
        compile: behaviour::compile_hours,
    },
    KindEntry {
        name: "rate",
        rule_kind: RuleKind::Behaviour,
        keys: behaviour::rate::KEYS,
        timespan_default: Some("10m"),
        compile: behaviour::compile_rate,
    },
];

/// What a kind is compiled from.
pub(crate) struct Head<'a> {
    pub sigma: &'a CorrelationRule,
    pub options: &'a Options,
    /// Already checked.
    pub timespan_secs: i64,
    /// Per entry of `rules`: which part it is. A rule that is named twice is one part.
    pub places: &'a [u16],
    /// Other correlations are among the rules.
    pub is_chained: bool,
}

/// A compiled rule of some kind, as the framework sees it.
pub(crate) struct Kind {
    pub name: &'static str,
    /// The fields whose values an event's part carries (`Keyed::value`).
    pub value_fields: Vec<String>,
    /// Events without a value take part too.
    pub value_is_optional: bool,
    /// Whether parts are to say how many principals share their address ([`crate::front`]).
    pub counts_sharers: bool,
    /// How long after the event that causes it a finding may be told, beside the lateness.
    pub delay_secs: i64,
    /// Whether findings of other correlations may be among its rules.
    pub can_chain: bool,
    make: Box<dyn Fn() -> Box<dyn AnyGroups> + Send + Sync>,
}

impl Kind {
    /// A kind that takes no fields, tells at once and counts detection rules only.
    pub(crate) fn of<G: GroupState>(name: &'static str, rule: G::Rule) -> Self {
        let rule = Arc::new(rule);
        Self {
            name,
            value_fields: Vec::new(),
            value_is_optional: false,
            counts_sharers: false,
            delay_secs: 0,
            can_chain: false,
            make: Box::new(move || Box::new(Groups::<G>::new(rule.clone()))),
        }
    }

    pub(crate) fn groups(&self) -> Box<dyn AnyGroups> {
        (self.make)()
    }
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kind").field("name", &self.name).finish_non_exhaustive()
    }
}

pub(crate) fn compile(head: &Head<'_>) -> Result<Kind, Refused> {
    match KINDS.iter().find(|kind| kind.name == head.options.kind) {
        Some(entry) => (entry.compile)(head),
        None => window::compile(head),
    }
}
