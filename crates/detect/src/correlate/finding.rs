//! From what a group tells to a finding that names who.

use super::compile::Correlation;
use super::groups::About;
use crate::sigma::cut;
use crate::stateful::Draft;
use compact_str::CompactString;
use event::{Condition, Explanation, Finding, FindingStatus, Id};
use std::collections::HashMap;

/// Characters of the entity in a summary, and of a value in a condition.
const WHO_CHARS_MAX: usize = 120;
const ACTUAL_CHARS_MAX: usize = 256;
/// Group-by fields that an explanation lists.
const GROUP_CONDITIONS_MAX: usize = 6;

/// The id of what a group's draft calls its cause.
pub(crate) fn id_of(correlation: &Correlation, key: &[u8], cause: &[u8]) -> Id {
    Id::of(&[b"correlation", correlation.rule.id.as_bytes(), key, cause])
}

pub(crate) fn finding(correlation: &Correlation, about: &About, group: &[CompactString], key: &[u8], draft: &Draft) -> Finding {
    let rule = &correlation.rule;
    let who: String = about.entity.value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut conditions = draft.conditions.clone();
    for (field, value) in correlation.group_by.iter().zip(group).take(GROUP_CONDITIONS_MAX) {
        conditions.push(condition("group-by", field, "equals", "same value", value));
    }
    Finding {
        id: id_of(correlation, key, &draft.cause),
        time: draft.time,
        rule: rule.clone(),
        level: rule.level,
        entity: about.entity.clone(),
        event_ids: draft.events.iter().map(|event| event.uid.clone()).collect(),
        positions: draft.events.iter().map(|event| event.position).collect(),
        event_count: draft.event_count,
        window: Some(draft.window),
        explanation: Explanation { summary: format!("{}: {}: {}", cut(&who, WHO_CHARS_MAX), draft.what, rule.name), conditions },
        status: draft.status,
        revision: draft.revision,
        replaces: draft.replaces.as_ref().map(|cause| id_of(correlation, key, cause)),
        user: about.summary.user.clone(),
        source_ip: about.summary.source_ip.clone(),
        event_name: about.summary.event_name.clone(),
        place: about.summary.place.clone(),
    }
}

/// What stands of findings in the order in which they were told: each in its last form, without those that
/// were withdrawn or replaced. For callers who tell at the end, as files are read.
pub fn standing(told: Vec<Finding>) -> Vec<Finding> {
    let mut last: HashMap<Id, usize> = HashMap::new();
    let mut stands: Vec<bool> = Vec::with_capacity(told.len());
    for (at, finding) in told.iter().enumerate() {
        let old = finding.replaces.and_then(|old| last.remove(&old));
        for before in last.insert(finding.id, at).into_iter().chain(old) {
            stands[before] = false;
        }
        stands.push(finding.status != FindingStatus::Withdrawn);
    }
    told.into_iter().zip(stands).filter(|(_, stands)| *stands).map(|(finding, _)| finding).collect()
}

pub(crate) fn condition(selection: &str, field: &str, operator: &str, expected: &str, actual: &str) -> Condition {
    Condition {
        selection: selection.into(),
        field: field.into(),
        operator: operator.into(),
        expected: expected.into(),
        actual: cut(actual, ACTUAL_CHARS_MAX),
    }
}

/// `45 s`, `12 min`, `3 h`, `2 d`: rounded up, because it follows "within".
pub(crate) fn duration(secs: i64) -> String {
    let (unit_secs, unit) = match secs {
        0..=119 => (1, "s"),
        120..=7_199 => (60, "min"),
        7_200..=172_799 => (3_600, "h"),
        _ => (86_400, "d"),
    };
    format!("{} {unit}", secs.max(1).div_euclid(unit_secs) + i64::from(secs.max(1) % unit_secs != 0))
}
