//! What all stateful rules share (bounds, clocks, state, reload), and the kinds that are Erne's own.

use crate::correlation::{BASES, board, correlation, event, keyed};
use crate::data;
use detect::{Correlator, EventSummary, GROUPS_PER_RULE_MAX, Keyed, Lateness, RuleSet, Stepped, VALUES_PER_GROUP_MAX};
use event::{Entity, EntityKind, Event, Finding, FindingStatus, Format, Position, RuleKind, Timestamp};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const END: i64 = 500_000_000;

fn rules(text: &str) -> Arc<RuleSet> {
    let (rules, issues) = RuleSet::compile(&[data::file(&format!("{BASES}{text}"))]);
    assert!(issues.is_empty(), "{issues:?}\n{text}");
    rules.into()
}

fn issues(text: &str) -> Vec<detect::LoadIssue> {
    RuleSet::compile(&[data::file(&format!("{BASES}{text}"))]).1
}

fn count(least: u32) -> String {
    correlation("event_count", "failed", "ip", &format!("  condition: {{gte: {least}}}\n"))
}

fn terms(more: &str) -> String {
    correlation("new_terms", "success", "ip", &format!("  field: user\n{more}")).replace("60s", "30d")
}

/// A part as the stateless stage makes it, without an event.
fn part(number: u64, group: &str, value: &str, time: Timestamp) -> Keyed {
    Keyed {
        shard_hash: 0,
        correlation: 0,
        part: 0,
        group: vec![group.into()],
        entity: Entity::new(EntityKind::Group, group),
        time,
        received: time,
        lateness_secs: 60,
        uid: format!("u{number}").into(),
        position: Position { offset: number, index: 0 },
        value: Some(value.into()),
        summary: EventSummary::default(),
        sharers: 0,
        identity: None,
        is_taken_back: false,
    }
}

fn secs(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

/// Steps and lets all time pass.
fn run(rules: &Arc<RuleSet>, mut events: Vec<Event>) -> Vec<Finding> {
    events.sort_by_key(|event| event.received);
    events.iter_mut().enumerate().for_each(|(i, event)| event.position.offset = i as u64);
    let mut correlator = Correlator::new(rules.clone());
    let mut out = Stepped::default();
    correlator.step(&keyed(rules, &mut events).0, &mut out);
    correlator.advance(secs(END), &mut out);
    out.findings
}

fn summaries(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.explanation.summary.as_str()).collect()
}

// Time

#[test]
fn time_passes_without_events() {
    let rules = rules(&count(2));
    let mut correlator = Correlator::new(rules.clone());
    let mut out = Stepped::default();
    let mut events = vec![event(100, 0, "fail", "a", "b"), event(130, 1, "fail", "a", "b")];
    correlator.step(&keyed(&rules, &mut events).0, &mut out);
    assert_eq!(out.findings.len(), 1);
    // The burst's end, a timespan in which it could go on, and the lateness.
    correlator.advance(secs(130 + 60 + 60), &mut out);
    assert_eq!(out.findings.len(), 1, "an event as late as allowed may still come");
    correlator.advance(secs(130 + 60 + 61), &mut out);
    assert_eq!((out.findings.len(), out.findings[1].status), (2, FindingStatus::Final));
    assert_eq!(correlator.next_due(), None, "a group that is told holds nothing");
}

