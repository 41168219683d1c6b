//! Windows against their definition: a second, slow implementation from the documentation, over random rules
//! and events in random order of arrival.

use crate::correlation::{BASES, board, event, keyed};
use crate::data;
use detect::{Correlator, Keyed, RuleSet, Stepped};
use event::{Event, Finding, FindingStatus, Id, Timestamp};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The default of the test events' format.
const LATENESS_SECS: i64 = 60;
const SPAN: i64 = 20;

/// An event as the definition sees it; its order in a list is that of (time, uid).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    time: i64,
    uid: String,
    what: &'static str,
    user: String,
    bytes: i64,
    who: u8,
}

/// A finding: who, first and last event time, the time of the event that completed it, uids.
type Expected = BTreeSet<(u8, i64, i64, i64, Vec<String>)>;

#[derive(Clone, Debug)]
enum Kind {
    EventCount(u64),
    ValueCount(u64),
    Sum(u64),
    Temporal,
    /// Failures in a row, then a success.
    Ordered(usize),
    /// The condition's text, and the number's predicate.
    Between(u64, u64),
    AverageAtLeast(u64),
    PercentileAtLeast(u8, u64),
    FailedWithoutSuccess,
    Absence,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Sliding,
    Tumbling,
    Session(i64),
}

impl Kind {
    fn is_rising(&self) -> bool {
        matches!(self, Self::EventCount(_) | Self::ValueCount(_) | Self::Sum(_) | Self::Temporal | Self::Ordered(_))
    }

    fn text(&self, shape: Shape) -> String {
        let (kind, bases, condition) = match self {
            Self::EventCount(n) => ("event_count", "failed, success".into(), format!("{{gte: {n}}}")),
            Self::ValueCount(n) => ("value_count", "failed, success".into(), format!("{{gte: {n}, field: user}}")),
            Self::Sum(n) => ("value_sum", "failed, success".into(), format!("{{gte: {n}, field: bytes}}")),
            Self::Temporal => ("temporal", "failed, success".into(), String::new()),
            Self::Ordered(n) => ("temporal_ordered", format!("{}success", "failed, ".repeat(*n)), String::new()),
            Self::Between(n, m) => ("event_count", "failed, success".into(), format!("{{gte: {n}, lte: {m}}}")),
            Self::AverageAtLeast(n) => ("value_avg", "failed, success".into(), format!("{{gte: {n}, field: bytes}}")),
            Self::PercentileAtLeast(p, n) => {
                ("value_percentile", "failed, success".into(), format!("{{gte: {n}, field: bytes, percentile: {p}}}"))
            }
            Self::FailedWithoutSuccess => ("temporal", "failed, success".into(), "failed and not success".into()),
            Self::Absence => ("absence", "failed, success".into(), String::new()),
        };
        let condition = if condition.is_empty() { condition } else { format!("  condition: {condition}\n") };
        let window = match shape {
            Shape::Sliding => String::new(),
            Shape::Tumbling => "  window: tumbling\n".into(),
            Shape::Session(gap) => format!("  window: session\n  gap: {gap}s\n"),
        };
        format!("title: Burst\nid: burst\ncorrelation:\n  type: {kind}\n  rules: [{bases}]\n  group-by: [ip]\n  timespan: {SPAN}s\n{condition}{window}")
    }

    fn holds(&self, window: &[Point]) -> bool {
        let count = window.len() as u64;
        let sum: i64 = window.iter().map(|p| p.bytes).sum();
        let has = |what: &str| window.iter().any(|p| p.what == what);
        match self {
            Self::EventCount(n) => count >= *n,
            Self::ValueCount(n) => window.iter().map(|p| &p.user).collect::<BTreeSet<_>>().len() as u64 >= *n,
            Self::Sum(n) => sum >= *n as i64,
            Self::Temporal => has("fail") && has("ok"),
            Self::Ordered(n) => window.iter().enumerate().any(|(at, p)| {
                p.what == "ok" && window[..at].iter().filter(|q| q.what == "fail").count() >= *n
            }),
            Self::Between(n, m) => (*n..=*m).contains(&count),
            Self::AverageAtLeast(n) => sum >= *n as i64 * count as i64,
            Self::PercentileAtLeast(percent, n) => {
                let mut values: Vec<i64> = window.iter().map(|p| p.bytes).collect();
                values.sort_unstable();
                let rank = (values.len() * usize::from(*percent)).div_ceil(100).max(1);
                values[rank - 1] >= *n as i64
            }
            Self::FailedWithoutSuccess => has("fail") && !has("ok"),
            Self::Absence => unreachable!("has a definition of its own"),
        }
    }

