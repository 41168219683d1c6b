//! Processing pipelines in pySigma's format: they change parsed rules before these are compiled, so that rules
//! written for other field names, log sources or values run on what our sources produce.
//!
//! What has a meaning here is done as pySigma does it; values are seen as the rule writes them, before their
//! modifiers. What only concerns the text of a query (`postprocessing`, `finalizers`, query expressions) and
//! what is not known is refused, and then the whole pipeline is left out: half of a translation gives rules
//! that look alive and never match.
//!
//! Source of the semantics: pySigma 1.0, `sigma/processing`.

mod conditions;
mod read;
mod transform;

use super::Placeholders;
use super::pattern::{Refusal, Result};
use crate::{LoadIssue, RuleFile};
use conditions::{FieldCondition, Guard, ItemCondition, RuleCondition};
use rsigma_parser::{CorrelationRule, Detections, SigmaRule};
use std::collections::BTreeSet;
use transform::Transformation;

/// Most steps of one pipeline; the largest of pySigma's have a few hundred.
const STEPS_MAX: usize = 2_000;

/// The pipelines of a rule set, in the order in which they apply.
#[derive(Default)]
pub(super) struct Pipelines {
    list: Vec<Pipeline>,
    /// Of all pipelines; a later one's value wins.
    vars: Placeholders,
}

struct Pipeline {
    priority: i64,
    vars: Placeholders,
    steps: Vec<Step>,
}

/// One entry of `transformations`.
struct Step {
    id: Option<String>,
    transformation: Transformation,
    rules: Guard<RuleCondition>,
    items: Guard<ItemCondition>,
    fields: Guard<FieldCondition>,
}

impl Pipelines {
    pub(super) fn read(files: &[RuleFile], issues: &mut Vec<LoadIssue>) -> Self {
        let mut pipelines = Self::default();
        for file in files {
            if let Some(pipeline) = read::pipeline(file, issues) {
                pipelines.list.push(pipeline);
            }
        }
        pipelines.list.sort_by_key(|pipeline| pipeline.priority);
        for pipeline in &pipelines.list {
            pipelines.vars.extend(pipeline.vars.clone());
        }
        pipelines
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Changes a rule, and the filters that apply to it as if they stood in it.
    pub(super) fn apply(&self, rule: &mut SigmaRule, filters: &mut [Detections]) -> Result<()> {
        let mut applied = BTreeSet::new();
        for step in self.list.iter().flat_map(|pipeline| &pipeline.steps) {
            if !step.rules.holds(|condition| condition.holds(rule, &applied)) {
                continue;
            }
            step.transformation.apply(step, rule, filters, &self.vars)?;
            applied.extend(step.id.as_deref());
        }
        Ok(())
    }

    /// Renames the fields that a correlation groups by and counts. `bases` are the rules it refers to: a
    /// condition about a log source holds when it holds for one of them.
    pub(super) fn apply_to_correlation(&self, rule: &mut CorrelationRule, bases: &[&SigmaRule]) -> Result<()> {
        let mut applied = BTreeSet::new();
        for step in self.list.iter().flat_map(|pipeline| &pipeline.steps) {
            if !step.rules.holds(|condition| condition.holds_for_correlation(rule, bases, &applied)) {
                continue;
            }
            step.transformation.apply_to_correlation(step, rule)?;
            applied.extend(step.id.as_deref());
        }
        Ok(())
    }
}

fn refusal(message: impl Into<String>) -> Refusal {
    Refusal::new(message, "see the pipelines in `rules.pipelines`", "detection:")
}