#[test]
fn slow_sources_are_waited_for() {
    let final_at = |format: Format, lateness: Lateness| -> i64 {
        let rules = rules(&count(2));
        let mut events = vec![event(100, 0, "fail", "a", "b"), event(130, 1, "fail", "a", "b")];
        events.iter_mut().for_each(|event| event.format = format);
        let detector = detect::Detector { rules: rules.clone(), lists: Default::default(), lateness: lateness.into() };
        let mut matched = detect::Matched::default();
        detector.run(&mut events, &mut matched);
        let mut correlator = Correlator::new(rules);
        let mut out = Stepped::default();
        correlator.step(&matched.keyed, &mut out);
        let is_final = |waited: &i64| {
            correlator.advance(Timestamp(secs(130 + 60 + waited).0 + 1), &mut out);
            out.findings.len() == 2
        };
        (0..).find(is_final).unwrap()
    };
    assert_eq!(final_at(Format::Json, Lateness::default()), 60);
    assert_eq!(final_at(Format::Cloudtrail, Lateness::default()), 900);
    assert_eq!(final_at(Format::Cloudtrail, Lateness::new([("test".to_owned(), 5)])), 5);
    assert_eq!(final_at(Format::Json, Lateness::new([("test".to_owned(), u32::MAX), ("x".to_owned(), 1)])), DAY);
}

#[test]
fn an_event_from_the_future_moves_no_clock() {
    let rules = rules(&count(2));
    let mut events = vec![event(100, 0, "fail", "a", "b"), event(4_000_000_000, 1, "fail", "b", "b")];
    events[1].received = secs(101);
    events.extend([event(120, 2, "fail", "a", "b"), event(130, 3, "fail", "b", "b"), event(165, 4, "fail", "b", "b")]);
    let found = board(&run(&rules, events));
    let who: Vec<_> = found.iter().map(|f| (f.entity.value.as_str(), f.event_count)).collect();
    assert_eq!(who, [("a", 2), ("b", 3)], "a future date is one of the near future, and hides nobody");
}

#[test]
fn files_end_without_waiting() {
    let text = [count(2), correlation("absence", "failed, success", "ip", "").replace("id: burst", "id: absent")].join("---\n");
    let rules = rules(&text);
    let mut events = vec![
        event(0, 0, "fail", "early", "u"), event(10, 1, "fail", "early", "u"), event(70, 2, "ok", "other", "u"),
        event(500, 3, "fail", "late", "u"), event(510, 4, "fail", "late", "u"),
    ];
    events.iter_mut().for_each(|event| event.received = secs(1_000_000));
    let mut correlator = Correlator::new(rules.clone());
    let mut out = Stepped::default();
    correlator.step(&keyed(&rules, &mut events).0, &mut out);
    correlator.finish(&mut out);
    let found: BTreeMap<_, _> =
        board(&out.findings).iter().map(|f| ((f.rule.id.to_string(), f.entity.value.to_string()), f.status)).collect();
    let expected = [
        (("absent".into(), "early".into()), FindingStatus::Final),
        (("burst".into(), "early".into()), FindingStatus::Final),
        (("burst".into(), "late".into()), FindingStatus::Provisional),
    ];
    assert_eq!(found, expected.into(), "what lies behind the end of the file is not known");
    assert_eq!(detect::standing(out.findings).len(), 3);
}

// Telling

#[test]
fn a_burst_is_told_when_it_doubles_and_grows_together() {
    let rules = rules(&count(3));
    let mut events: Vec<Event> = (0..1_000).map(|i| event(i / 10, i as u64, "fail", "a", "b")).collect();
    let told = run(&rules, events.clone());
    let counts: Vec<u64> = told.iter().map(|f| f.event_count).collect();
    assert_eq!(counts, [3, 6, 12, 24, 48, 96, 192, 384, 768, 1_000]);
    assert!(told.iter().all(|f| f.id == told[0].id));
    // Two bursts, and the late event that bridges them.
    events = [0, 1, 2, 100, 101, 102].iter().enumerate().map(|(i, t)| event(*t, i as u64, "fail", "a", "b")).collect();
    let mut bridge = event(50, 9, "fail", "a", "b");
    bridge.received = secs(103);
    events.push(bridge);
    let told = run(&rules, events);
    let forms: Vec<_> = told.iter().map(|f| (f.status, f.revision, f.event_count, f.replaces.is_some())).collect();
    use FindingStatus::{Final, Provisional};
    assert_eq!(forms, [(Provisional, 0, 3, false), (Provisional, 0, 3, false), (Provisional, 1, 7, true), (Final, 2, 7, false)]);
    assert_eq!((told[2].id, told[2].replaces), (told[0].id, Some(told[1].id)));
}

