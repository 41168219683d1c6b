//! Correlations: windows on event time, disorder, bounds, persistence.

use crate::data;
use detect::{Correlator, Detector, GROUPS_PER_RULE_MAX, Keyed, Matched, RuleSet, Stepped};
use event::{Entity, EntityKind, Event, Finding, FindingStatus, Id, LogSource, Position, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub const BASES: &str = "title: Fail\nid: fail\nname: failed\nlogsource: {product: p}\ndetection:\n  s: {what: fail}\n  condition: s\n---\n\
                     title: Success\nid: ok\nname: success\nlogsource: {product: p}\ndetection:\n  s: {what: ok}\n  condition: s\n---\n";

pub fn rules(correlation: &str) -> Arc<RuleSet> {
    let (rules, issues) = RuleSet::compile(&[data::file(&format!("{BASES}{correlation}"))]);
    assert!(issues.is_empty(), "{issues:?}");
    rules.into()
}

pub fn correlation(kind: &str, bases: &str, group: &str, condition: &str) -> String {
    format!(
        "title: Burst\nid: burst\nlevel: high\ncorrelation:\n  type: {kind}\n  rules: [{bases}]\n  group-by: [{group}]\n  timespan: 60s\n{condition}"
    )
}

fn count(least: u32) -> String {
    correlation("event_count", "failed", "ip", &format!("  condition: {{gte: {least}}}\n"))
}

/// Seconds of event time, received in step with it.
pub fn event(secs: i64, offset: u64, what: &str, ip: &str, user: &str) -> Event {
    let native = format!(r#"{{"what":"{what}","ip":"{ip}","user":"{user}"}}"#);
    let mut event = data::event(LogSource { product: "p", category: "", service: "" }, &native);
    event.uid = format!("u{offset}").into();
    event.position = Position { offset, index: 0 };
    event.time = Timestamp::from_secs(secs);
    event.received = Timestamp::from_secs(secs);
    event.ocsf.src.ip = Some(ip.into());
    event
}

pub fn keyed(rules: &Arc<RuleSet>, events: &mut [Event]) -> (Vec<Keyed>, Vec<Finding>) {
    let detector = Detector { rules: rules.clone(), lists: Default::default(), lateness: Default::default() };
    let mut out = Matched::default();
    detector.run(events, &mut out);
    (out.keyed, out.findings)
}

/// What is told of the events, in the order in which it is.
fn told(rules: &Arc<RuleSet>, mut events: Vec<Event>) -> Vec<Finding> {
    let (keyed, _) = keyed(rules, &mut events);
    let mut out = Stepped::default();
    let mut correlator = Correlator::new(rules.clone());
    correlator.step(&keyed, &mut out);
    correlator.advance(Timestamp::from_secs(500_000_000), &mut out);
    out.findings
}

/// What stands at the end, when all has been told: each finding in its last form.
pub fn board(told: &[Finding]) -> Vec<Finding> {
    let mut board: BTreeMap<Id, Finding> = BTreeMap::new();
    let mut revisions: BTreeMap<Id, u32> = BTreeMap::new();
    for finding in told {
        if let Some(last) = revisions.insert(finding.id, finding.revision) {
            assert!(last < finding.revision, "a finding that is told again has a higher revision");
        }
        assert!(finding.event_ids.len() <= Finding::EVENTS_MAX);
        if let Some(old) = finding.replaces {
            assert!(board.remove(&old).is_some(), "only what was told is replaced");
        }
        if let Some(before) = board.get(&finding.id) {
            assert_ne!(before.status, FindingStatus::Final, "nothing is told after `final`");
        }
        if finding.status == FindingStatus::Withdrawn {
            assert!(board.remove(&finding.id).is_some(), "only what was told is withdrawn");
        } else {
            board.insert(finding.id, finding.clone());
        }
    }
    let mut rest: Vec<Finding> = board.into_values().collect();
    rest.sort_by(|a, b| (a.time, &a.rule.id, a.id).cmp(&(b.time, &b.rule.id, b.id)));
    rest
}

fn findings(rules: &Arc<RuleSet>, events: Vec<Event>) -> Vec<Finding> {
    let rest = board(&told(rules, events));
    assert!(rest.iter().all(|finding| finding.status == FindingStatus::Final));
    rest
}

fn fails(times: &[i64]) -> Vec<Event> {
    times.iter().enumerate().map(|(i, t)| event(*t, i as u64, "fail", "203.0.113.7", "bob")).collect()
}

#[test]
fn event_count_fires_once_per_burst() {
    let rules = rules(&count(3));
    assert_eq!(findings(&rules, fails(&[0, 30, 61])).len(), 0, "not within 60 s");
    let told = told(&rules, fails(&[0, 30, 60, 61, 62, 63]));
    let at_once = &told[0];
    assert_eq!((at_once.status, at_once.revision, at_once.time), (FindingStatus::Provisional, 0, Timestamp::from_secs(60)));
    assert_eq!(at_once.window, Some((Timestamp::from_secs(0), Timestamp::from_secs(60))));
    assert_eq!(at_once.entity, Entity::new(EntityKind::Ip, "203.0.113.7"));
    assert_eq!((at_once.event_count, at_once.event_ids.len(), at_once.positions[2].offset), (3, 3, 2));
    assert_eq!(at_once.explanation.summary, "203.0.113.7: 3 events within 60 s: Burst");
    let count = &at_once.explanation.conditions[0];
    assert_eq!((&*count.operator, &*count.expected, &*count.actual), ("gte", "3", "3"));
    let again: Vec<_> = told[1..].iter().map(|f| (f.status, f.revision, f.event_count)).collect();
    assert_eq!(again, [(FindingStatus::Provisional, 1, 6), (FindingStatus::Final, 2, 6)]);
    assert_eq!(told[2].window, Some((Timestamp::from_secs(0), Timestamp::from_secs(63))));
    assert_eq!(findings(&rules, fails(&[0, 1, 2, 100, 101, 102])).len(), 2, "a later burst is another");
    let mut others = fails(&[0, 1, 2]);
    others[1].native = event::Value::from_json(br#"{"what":"fail","ip":"198.51.100.1"}"#).unwrap().0;
    assert_eq!(findings(&rules, others).len(), 0, "per group");
}

#[test]
fn operators() {
    let fired = |condition: &str, n: i64| {
        let text = correlation("event_count", "failed", "ip", &format!("  condition: {condition}\n"));
        findings(&rules(&text), fails(&(0..n).collect::<Vec<_>>())).len()
    };
    assert_eq!([fired("{gt: 2}", 2), fired("{gt: 2}", 3)], [0, 1]);
    assert_eq!([fired("{eq: 2}", 1), fired("{eq: 2}", 2), fired("{eq: 2}", 3)], [0, 1, 0]);
    assert_eq!([fired("{gte: 2, lt: 4}", 1), fired("{gte: 2, lt: 4}", 3), fired("{gte: 2, lt: 4}", 4)], [0, 1, 0]);
    assert_eq!([fired("{gte: 2, lte: 2}", 1), fired("{gt: 1, lte: 3}", 2), fired("{neq: 2}", 2)], [0, 1, 0]);
    assert_eq!([fired("{lt: 3}", 2), fired("{lt: 3}", 3)], [1, 0]);
}

#[test]
fn base_rules_are_silent_unless_generated() {
    let (_, found) = keyed(&rules(&count(3)), &mut fails(&[0]));
    assert_eq!(found.len(), 0);
    let (_, found) = keyed(&rules(&format!("{}generate: true\n", count(3))), &mut fails(&[0]));
    assert_eq!(found.len(), 1);
    let mut unrelated = vec![event(0, 0, "ok", "203.0.113.7", "bob")];
    assert_eq!(keyed(&rules(&count(3)), &mut unrelated).1.len(), 1, "rules outside a correlation raise theirs");
}

#[test]
fn value_count_counts_different_values() {
    let text = correlation("value_count", "failed", "ip", "  condition: {gte: 3, field: user}\n");
    let rules = rules(&text);
    let spray = |users: &[&str]| -> Vec<Event> {
        users.iter().enumerate().map(|(i, user)| event(i as i64, i as u64, "fail", "203.0.113.7", user)).collect()
    };
    assert_eq!(findings(&rules, spray(&["a", "b", "a", "b", "a", "b"])).len(), 0);
    let found = findings(&rules, spray(&["a", "a", "b", "c"]));
    assert_eq!(found.len(), 1);
    assert!(found[0].explanation.summary.contains("3 different values of user"), "{}", found[0].explanation.summary);
}

#[test]
fn groups_are_named_by_what_their_value_is() {
    let text = correlation("event_count", "failed", "user", "  condition: {gte: 1}\n");
    let rules = rules(&text);
    let kind_of = |set: fn(&mut Event)| {
        let mut event = event(0, 0, "fail", "203.0.113.7", "bob");
        set(&mut event);
        findings(&rules, vec![event])[0].entity.kind
    };
    assert_eq!(kind_of(|_| {}), EntityKind::Group);
    assert_eq!(kind_of(|e| e.ocsf.user_name = Some("bob".into())), EntityKind::User);
    assert_eq!(kind_of(|e| e.ocsf.device_hostname = Some("bob".into())), EntityKind::Host);
}

#[test]
fn temporal_needs_all_rules_and_ordered_their_order() {
    let pair = |times: &[(i64, &str)]| -> Vec<Event> {
        times.iter().enumerate().map(|(i, (t, what))| event(*t, i as u64, what, "203.0.113.7", "bob")).collect()
    };
    let any = rules(&correlation("temporal", "failed, success", "ip", ""));
    assert_eq!(findings(&any, pair(&[(0, "fail"), (1, "fail")])).len(), 0);
    assert_eq!(findings(&any, pair(&[(0, "ok"), (1, "fail")])).len(), 1);
    assert_eq!(findings(&any, pair(&[(0, "fail"), (61, "ok")])).len(), 0);
    let ordered = rules(&correlation("temporal_ordered", "failed, success", "ip", ""));
    assert_eq!(findings(&ordered, pair(&[(0, "ok"), (1, "fail")])).len(), 0);
    assert_eq!(findings(&ordered, pair(&[(0, "fail"), (1, "ok")])).len(), 1);
    assert_eq!(findings(&ordered, pair(&[(1, "ok"), (0, "fail")])).len(), 1, "by event time, not by arrival");
    let words = rules(&correlation("temporal", "failed, success", "ip", "  condition: failed and 1 of them\n"));
    assert_eq!(findings(&words, pair(&[(0, "ok")])).len(), 0);
    assert_eq!(findings(&words, pair(&[(0, "fail")])).len(), 1);
}

#[test]
fn aliases_join_differently_named_fields() {
    let text = "title: Burst\nid: burst\ncorrelation:\n  type: temporal\n  rules: [failed, success]\n  group-by: [address]\n  timespan: 60s\n\
                \x20 aliases:\n    address:\n      failed: ip\n      success: user\n";
    let events = vec![event(0, 0, "fail", "x", "y"), event(1, 1, "ok", "z", "x")];
    assert_eq!(findings(&rules(text), events).len(), 1);
}

#[test]
fn several_fields_make_a_group_that_cannot_be_forged() {
    let text = correlation("event_count", "failed", "ip, user", "  condition: {gte: 2}\n");
    let rules = rules(&text);
    let found = findings(&rules, vec![event(0, 0, "fail", "a", "b"), event(1, 1, "fail", "a", "b")]);
    assert_eq!(found[0].entity, Entity::new(EntityKind::Group, "a|b"));
    assert_eq!(findings(&rules, vec![event(0, 0, "fail", "a|b", "c"), event(1, 1, "fail", "a", "b|c")]).len(), 0);
    assert_eq!(findings(&rules, vec![event(0, 0, "fail", "", "c"), event(1, 1, "fail", "", "c")]).len(), 0, "no value, no group");
}

#[test]
fn bad_correlations_are_refused_with_a_line() {
    let cases = [
        (correlation("event_count", "nobody", "ip", "  condition: {gte: 2}\n"), "`nobody`"),
        (correlation("value_count", "failed", "ip", "  condition: {gte: 2}\n"), "field"),
        (correlation("value_sum", "failed", "ip", "  condition: {gte: 2, field: [x, y]}\n"), "one field"),
        (correlation("value_percentile", "failed", "ip", "  condition: {gte: 2, field: x, percentile: 101}\n"), "percentile"),
        (correlation("value_percentil", "failed", "ip", "  condition: {gte: 2, field: x}\n"), "unknown correlation type"),
        (correlation("event_count", "failed", "ip", "  condition: {gte: 2, feild: x}\n"), "unknown key `feild`"),
        (count(2).replace("group-by", "group_by"), "unknown key `group_by`"),
        (correlation("temporal_ordered", "failed, success", "ip", "  condition: {gte: 2}\n"), "no number"),
        (correlation("temporal", "failed, success", "ip", "  condition: failed and succes\n"), "`succes`"),
        (count(2) + "  window: session\n  gap: 2m\n", "gap"),
        (correlation("absence", "failed", "ip", ""), "two different rules"),
        (correlation("new_terms", "failed", "ip", ""), "needs `field`"),
        (correlation("new_terms", "failed", "ip", "  field: user\n"), "an hour"),
        (correlation("event_count", "failed", "ip", "  condition: {gte: 5000}\n"), "keeps 4096"),
        (count(2).replace("60s", "90d"), "timespan"),
    ];
    for (text, part) in cases {
        let (_, issues) = RuleSet::compile(&[data::file(&format!("{BASES}{text}"))]);
        assert_eq!(issues.len(), 1, "{issues:?}");
        assert!(issues[0].message.contains(part) && issues[0].line > Some(13), "{}", issues[0]);
    }
}

#[test]
fn a_spray_of_fresh_keys_does_not_flush_the_attacker() {
    let rules = rules(&count(3));
    let mut correlator = Correlator::new(rules.clone());
    let mut events = fails(&[0, 1]);
    let spray = (0..GROUPS_PER_RULE_MAX as u64 + 5_000).map(|i| event(2, 10 + i, "fail", &format!("k{i}"), "bob"));
    events.extend(spray);
    events.push(event(3, 999_999, "fail", "203.0.113.7", "bob"));
    let (keyed, _) = keyed(&rules, &mut events);
    let mut out = Stepped::default();
    for part in keyed.chunks(4_096) {
        correlator.step(part, &mut out);
        assert!(correlator.group_count() <= GROUPS_PER_RULE_MAX);
    }
    assert_eq!(out.findings.len(), 1, "told at once");
    let deleted = out.delta.iter().filter(|(_, value)| value.is_none()).count();
    assert!(deleted >= 5_000, "evicted groups are deleted from the state: {deleted}");
}

#[test]
fn an_odd_date_hides_nothing() {
    let rules = rules(&count(3));
    for odd in [4_000_000_000, -4_000_000_000] {
        let mut events = fails(&[1_000_000, 1_000_001, odd, 1_000_002]);
        for event in &mut events {
            event.received = Timestamp::from_secs(1_000_003);
        }
        let mut stranger = event(odd, 77, "fail", "198.51.100.9", "eve");
        stranger.received = Timestamp::from_secs(1_000_003);
        events.insert(2, stranger);
        assert_eq!(findings(&rules, events).len(), 1, "{odd}");
    }
}

#[test]
fn old_files_read_out_of_order_still_correlate() {
    let rules = rules(&count(3));
    let (november, january) = (30_000_000, 2_000_000);
    let mut events = fails(&[november, november + 1, january, january + 1, january + 2, november + 2]);
    for event in &mut events {
        event.received = Timestamp::from_secs(60_000_000);
    }
    assert_eq!(findings(&rules, events).len(), 2);
}

#[test]
fn groups_expire_by_the_clock_of_the_log() {
    let rules = rules(&count(3));
    let mut correlator = Correlator::new(rules.clone());
    let mut first: Vec<Event> = (0..1_000).map(|i| event(0, i, "fail", &format!("k{i}"), "bob")).collect();
    let mut out = Stepped::default();
    correlator.step(&keyed(&rules, &mut first).0, &mut out);
    assert_eq!(correlator.group_count(), 1_000);
    let mut later: Vec<Event> = (0..200).map(|i| event(5_000, 5_000 + i, "fail", "late", "bob")).collect();
    correlator.step(&keyed(&rules, &mut later).0, &mut out);
    assert_eq!(correlator.group_count(), 1);
    let state: BTreeMap<_, _> = out.delta.into_iter().collect();
    let groups: BTreeSet<_> = state.iter().filter(|(_, value)| value.is_some()).map(|(key, _)| key[..31].to_vec()).collect();
    assert_eq!(groups.len(), 1, "the written state expires with it");
}

#[test]
fn state_is_restored_and_changed_rules_start_afresh() {
    let rules_a = rules(&count(4));
    let mut correlator = Correlator::new(rules_a.clone());
    let mut out = Stepped::default();
    correlator.step(&keyed(&rules_a, &mut fails(&[0, 1, 2])).0, &mut out);
    let state: BTreeMap<_, _> = out.delta.into_iter().collect();
    let last = || event(3, 9, "fail", "203.0.113.7", "bob");
    let fires = |rules: Arc<RuleSet>, is_known: bool| {
        let mut correlator = Correlator::new(rules.clone());
        assert!(!correlator.restore(b"garbage", b"\xff"));
        for (key, value) in &state {
            assert!(key.starts_with(b"burst\0"));
            assert!(!correlator.restore(key, b"not a group"));
            assert_eq!(correlator.restore(key, value.as_deref().unwrap()), is_known);
        }
        let mut out = Stepped::default();
        correlator.step(&keyed(&rules, &mut [last()]).0, &mut out);
        out.findings.len()
    };
    assert_eq!(fires(rules_a, true), 1);
    assert_eq!(fires(rules(&count(4).replace("60s", "61s")), false), 0);
}