    /// The definition, over one group's events in their order.
    fn expected(&self, shape: Shape, who: u8, points: &[Point]) -> Expected {
        let mut found = Expected::new();
        let mut tell = |first: usize, trigger: usize, last: usize| {
            let uids = points[first..=last].iter().map(|p| p.uid.clone()).collect();
            found.insert((who, points[first].time, points[last].time, points[trigger].time, uids));
        };
        let mut at = 0;
        while at < points.len() {
            let in_window = |last: usize, next: &Point| match shape {
                Shape::Sliding => next.time <= points[at].time + SPAN,
                Shape::Tumbling => next.time.div_euclid(SPAN) == points[at].time.div_euclid(SPAN),
                Shape::Session(gap) => next.time <= points[at].time + SPAN && next.time - points[last].time <= gap,
            };
            if shape == Shape::Sliding && self.is_rising() {
                let first = points.iter().position(|p| p.time >= points[at].time - SPAN).unwrap();
                if !self.holds(&points[first..=at]) {
                    at += 1;
                    continue;
                }
                let mut last = at;
                while last + 1 < points.len() && points[last + 1].time - points[last].time <= SPAN {
                    last += 1;
                }
                tell(first, at, last);
                at = last + 1;
                continue;
            }
            let mut last = at;
            while last + 1 < points.len() && in_window(last, &points[last + 1]) {
                last += 1;
            }
            let completed = (at..=last).find(|end| self.is_rising() && self.holds(&points[at..=*end]));
            if let Some(trigger) = completed.or_else(|| self.holds(&points[at..=last]).then_some(last)) {
                tell(at, trigger, last);
            }
            at = last + 1;
        }
        found
    }

    fn expected_absence(who: u8, points: &[Point]) -> Expected {
        let mut found = Expected::new();
        let mut at = 0;
        while at < points.len() {
            if points[at].what == "ok" {
                at += 1;
                continue;
            }
            let end = points[at].time + SPAN;
            let inside = points[at..].iter().take_while(|p| p.time <= end).count();
            let window = &points[at..at + inside];
            match window.iter().position(|p| p.what == "ok") {
                Some(answer) => at += answer + 1,
                None => {
                    let uids = window.iter().map(|p| p.uid.clone()).collect();
                    found.insert((who, points[at].time, end, end, uids));
                    at += inside;
                }
            }
        }
        found
    }
}

fn kinds() -> impl Strategy<Value = (Kind, Shape)> {
    let kind = prop_oneof![
        3 => (1u64..5).prop_map(Kind::EventCount),
        2 => (1u64..4).prop_map(Kind::ValueCount),
        1 => (1u64..300).prop_map(Kind::Sum),
        1 => Just(Kind::Temporal),
        2 => (1usize..4).prop_map(Kind::Ordered),
        1 => (1u64..3, 0u64..3).prop_map(|(n, more)| Kind::Between(n, n + more)),
        1 => (10u64..90).prop_map(Kind::AverageAtLeast),
        1 => (0u8..=100, 10u64..90).prop_map(|(p, n)| Kind::PercentileAtLeast(p, n)),
        1 => Just(Kind::FailedWithoutSuccess),
        1 => Just(Kind::Absence),
    ];
    let shape = prop_oneof![3 => Just(Shape::Sliding), 1 => Just(Shape::Tumbling), 1 => (1i64..=SPAN).prop_map(Shape::Session)];
    (kind, shape).prop_map(|(kind, shape)| match kind {
        Kind::Absence => (kind, Shape::Sliding),
        _ => (kind, shape),
    })
}

/// Events of two groups with their delays; times coincide often, and lie around the timespan from each other.
fn arrivals() -> impl Strategy<Value = Vec<(Point, i64)>> {
    let one = (0i64..200, 0u8..2, prop::bool::weighted(0.7), 0u8..4, 0i64..100, 0i64..=LATENESS_SECS, 0u32..1000);
    prop::collection::vec(one, 1..40).prop_map(|list| {
        let points = list.into_iter().enumerate().map(|(i, (time, who, is_fail, user, bytes, delay, order))| {
            let what = if is_fail { "fail" } else { "ok" };
            let user = format!("user{user}");
            (Point { time, uid: format!("u{:03}-{i:02}", order), what, user, bytes, who }, delay)
        });
        points.collect()
    })
}