#[test]
fn an_earlier_beginning_replaces_the_finding() {
    let rules = rules(&count(3));
    let mut events: Vec<Event> = [20, 21, 22].iter().enumerate().map(|(i, t)| event(*t, i as u64, "fail", "a", "b")).collect();
    let mut late = event(10, 3, "fail", "a", "b");
    late.received = secs(30);
    events.push(late);
    let told = run(&rules, events);
    assert_eq!((told[1].replaces, told[1].revision), (Some(told[0].id), 1));
    assert_eq!((told[1].window.unwrap().0, told[1].time), (secs(10), secs(21)), "three within the timespan are complete earlier");
    assert_eq!(board(&told).len(), 1);
}

#[test]
fn a_late_event_behind_a_final_window_changes_nothing() {
    let rules = rules(&count(2));
    let mut events = vec![event(100, 0, "fail", "a", "b"), event(101, 1, "fail", "a", "b"), event(400, 2, "fail", "a", "b")];
    let mut late = event(102, 3, "fail", "a", "b");
    late.received = secs(401);
    events.push(late);
    assert_eq!(run(&rules, events).len(), 2, "told at once and as final");
}

// Bounds

#[test]
fn values_beyond_the_bound_are_estimated_and_said_to_be() {
    let rules = rules(&correlation("value_count", "failed", "ip", "  condition: {gte: 3, field: user}\n"));
    let told = |values: u64| {
        let keyed: Vec<Keyed> = (0..values).map(|i| part(i, "a", &format!("user{i}"), Timestamp(i as i64 * 1_000))).collect();
        let mut correlator = Correlator::new(rules.clone());
        let mut out = Stepped::default();
        keyed.chunks(1_000).for_each(|keyed| correlator.step(keyed, &mut out));
        correlator.advance(secs(END), &mut out);
        let state: BTreeMap<_, _> = out.delta.into_iter().collect();
        assert_eq!(state.values().flatten().count(), 0);
        out.findings.pop().unwrap().explanation.conditions[0].actual.to_string()
    };
    assert_eq!(told(VALUES_PER_GROUP_MAX as u64), VALUES_PER_GROUP_MAX.to_string());
    let about: f64 = told(100_000).strip_prefix("about ").unwrap().parse().unwrap();
    assert!((about / 100_000.0 - 1.0).abs() < 0.05, "{about}");
}

#[test]
fn a_step_writes_what_changed_and_an_attack_does_not_grow_the_state() {
    for condition in ["{gte: 10}", "{gte: 10, field: user}"] {
        let kind = if condition.contains("field") { "value_count" } else { "event_count" };
        let rules = rules(&correlation(kind, "failed", "ip", &format!("  condition: {condition}\n")));
        let mut correlator = Correlator::new(rules);
        let mut state: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let mut bytes_max = 0;
        for i in 0..50_000u64 {
            let mut out = Stepped::default();
            correlator.step(&[part(i, "a", &format!("user{i}"), Timestamp(i as i64 * 10_000))], &mut out);
            let bytes: usize = out.delta.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum();
            // Once, the exact values give way to the estimate.
            bytes_max = if i as usize == VALUES_PER_GROUP_MAX + 10 { bytes_max } else { bytes_max.max(bytes) };
            for (key, value) in out.delta {
                match value {
                    Some(value) => state.insert(key, value),
                    None => state.remove(&key),
                };
            }
        }
        assert!(bytes_max < 2_500, "{kind}: {bytes_max} bytes in one step");
        let size: usize = state.iter().map(|(key, value)| key.len() + value.len()).sum();
        assert!(size < 20_000, "{kind}: {size} bytes for 50,000 events");
    }
}

