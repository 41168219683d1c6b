//! What a rule can match, given what the formats produce: the answer to "why does this rule never fire?".

use detect::{Possible, RuleRequirements, RuleSet};
use parse::{PRODUCED, Produced};
use serde::Serialize;
use std::collections::BTreeSet;

/// Most field names that an explanation lists.
const NAMES_SHOWN: usize = 8;

/// What one rule can match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reach {
    pub can_match: bool,
    /// One sentence: on what it can match, or why it cannot.
    pub why: String,
    /// The kinds of events on which it can match.
    pub on: Vec<&'static str>,
    /// Fields it names that none of them has.
    pub absent: Vec<String>,
}

/// What each rule needs, and what it can match; in the order of [`RuleSet::rules`].
pub fn reach(rules: &RuleSet) -> Vec<(RuleRequirements, Reach)> {
    let mut out: Vec<(RuleRequirements, Reach)> = Vec::new();
    for needs in rules.requirements() {
        let reach = match &needs.correlation {
            None => of_detection(rules, &needs),
            Some(correlation) => of_correlation(&needs, &correlation.rules, correlation.kind, &out),
        };
        out.push((needs, reach));
    }
    out
}

fn of_detection(rules: &RuleSet, needs: &RuleRequirements) -> Reach {
    let (product, category, service) = &needs.log_source;
    let of_source: Vec<&Produced> = PRODUCED.iter().filter(|one| one.runs_on(product, category, service)).collect();
    if of_source.is_empty() {
        let why = format!("no format produces the log source {}", source_text(&needs.log_source));
        return Reach { can_match: false, why, on: Vec::new(), absent: Vec::new() };
    }
    let mut on = Vec::new();
    let mut absent: Option<BTreeSet<String>> = None;
    for one in &of_source {
        let Some(Possible { can_hold, absent: missing }) = rules.possible(&needs.rule.id, &|field| one.has_field(field)) else { continue };
        if can_hold {
            on.push(one.name);
        }
        let missing: BTreeSet<String> = missing.into_iter().collect();
        absent = Some(absent.map_or(missing.clone(), |known| known.intersection(&missing).cloned().collect()));
    }
    let absent: Vec<String> = absent.unwrap_or_default().into_iter().collect();
    let why = why(&on, &of_source, &absent);
    Reach { can_match: !on.is_empty(), why, on, absent }
}