fn events(arrivals: &[(Point, i64)]) -> Vec<Event> {
    let mut list: Vec<Event> = arrivals.iter().map(|(point, delay)| {
        let mut event = event(point.time, 0, point.what, &format!("10.0.0.{}", point.who), &point.user);
        let native = format!(r#"{{"what":"{}","ip":"10.0.0.{}","user":"{}","bytes":{}}}"#, point.what, point.who, point.user, point.bytes);
        event.native = event::Value::from_json(native.as_bytes()).unwrap().0;
        event.uid = point.uid.as_str().into();
        event.received = Timestamp::from_secs(point.time + delay);
        event
    }).collect();
    list.sort_by_key(|event| event.received);
    list.iter_mut().enumerate().for_each(|(i, event)| event.position.offset = i as u64);
    list
}

fn rules(text: &str) -> Arc<RuleSet> {
    let (rules, issues) = RuleSet::compile(&[data::file(&format!("{BASES}{text}"))]);
    assert!(issues.is_empty(), "{issues:?}\n{text}");
    rules.into()
}

fn parts(rules: &Arc<RuleSet>, arrivals: &[(Point, i64)]) -> Vec<Keyed> {
    keyed(rules, &mut events(arrivals)).0
}

const END: Timestamp = Timestamp::from_secs(500_000_000);

fn run(rules: &Arc<RuleSet>, keyed: &[Keyed]) -> Vec<Finding> {
    let mut correlator = Correlator::new(rules.clone());
    let mut out = Stepped::default();
    correlator.step(keyed, &mut out);
    correlator.advance(END, &mut out);
    assert_eq!(correlator.group_count(), 0, "all expires");
    let state: BTreeMap<_, _> = out.delta.into_iter().collect();
    assert_eq!(state.values().flatten().count(), 0, "and what was written of it");
    out.findings
}

fn final_form(findings: &[Finding]) -> Expected {
    let rest = board(findings);
    rest.iter().map(|f| {
        assert_eq!(f.status, FindingStatus::Final);
        assert_eq!(f.event_count as usize, f.event_ids.len());
        let (from, to) = f.window.unwrap();
        let who = f.entity.value.as_bytes().last().unwrap() - b'0';
        (who, from.secs(), to.secs(), f.time.secs(), f.event_ids.iter().map(|id| id.to_string()).collect())
    }).collect()
}

/// Runs with restarts, empty advances and batches of random size.
fn broken_run(rules: &Arc<RuleSet>, keyed: &[Keyed], seed: u64) -> Vec<Finding> {
    let mut random = seed | 1;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (random >> 33) % below
    };
    let mut state: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut correlator = Correlator::new(rules.clone());
    let (mut at, mut told) = (0, Vec::new());
    while at < keyed.len() {
        let mut out = Stepped::default();
        if next(3) == 0 {
            let until = keyed[at].received.0;
            correlator.advance(Timestamp(until - next(30_000_000) as i64), &mut out);
        }
        let size = 1 + next(5) as usize;
        let batch = &keyed[at..keyed.len().min(at + size)];
        correlator.step(batch, &mut out);
        at += batch.len();
        told.extend(out.findings);
        for (key, value) in out.delta {
            match value {
                Some(value) => state.insert(key, value),
                None => state.remove(&key),
            };
        }
        if next(3) == 0 {
            correlator = Correlator::new(rules.clone());
            for (key, value) in &state {
                assert!(correlator.restore(key, value));
            }
        }
        if next(8) == 0 {
            let mut out = Stepped::default();
            correlator.reload(rules.clone(), &mut out);
            assert!(out.delta.is_empty() && out.findings.is_empty(), "the same rules keep their windows");
        }
    }
    let mut out = Stepped::default();
    correlator.advance(END, &mut out);
    told.extend(out.findings);
    told
}