#[test]
fn hammering_with_one_value_stays_below_the_threshold_and_the_bound() {
    let rules = rules(&correlation("value_count", "failed", "ip", "  condition: {gte: 3, field: user}\n"));
    let mut correlator = Correlator::new(rules.clone());
    let mut out = Stepped::default();
    let start = std::time::Instant::now();
    for i in 0..100_000u64 {
        let value = if i == 0 { "first" } else { "root" };
        correlator.step(&[part(i, "a", value, Timestamp(i as i64 * 100))], &mut out);
    }
    assert!(out.findings.is_empty());
    let state: BTreeMap<_, _> = std::mem::take(&mut out.delta).into_iter().collect();
    let size: usize = state.iter().filter_map(|(key, value)| Some(key.len() + value.as_ref()?.len())).sum();
    assert!(size < 60_000, "{size} bytes");
    // The first value still counts, though a hundred thousand others came in between.
    correlator.step(&[part(200_000, "a", "third", secs(11))], &mut out);
    assert_eq!(out.findings.len(), 1);
    assert!(out.findings[0].explanation.summary.contains("about 3"), "{}", out.findings[0].explanation.summary);
    println!("100,000 single steps in {:?}", start.elapsed());
}

#[test]
fn failures_without_number_still_precede_the_success() {
    let text = correlation("temporal_ordered", "failed, failed, failed, success", "ip", "");
    let rules = rules(&text);
    let mut keyed: Vec<Keyed> = (0..20_000).map(|i| part(i, "a", "", Timestamp(i as i64 * 1_000))).collect();
    keyed.push(Keyed { part: 3, ..part(20_000, "a", "", secs(21)) });
    let mut correlator = Correlator::new(rules);
    let mut out = Stepped::default();
    keyed.chunks(100).for_each(|keyed| correlator.step(keyed, &mut out));
    assert_eq!(out.findings.len(), 1);
    let summary = &out.findings[0].explanation.summary;
    assert!(summary.contains("failed (3 times), success in this order"), "{summary}");
    assert_eq!(out.findings[0].event_count, 20_001);
}

#[test]
fn a_spray_of_fresh_keys_flushes_no_evidence() {
    let absence = correlation("absence", "failed, success", "ip", "").replace("60s", "10m");
    let known = terms("  baseline: 1d\n");
    for (text, before, after) in [
        (absence, vec![part(0, "victim", "", secs(0)), part(1, "victim", "", secs(1))], None),
        (known, (0..30).map(|i| part(i, "victim", "bob", secs(i as i64 * DAY / 10))).collect(), Some("eve")),
    ] {
        let rules = rules(&text);
        let mut correlator = Correlator::new(rules);
        let mut out = Stepped::default();
        let start = before.last().unwrap().time;
        correlator.step(&before, &mut out);
        let spray: Vec<Keyed> = (0..GROUPS_PER_RULE_MAX as u64 + 5_000).map(|i| part(1_000 + i, &format!("k{i}"), "x", start.plus_secs(1))).collect();
        spray.chunks(4_096).for_each(|keyed| correlator.step(keyed, &mut out));
        assert_eq!(correlator.group_count(), GROUPS_PER_RULE_MAX);
        if let Some(value) = after {
            correlator.step(&[part(900_000, "victim", value, start.plus_secs(2))], &mut out);
        }
        correlator.advance(start.plus_secs(HOUR), &mut out);
        assert!(board(&out.findings).iter().any(|f| f.entity.value == "victim"), "{text}");
    }
}

