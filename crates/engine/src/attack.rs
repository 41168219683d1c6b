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

/// What a layer's colours show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// Active rules that name the technique.
    Rules,
    /// Findings of the last 24 h.
    Findings,
}

/// The version of ATT&CK that `content/attack` holds, and of Navigator's layer format.
const ATTACK_VERSION: &str = "18";
const LAYER_VERSION: &str = "4.5";
const NAVIGATOR_VERSION: &str = "5.1.0";

/// A layer for MITRE's ATT&CK Navigator (layer format 4.5).
pub fn navigator_layer(techniques: &[Technique], score: Score) -> serde_json::Value {
    let of = |technique: &Technique| match score {
        Score::Rules => technique.rules,
        Score::Findings => technique.findings,
    };
    let rows: Vec<serde_json::Value> = techniques
        .iter()
        .map(|technique| {
            serde_json::json!({
                "techniqueID": technique.id,
                "score": of(technique),
                "comment": format!("{}: {} rules, {} findings in 24 h", technique.name, technique.rules, technique.findings),
                "enabled": true,
                "showSubtechniques": techniques.iter().any(|other| is_part(&other.id, &technique.id)),
            })
        })
        .collect();
    let what = match score {
        Score::Rules => "rules",
        Score::Findings => "findings of the last 24 h",
    };
    serde_json::json!({
        "name": format!("Erne: {what}"),
        "versions": {"attack": ATTACK_VERSION, "navigator": NAVIGATOR_VERSION, "layer": LAYER_VERSION},
        "domain": "enterprise-attack",
        "description": format!("ATT&CK techniques by Erne's {what}"),
        "techniques": rows,
        "gradient": {
            "colors": ["#ffffff", "#66b1ff"],
            "minValue": 0,
            "maxValue": techniques.iter().map(of).max().unwrap_or(0).max(1),
        },
        "sorting": 3,
        "layout": {"layout": "side", "showID": true, "showName": true},
        "hideDisabled": false,
    })
}

fn is_part(id: &str, of: &str) -> bool {
    id.strip_prefix(of).is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_holds_every_technique_with_its_score() {
        let technique = |id: &str, rules, findings| Technique { id: id.into(), name: "N".into(), tactics: vec![], rules, findings };
        let layer = navigator_layer(&[technique("T1110", 2, 40), technique("T1110.003", 1, 0)], Score::Findings);
        assert_eq!(layer["versions"]["layer"], "4.5");
        assert_eq!(layer["gradient"]["maxValue"], 40);
        assert_eq!(layer["techniques"][0]["score"], 40);
        assert_eq!((&layer["techniques"][0]["showSubtechniques"], &layer["techniques"][1]["showSubtechniques"]), (&true.into(), &false.into()));
        assert_eq!(navigator_layer(&[technique("T1", 2, 40)], Score::Rules)["techniques"][0]["score"], 2);
        assert_eq!(navigator_layer(&[], Score::Rules)["gradient"]["maxValue"], 1);
    }
}