fn ids(findings: &[Finding]) -> Vec<(Id, u64)> {
    board(findings).iter().map(|f| (f.id, f.event_count)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    /// Whatever the order of arrival within the lateness: what stands at the end is what the definition says.
    #[test]
    fn windows_are_what_their_definition_says(arrivals in arrivals(), (kind, shape) in kinds()) {
        let rules = rules(&kind.text(shape));
        let told = run(&rules, &parts(&rules, &arrivals));
        let mut expected = Expected::new();
        for who in 0..2 {
            let mut points: Vec<Point> = arrivals.iter().map(|(p, _)| p.clone()).filter(|p| p.who == who).collect();
            points.sort();
            expected.extend(match kind {
                Kind::Absence => Kind::expected_absence(who, &points),
                _ => kind.expected(shape, who, &points),
            });
        }
        prop_assert_eq!(final_form(&told), expected);
        // In order of time, with no delay: the same findings with the same ids.
        let in_order: Vec<(Point, i64)> = arrivals.iter().map(|(p, _)| (p.clone(), 0)).collect();
        prop_assert_eq!(ids(&run(&rules, &parts(&rules, &in_order))), ids(&told));
    }

    /// Restarts, batches, empty advances and reloads change nothing that is told, not even when.
    #[test]
    fn a_replay_tells_the_same(arrivals in arrivals(), (kind, shape) in kinds(), seed in any::<u64>()) {
        let rules = rules(&kind.text(shape));
        let keyed = parts(&rules, &arrivals);
        prop_assert_eq!(broken_run(&rules, &keyed, seed), run(&rules, &keyed));
    }

    /// A correlation of correlations: findings that are revised, replaced or withdrawn take their entry with them.
    #[test]
    fn chains_end_the_same_in_any_order(arrivals in arrivals(), n in 2u64..4, shape in 0usize..3, seed in any::<u64>()) {
        let shape = [Shape::Sliding, Shape::Tumbling, Shape::Session(7)][shape];
        let first = Kind::EventCount(n).text(shape);
        let second = Kind::FailedWithoutSuccess.text(Shape::Sliding).replace("id: burst", "id: quiet");
        let chain = "title: Chain\nid: chain\ncorrelation:\n  type: temporal\n  rules: [burst, quiet]\n  group-by: [ip]\n  timespan: 60s\n";
        let count = "title: Count\nid: count\ncorrelation:\n  type: event_count\n  rules: [burst]\n  timespan: 100s\n  condition: {gte: 2}\n";
        let rules = rules(&[&first, &second, chain, count].map(|text| text.to_owned()).join("---\n"));
        let keyed = parts(&rules, &arrivals);
        let told = run(&rules, &keyed);
        let in_order: Vec<(Point, i64)> = arrivals.iter().map(|(p, _)| (p.clone(), 0)).collect();
        prop_assert_eq!(ids(&run(&rules, &parts(&rules, &in_order))), ids(&told));
        prop_assert_eq!(broken_run(&rules, &keyed, seed), told);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A second opinion: on events in order, a burst begins where rsigma-eval first sees the condition hold.
    #[test]
    fn bursts_begin_where_the_oracle_fires_first(arrivals in arrivals(), which in 0usize..3, n in 2u64..4) {
        let kind = [Kind::EventCount(n), Kind::ValueCount(n), Kind::Temporal][which].clone();
        // Without a condition, theirs holds when one of the rules occurred.
        let text = kind.text(Shape::Sliding) + if which == 2 { "  condition: {gte: 2}\n" } else { "" };
        let mut points: Vec<Point> = arrivals.iter().map(|(p, _)| p.clone()).collect();
        points.sort();
        let rules = rules(&text);
        let in_order: Vec<(Point, i64)> = points.iter().map(|p| (p.clone(), 0)).collect();
        let mut first: BTreeMap<u8, i64> = BTreeMap::new();
        for (who, .., time, _) in final_form(&run(&rules, &parts(&rules, &in_order))) {
            first.entry(who).and_modify(|t| *t = time.min(*t)).or_insert(time);
        }
        let mut engine = rsigma_eval::CorrelationEngine::new(rsigma_eval::CorrelationConfig::default());
        engine.add_collection(&rsigma_parser::parse_sigma_yaml(&format!("{BASES}{text}")).unwrap()).unwrap();
        let mut theirs: BTreeMap<u8, i64> = BTreeMap::new();
        for point in &points {
            let document = serde_json::json!({"what": point.what, "ip": format!("10.0.0.{}", point.who), "user": point.user});
            let found = engine.process_event_at(&rsigma_eval::event::JsonEvent::borrow(&document), point.time);
            if found.iter().any(|result| result.header.rule_title == "Burst") {
                theirs.entry(point.who).or_insert(point.time);
            }
        }
        prop_assert_eq!(first, theirs);
    }
}