#[test]
fn hostile_sizes_are_bounded() {
    let rules = rules(&correlation("value_sum", "failed", "ip", "  condition: {gte: 1000, field: user}\n"));
    let values = ["9223372036854775807", "1e308", "-1e308", "NaN", "inf", "", "-5", "0x10", "999.9995", "1_000"];
    let mut correlator = Correlator::new(rules);
    let mut out = Stepped::default();
    for (i, value) in values.iter().enumerate() {
        let group = format!("{i}{}", "x".repeat(if i == 9 { 100_000 } else { 0 }));
        correlator.step(&[part(i as u64, &group, value, secs(i64::MAX / 1_000_000)), part(100 + i as u64, &group, value, secs(i64::MIN / 1_000_000))], &mut out);
    }
    let told: BTreeSet<_> = out.findings.iter().map(|f| f.entity.value.chars().next().unwrap()).collect();
    assert_eq!(told, ['0', '1', '8'].into(), "999.9995 is 1,000 in thousandths; what is no number takes no part");
    correlator.advance(Timestamp(i64::MAX), &mut out);
}

// Kinds

#[test]
fn sums_averages_and_percentiles_say_their_number() {
    let found = |kind: &str, condition: &str, numbers: &[&str]| {
        let rules = rules(&correlation(kind, "failed", "ip", &format!("  condition: {condition}\n")));
        let events = numbers.iter().enumerate().map(|(i, n)| event(i as i64, i as u64, "fail", "a", n)).collect();
        board(&run(&rules, events)).first().map(|f| f.explanation.summary.clone()).unwrap_or_default()
    };
    assert_eq!(found("value_sum", "{gte: 10, field: user}", &["4.5", "5.25", "0.25"]), "a: user adds up to 10 in 3 events within 2 s: Burst");
    assert_eq!(found("value_sum", "{gt: 10, field: user}", &["4.5", "5.25", "0.25"]), "");
    assert_eq!(found("value_avg", "{gte: 2, field: user}", &["1", "2", "3.5"]), "a: user is 2.166 on average of 3 events within 2 s: Burst");
    assert_eq!(found("value_avg", "{lt: 2, field: user}", &["1", "2", "3.5"]), "");
    let percentile = "{gt: 90, field: user, percentile: 50}";
    assert_eq!(found("value_percentile", percentile, &["1", "95", "99"]), "a: percentile 50 of user is 95 in 3 events within 2 s: Burst");
    assert_eq!(found("value_percentile", percentile, &["1", "2", "99"]), "");
    assert_eq!(found("value_median", "{gt: 90, field: user}", &["1", "95", "99"]), "a: percentile 50 of user is 95 in 3 events within 2 s: Burst");
}

#[test]
fn a_negated_rule_is_known_when_the_window_is_over() {
    let rules = rules(&correlation("temporal", "failed, success", "ip", "  condition: failed and not success\n"));
    let pair = |second: i64| run(&rules, vec![event(0, 0, "fail", "a", "b"), event(second, 1, "ok", "a", "b")]);
    assert_eq!(pair(60).len(), 0);
    let told = pair(61);
    assert_eq!((told.len(), told[0].status, told[0].revision), (1, FindingStatus::Final, 0));
}

#[test]
fn tumbling_and_session_windows() {
    let fired = |window: &str, times: &[i64]| {
        let rules = rules(&(count(3) + window));
        let events = times.iter().enumerate().map(|(i, t)| event(*t, i as u64, "fail", "a", "b")).collect();
        board(&run(&rules, events)).iter().map(|f| (f.window.unwrap().0.secs(), f.window.unwrap().1.secs())).collect::<Vec<_>>()
    };
    let tumbling = "  window: tumbling\n";
    assert_eq!(fired(tumbling, &[58, 59, 60]), [], "two minutes");
    assert_eq!(fired(tumbling, &[60, 80, 119, 120, 130, 140]), [(60, 119), (120, 140)]);
    let session = "  window: session\n  gap: 10s\n";
    assert_eq!(fired(session, &[0, 10, 20]), [(0, 20)]);
    assert_eq!(fired(session, &[0, 10, 21]), []);
    assert_eq!(fired(session, &[0, 10, 20, 30, 40, 50, 60, 61, 62, 70]), [(0, 60), (61, 70)], "a session is a timespan long at most");
}