fn why(on: &[&'static str], of_source: &[&Produced], absent: &[String]) -> String {
    if on.is_empty() {
        let kinds: Vec<&str> = of_source.iter().map(|one| one.name).collect();
        return format!("its condition can never hold: {} never has {}", kinds.join(", "), names(absent));
    }
    let mut text = format!("can match on {}", on.join(", "));
    if !absent.is_empty() {
        text += &format!("; no such event has {}, so that part of it is without effect", names(absent));
    }
    text
}

fn of_correlation(needs: &RuleRequirements, bases: &[std::sync::Arc<str>], kind: &str, known: &[(RuleRequirements, Reach)]) -> Reach {
    let bases: Vec<&(RuleRequirements, Reach)> = bases.iter().filter_map(|id| known.iter().find(|(n, _)| n.rule.id == *id)).collect();
    let dead: Vec<&str> = bases.iter().filter(|(_, reach)| !reach.can_match).map(|(needs, _)| &*needs.rule.name).collect();
    let on: BTreeSet<&'static str> = bases.iter().flat_map(|(_, reach)| reach.on.iter().copied()).collect();
    let has = |field: &String| PRODUCED.iter().any(|one| on.contains(one.name) && one.has_field(field));
    let absent: Vec<String> = needs.fields.iter().filter(|field| !has(field)).cloned().collect();
    let on: Vec<&'static str> = on.into_iter().collect();
    let refused = |why: String| Reach { can_match: false, why, on: Vec::new(), absent: absent.clone() };
    if dead.len() == bases.len() {
        return refused("none of its rules can match".into());
    }
    if kind == "temporal_ordered" && !dead.is_empty() {
        return refused(format!("it needs all of its rules, and these cannot match: {}", dead.join(", ")));
    }
    if !absent.is_empty() {
        return refused(format!("it groups by or counts what {} never has: {}", on.join(", "), names(&absent)));
    }
    let mut why = format!("can match on {}", on.join(", "));
    if !dead.is_empty() {
        why += &format!("; of its rules, these cannot match: {}", dead.join(", "));
    }
    Reach { can_match: true, why, on, absent }
}

fn source_text((product, category, service): &(String, String, String)) -> String {
    let parts = [("product", product), ("category", category), ("service", service)];
    let named: Vec<String> = parts.iter().filter(|(_, v)| !v.is_empty()).map(|(name, v)| format!("{name} {v}")).collect();
    named.join(", ")
}

fn names(list: &[String]) -> String {
    let shown = list.iter().take(NAMES_SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match list.len().checked_sub(NAMES_SHOWN) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use detect::RuleFile;

    fn check(text: &str) -> Vec<Reach> {
        let (rules, issues) = RuleSet::compile(&[RuleFile { path: "t.yml".into(), text: text.into() }]);
        assert!(issues.is_empty(), "{issues:?}");
        reach(&rules).into_iter().map(|(_, reach)| reach).collect()
    }

    fn rule(id: &str, source: &str, detection: &str) -> String {
        format!("title: {id}\nid: {id}\nlogsource: {source}\ndetection:\n{detection}---\n")
    }

    #[test]
    fn rules_say_on_what_they_can_match() {
        let one = |source: &str, detection: &str| check(&rule("a", source, detection)).remove(0);
        let trail = "{product: aws, service: cloudtrail}";
        let good = one(trail, "  s: {eventName: x}\n  condition: s\n");
        assert!(good.can_match && good.on[0] == "CloudTrail", "{good:?}");
        let bad = one("{product: zos}", "  s: {a: x}\n  condition: s\n");
        assert_eq!((bad.can_match, &*bad.why), (false, "no format produces the log source product zos"));
        // JSON that says it is CloudTrail's may have any field, so the rule is not dead, but CloudTrail's own is out.
        let odd = one(trail, "  s: {event_name: x}\n  condition: s\n");
        assert_eq!(odd.on, ["JSON that states its `logsource`"]);
        let syslog = one("{product: linux, service: sshd}", "  s: {nosuch: x}\n  t: {user: root}\n  condition: s or t\n");
        assert!(syslog.can_match && syslog.on.contains(&"syslog"), "{syslog:?}");
    }

    #[test]
    fn correlations_are_as_good_as_their_rules() {
        let bases = rule("a", "{product: aws, service: cloudtrail}", "  s: {eventName: x}\n  condition: s\n")
            + &rule("b", "{product: zos}", "  s: {a: x}\n  condition: s\n");
        let with = |kind: &str, rules: &str| {
            let tail = "  condition: {gte: 2}\n";
            let tail = if kind == "event_count" { tail } else { "" };
            let text = format!("{bases}title: C\nid: c\ncorrelation:\n  type: {kind}\n  rules: [{rules}]\n  group-by: [userIdentity.arn]\n  timespan: 5m\n{tail}");
            check(&text).remove(2)
        };
        assert!(with("event_count", "a").can_match);
        assert!(!with("event_count", "b").can_match);
        assert!(!with("temporal_ordered", "a, b").can_match);
        let part = with("temporal", "a, b");
        assert!(part.can_match && part.why.contains("cannot match: b"), "{part:?}");
    }

    #[test]
    fn every_shipped_rule_can_match() {
        let (rules, _) = crate::load_rules(&crate::ContentDirs::default());
        let dead: Vec<String> =
            reach(&rules).into_iter().filter(|(_, r)| !r.can_match).map(|(n, r)| format!("{}: {}", n.rule.name, r.why)).collect();
        assert!(dead.is_empty(), "{dead:#?}");
    }
}
