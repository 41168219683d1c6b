//! ATT&CK coverage: which techniques the active rules name, and which were seen.

use crate::content::builtin_text;
use event::Rule;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// One technique with its rules and its findings of the last 24 h.
#[derive(Clone, Debug, Serialize)]
pub struct Technique {
    pub id: String,
    pub name: String,
    pub tactics: Vec<String>,
    /// Active rules that name it.
    pub rules: u64,
    /// Findings of the last 24 h that name it.
    pub findings: u64,
}

/// Names and tactics by technique id, from `content/attack/techniques.tsv` (`id`, `name`, `tactics`).
pub(crate) struct Matrix(HashMap<String, (String, Vec<String>)>);

impl Matrix {
    pub fn builtin() -> Self {
        let text = builtin_text("attack/techniques.tsv").unwrap_or_default();
        let rows = text.lines().filter(|l| !l.starts_with('#')).filter_map(|line| {
            let mut cells = line.split('\t');
            let (id, name) = (cells.next()?, cells.next()?);
            let tactics = cells.next().unwrap_or_default().split([',', ';']).map(str::trim);
            let tactics = tactics.filter(|t| !t.is_empty()).map(tactic_slug).collect();
            id.starts_with('T').then(|| (id.to_owned(), (name.to_owned(), tactics)))
        });
        Self(rows.collect())
    }

    pub fn name(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(|(name, _)| name.as_str())
    }

    /// One row per technique that a rule names, in id order.
    pub fn coverage(&self, rules: &[Arc<Rule>], findings: &HashMap<String, u64>) -> Vec<Technique> {
        let mut count: BTreeMap<&str, u64> = BTreeMap::new();
        for rule in rules {
            for technique in &rule.techniques {
                *count.entry(technique).or_default() += 1;
            }
        }
        count
            .into_iter()
            .map(|(id, rules)| {
                let (name, tactics) = self.0.get(id).cloned().unwrap_or_else(|| (id.to_owned(), vec![]));
                Technique { id: id.to_owned(), name, tactics, rules, findings: findings.get(id).copied().unwrap_or(0) }
            })
            .collect()
    }
}

fn tactic_slug(name: &str) -> String {
    name.to_ascii_lowercase().replace([' ', '_'], "-")
}