#[test]
fn absence_is_told_when_the_time_is_over() {
    let rules = rules(&correlation("absence", "failed, success", "ip", ""));
    let pair = |events: &[(i64, &str)]| run(&rules, events.iter().enumerate().map(|(i, (t, what))| event(*t, i as u64, what, "a", "b")).collect());
    assert_eq!(pair(&[(0, "fail"), (60, "ok")]).len(), 0);
    assert_eq!(pair(&[(0, "ok")]).len(), 0);
    assert_eq!(pair(&[(1, "ok"), (0, "fail")]).len(), 0, "by event time");
    let told = pair(&[(0, "fail"), (5, "fail"), (61, "ok")]);
    assert_eq!(summaries(&told), ["a: failed was not followed by success within 60 s: Burst"]);
    assert_eq!((told[0].time, told[0].event_count, told[0].status), (secs(60), 2, FindingStatus::Final));
    assert_eq!(told[0].rule.kind, RuleKind::Correlation);
}

#[test]
fn new_terms_tell_what_a_known_group_has_not_shown() {
    let rules = rules(&terms("  baseline: 7d\n"));
    let login = |day: i64, number: u64, user: &str| event(day * DAY, number, "ok", "10.0.0.1", user);
    let mut events: Vec<Event> = (0..9).map(|day| login(day, day as u64, ["bob", "amy"][day as usize % 2])).collect();
    assert_eq!(run(&rules, events.clone()).len(), 0, "what is seen while it is learned, and again");
    events.push(login(9, 20, "eve"));
    let told = run(&rules, events.clone());
    assert_eq!(told.iter().map(|f| f.status).collect::<Vec<_>>(), [FindingStatus::Provisional, FindingStatus::Final]);
    assert_eq!(summaries(&told)[0], "10.0.0.1: user eve is new among 2 known values since 1970-01-01: Burst");
    let conditions: Vec<&str> = told[0].explanation.conditions.iter().map(|c| &*c.actual).collect();
    assert_eq!(conditions[..3], ["eve", "since 1970-01-01T00:00:00.000000Z", "2"]);
    let mut early = events[..5].to_vec();
    early.push(login(6, 20, "eve"));
    assert_eq!(run(&rules, early).len(), 0, "a group that is not known long enough");
    events.push(login(30, 21, "eve"));
    events.push(login(40, 22, "bob"));
    let told = board(&run(&rules, events));
    assert_eq!(told.len(), 2, "bob was forgotten after thirty days, eve was not");
    assert!(told[1].explanation.summary.contains("user bob"));
    // One event with an odd date makes nobody known.
    assert_eq!(run(&rules, vec![login(0, 0, "bob"), login(400, 1, "bob"), login(401, 2, "eve")]).len(), 0);
}

#[test]
fn a_group_of_too_many_values_has_no_habit() {
    let rules = rules(&terms("  baseline: 1d\n  values_max: 10\n"));
    let events = (0..40).map(|i| event(i * DAY / 4, i as u64, "ok", "a", &format!("u{i}"))).collect();
    let told = board(&run(&rules, events));
    assert_eq!(told.len(), 6, "ten values, four of them while the group was learned");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// The order of arrival decides nothing, and neither do restarts.
    #[test]
    fn new_terms_are_the_same_in_any_order(
        list in prop::collection::vec((0i64..200, 0u8..2, 0u8..5, 0i64..=60), 1..60), chunk in 1usize..9,
    ) {
        let rules = rules(&terms("").replace("30d", "2h").replace("  field", "  baseline: 20m\n  field"));
        let events = |delayed: bool| -> Vec<Event> {
            let mut events: Vec<Event> = list.iter().enumerate().map(|(i, (minute, who, user, delay))| {
                let mut event = event(minute * 90, 0, "ok", &format!("10.0.0.{who}"), &format!("user{user}"));
                event.uid = format!("u{:03}", (i * 37) % 101).into();
                event.received = event.time.plus_secs(if delayed { *delay } else { 0 });
                event
            }).collect();
            events.sort_by_key(|event| (event.received, event.uid.clone()));
            events
        };
        let form = |told: &[Finding]| board(told).into_iter().map(|f| (f.id, f.event_ids, f.explanation.summary, f.status)).collect::<Vec<_>>();
        let told = run(&rules, events(true));
        prop_assert_eq!(form(&told), form(&run(&rules, events(false))));
        let mut events = events(true);
        events.iter_mut().enumerate().for_each(|(i, event)| event.position.offset = i as u64);
        let mut state: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let mut broken = Vec::new();
        let last = events.len().div_ceil(chunk);
        for (i, events) in events.chunks_mut(chunk).enumerate() {
            let mut correlator = Correlator::new(rules.clone());
            for (key, value) in &state {
                prop_assert!(correlator.restore(key, value));
            }
            let mut out = Stepped::default();
            correlator.step(&keyed(&rules, events).0, &mut out);
            if i + 1 == last {
                correlator.advance(secs(END), &mut out);
            }
            broken.extend(out.findings);
            for (key, value) in out.delta {
                match value {
                    Some(value) => state.insert(key, value),
                    None => state.remove(&key),
                };
            }
        }
        prop_assert_eq!(broken, told);
        prop_assert_eq!(state.len(), 0);
    }
}

// Rules

#[test]
fn correlations_build_on_each_other() {
    let chain = "title: Chain\nid: chain\nlevel: critical\ncorrelation:\n  type: temporal_ordered\n  rules: [burst, success]\n  group-by: [ip]\n  timespan: 5m\n";
    let set = rules(&[chain, &count(3)].join("---\n"));
    let mut events: Vec<Event> = (0..3).map(|i| event(i, i as u64, "fail", "a", "b")).collect();
    events.push(event(100, 3, "ok", "a", "b"));
    let told = run(&set, events.clone());
    let found = board(&told);
    assert_eq!(found.len(), 1, "without `generate`, the inner one is silent");
    assert_eq!((&*found[0].rule.id, found[0].time), ("chain", secs(100)));
    assert_eq!(found[0].event_ids[0].len(), 36, "the finding's id stands for its events");
    assert_eq!(found[0].entity, Entity::new(EntityKind::Ip, "a"));
    let loud = rules(&[chain, &format!("{}generate: true\n", count(3)), &format!("{chain}generate: true\n").replace("chain", "loud")].join("---\n"));
    assert_eq!(board(&run(&loud, events)).len(), 3, "`generate` of one correlation is enough for its parts");
    let requirements = set.requirements();
    let info = requirements.iter().find(|r| &*r.rule.id == "chain").unwrap().correlation.clone().unwrap();
    assert_eq!((info.kind, info.rules.iter().map(|id| &**id).collect::<Vec<_>>()), ("temporal_ordered", vec!["burst", "ok"]));
}

#[test]
fn chains_are_checked() {
    let link = |id: &str, on: &str, group: &str| {
        format!("title: {id}\nid: {id}\ncorrelation:\n  type: event_count\n  rules: [{on}]\n{group}  timespan: 1m\n  condition: {{gte: 1}}\n")
    };
    let said = |texts: &[String]| issues(&texts.join("---\n")).iter().map(|i| format!("{}: {}", i.line.unwrap(), i.message)).collect::<Vec<_>>();
    let chain: Vec<String> = [("c1", "failed"), ("c2", "c1"), ("c3", "c2"), ("c4", "c3")].iter().map(|(id, on)| link(id, on, "")).collect();
    assert_eq!(said(&chain), Vec::<String>::new());
    let deep = [chain, vec![link("c5", "c4", "")]].concat();
    assert!(said(&deep)[0].contains("more than 4 correlations"), "{:?}", said(&deep));
    let circle = said(&[link("c1", "c2", ""), link("c2", "c1", "")]);
    assert!(circle.len() == 2 && circle[0].contains("there is no rule"), "{circle:?}");
    let fields = said(&[link("c1", "failed", "  group-by: [ip]\n"), link("c2", "c1", "  group-by: [user]\n")]);
    assert!(fields[0].contains("have no field `user`"), "{fields:?}");
    let terms = said(&[link("c1", "failed", "  group-by: [ip]\n"), terms("").replace("success", "c1").replace("field: user", "field: ip")]);
    assert!(terms[0].contains("counts detection rules"), "{terms:?}");
}

#[test]
fn misspelt_words_are_met_with_the_right_ones() {
    let hint = |text: String| issues(&text)[0].to_string();
    assert!(hint(count(2).replace("event_count", "event-cuont")).contains("did you mean `event_count`?"));
    assert!(hint(terms("").replace("new_terms", "new_term")).contains("did you mean `new_terms`?"));
    assert!(hint(terms("  base_line: 1d\n")).contains("did you mean `baseline`?"));
    assert!(hint(count(2).replace("gte", "gtr")).contains("did you mean `gt"));
    assert!(hint(count(2).replace("event_count", "threshold_of_everything")).contains("one of event_count"));
    assert!(hint(terms("  baseline: 31d\n")).contains("the baseline must not be longer"));
    assert!(hint(terms("  baseline: soon\n")).contains("`baseline`"));
    assert!(hint(terms("  values_max: 0\n")).contains("values_max goes from 1"));
    assert!(hint(correlation("absence", "failed, success", "ip", "").replace("  timespan: 60s\n", "")).contains("needs a `timespan`"));
}

#[test]
fn an_event_that_matches_two_rules_counts_once() {
    let second = "title: Any\nid: any\nlogsource: {product: p}\ndetection:\n  s: {what|exists: true}\n  condition: s\n---\n";
    let rules = rules(&format!("{second}{}", count(3).replace("[failed]", "[failed, any]")));
    let fails = |n: i64| (0..n).map(|i| event(i, i as u64, "fail", "a", "b")).collect();
    assert_eq!(run(&rules, fails(2)).len(), 0);
    assert_eq!(board(&run(&rules, fails(3)))[0].event_count, 3);
}

#[test]
fn a_reload_keeps_the_windows_of_rules_that_did_not_change() {
    let other = count(2).replace("id: burst", "id: other").replace("[ip]", "[user]");
    let before = rules(&[count(3), other.clone()].join("---\n"));
    // The same rule, changed neighbours, in another place.
    let after = rules(&[other.replace("gte: 2", "gte: 4"), terms("").replace("id: burst", "id: terms"), count(3)].join("---\n"));
    let mut correlator = Correlator::new(before.clone());
    let mut out = Stepped::default();
    let mut events = vec![event(0, 0, "fail", "a", "b"), event(1, 1, "fail", "a", "b")];
    correlator.step(&keyed(&before, &mut events).0, &mut out);
    let mut state: BTreeMap<_, _> = std::mem::take(&mut out.delta).into_iter().collect();
    correlator.reload(after.clone(), &mut out);
    let deleted = out.delta.len();
    assert!(deleted > 0 && out.delta.iter().all(|(key, value)| key.starts_with(b"other\0") && value.is_none()));
    state.extend(out.delta.drain(..));
    assert!(state.iter().all(|(key, value)| key.starts_with(b"burst\0") == value.is_some()));
    let told_before = out.findings.len();
    correlator.step(&keyed(&after, &mut [event(2, 2, "fail", "a", "b")]).0, &mut out);
    assert_eq!(out.findings[told_before..].iter().map(|f| (&*f.rule.id, f.event_count)).collect::<Vec<_>>(), [("burst", 3)]);
    correlator.advance(secs(END), &mut out);
    assert_eq!(correlator.group_count(), 0, "timers were taken over");
}
