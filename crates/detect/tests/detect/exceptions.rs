//! Exceptions: what they take out, what they leave, and what is said about them.

use crate::data;
use detect::{Detector, Exception, Matched, Options, RuleFile, RuleSet, ThreatLists};
use event::{Event, LogSource, Timestamp};
use std::sync::Arc;

const RULES: &str = "title: Fail\nid: fail\nlevel: high\nlogsource: {product: p}\ndetection:\n  s: {what: fail}\n  condition: s\n---\n\
                     title: Any\nid: any\nlevel: low\nlogsource: {product: p}\ndetection:\n  s: {what|exists: true}\n  condition: s\n---\n\
                     title: Burst\nid: burst\ncorrelation:\n  type: event_count\n  rules: [fail]\n  group-by: [ip]\n  timespan: 60s\n  generate: true\n  condition: {gte: 2}\n";

fn exception(id: &str, rule: Option<&str>, conditions: serde_json::Value) -> Exception {
    let conditions = serde_json::from_value(conditions).unwrap();
    Exception { id: id.into(), rule_id: rule.map(Into::into), conditions, expires_at: None }
}

fn compile(exceptions: Vec<Exception>) -> (Arc<RuleSet>, Vec<detect::LoadIssue>) {
    let (rules, issues) = RuleSet::compile_all(&[data::file(RULES)], &Options { exceptions, ..Options::default() });
    (rules.into(), issues)
}

fn event(native: &str) -> Event {
    let mut event = data::event(LogSource { product: "p", category: "", service: "" }, native);
    event.received = Timestamp::from_secs(1_000);
    event
}

/// The rules that are left on an event, and the correlations' parts it plays.
fn left(rules: &Arc<RuleSet>, native: &str) -> (Vec<String>, usize) {
    let mut event = event(native);
    let detector = Detector { rules: rules.clone(), lists: Default::default(), lateness: Default::default() };
    let mut out = Matched::default();
    detector.run(std::slice::from_mut(&mut event), &mut out);
    assert_eq!(event.rules.len(), out.findings.len());
    (event.rules.iter().map(|id| id.to_string()).collect(), out.keyed.len())
}

const BOB: &str = r#"{"what":"fail","ip":"10.0.0.1","user":"bob","tags":["x","y"]}"#;

#[test]
fn an_exception_takes_a_match_out_of_findings_and_correlations() {
    let (rules, issues) = compile(vec![exception("e1", Some("fail"), serde_json::json!({"user": "BOB", "ip|cidr": "10.0.0.0/8"}))]);
    assert!(issues.is_empty(), "{issues:?}");
    assert_eq!(left(&rules, BOB), (vec!["any".to_owned()], 0));
    let other = (vec!["fail".to_owned(), "any".to_owned()], 1);
    assert_eq!(left(&rules, &BOB.replace("10.0.0.1", "11.0.0.1")), other, "all conditions must hold");
    assert_eq!(left(&rules, &BOB.replace("bob", "eve")), other);
    let hits = rules.exception_hits();
    assert_eq!((&*hits[0].id, hits[0].hits, hits[0].last_hit), ("e1", 1, Some(Timestamp::from_secs(1_000))));
}

#[test]
fn exceptions_for_all_rules_and_for_correlations() {
    let (rules, issues) = compile(vec![exception("all", None, serde_json::json!({"user|startswith": ["al", "bo"]}))]);
    assert!(issues.is_empty(), "{issues:?}");
    assert_eq!(left(&rules, BOB), (vec![], 0));
    assert_eq!(rules.exception_hits()[0].hits, 2, "one for each rule that matched");

    let (rules, issues) = compile(vec![exception("c", Some("burst"), serde_json::json!({"tags": "y"}))]);
    assert!(issues.is_empty(), "{issues:?}");
    assert_eq!(left(&rules, BOB), (vec!["fail".to_owned(), "any".to_owned()], 0), "the rule itself still fires");
    assert_eq!(left(&rules, &BOB.replace("\"y\"", "\"z\"")).1, 1);
    assert_eq!(rules.exception_hits()[0].hits, 1);
}

#[test]
fn an_exception_without_conditions_is_for_every_event_of_its_rule() {
    let (rules, issues) = compile(vec![exception("e", Some("fail"), serde_json::json!({}))]);
    assert!(issues.is_empty(), "{issues:?}");
    assert_eq!(left(&rules, BOB), (vec!["any".to_owned()], 0));
}

#[test]
fn exceptions_end_on_the_clock_of_the_log() {
    let at = |secs| Exception { expires_at: Some(Timestamp::from_secs(secs)), ..exception("e", Some("fail"), serde_json::json!({"user": "bob"})) };
    assert_eq!(left(&compile(vec![at(1_001)]).0, BOB).1, 0);
    assert_eq!(left(&compile(vec![at(1_000)]).0, BOB).1, 1);
    let (rules, _) = compile(vec![at(1_000)]);
    left(&rules, BOB);
    assert_eq!(rules.exception_hits()[0].hits, 0);
}

#[test]
fn threat_lists_honour_exceptions() {
    let list = RuleFile { path: "lists/feed.txt".into(), text: "203.0.113.7\n".into() };
    let run = |rule: &str| {
        let (rules, issues) = compile(vec![exception("e", Some(rule), serde_json::json!({"src_endpoint.ip": "203.0.113.7"}))]);
        assert!(issues.is_empty(), "{issues:?}");
        let mut event = event("{}");
        event.ocsf.src.ip = Some("203.0.113.7".into());
        let detector = Detector { rules, lists: ThreatLists::compile(std::slice::from_ref(&list)).0.into(), lateness: Default::default() };
        let mut out = Matched::default();
        detector.run(std::slice::from_mut(&mut event), &mut out);
        assert_eq!(event.threat_lists.len(), out.findings.len());
        (out.findings.len(), detector.rules.exception_hits()[0].hits)
    };
    assert_eq!(run("threat-list:feed"), (0, 1));
    assert_eq!(run("threat-list:other"), (1, 0));
}

#[test]
fn bad_exceptions_are_issues_and_except_nothing() {
    let cases = [
        (exception("e", None, serde_json::json!({})), "no condition"),
        (exception("e", Some("gone"), serde_json::json!({"user": "bob"})), "no rule gone"),
        (exception("e", Some("fail"), serde_json::json!({"user|re": "(bob"})), "unclosed"),
        (exception("e", Some("fail"), serde_json::json!({"user|nonsense": "bob"})), "nonsense"),
        (exception("e", Some("fail"), serde_json::json!({"user": {"name": "bob"}})), "not a value"),
        (exception("e", Some("fail"), serde_json::json!({"user": []})), "not a value"),
    ];
    for (bad, part) in cases {
        let (rules, issues) = compile(vec![bad]);
        assert_eq!(issues.len(), 1, "{part}: {issues:?}");
        assert!(issues[0].message.contains(part) && issues[0].file == "exception e", "{part}: {}", issues[0]);
        assert_eq!(left(&rules, BOB).1, 1);
    }
    let twice = exception("e", Some("fail"), serde_json::json!({"user": "bob"}));
    assert!(compile(vec![twice.clone(), twice.clone()]).1[0].message.contains("already used"));
    let many = (0..=detect::EXCEPTIONS_MAX).map(|i| Exception { id: i.to_string(), ..twice.clone() }).collect();
    let (rules, issues) = compile(many);
    assert_eq!((issues.len(), rules.exception_hits().len()), (1, detect::EXCEPTIONS_MAX));
}

#[test]
fn a_trace_names_the_exception_and_does_not_count() {
    let (rules, _) = compile(vec![exception("e1", Some("fail"), serde_json::json!({"user": "bob"}))]);
    let trace = rules.explain("fail", &event(BOB)).unwrap();
    assert!(trace.matched && trace.excepted_by.as_deref() == Some("e1"));
    assert_eq!(rules.explain("fail", &event(&BOB.replace("bob", "eve"))).unwrap().excepted_by, None);
    assert_eq!(rules.exception_hits()[0].hits, 0);
}

#[test]
fn counts_go_on_after_a_reload() {
    let one = exception("e1", Some("fail"), serde_json::json!({"user": "bob"}));
    let (old, _) = compile(vec![one.clone()]);
    left(&old, BOB);
    let other = exception("e0", Some("any"), serde_json::json!({"user": "eve"}));
    let (mut new, _) = RuleSet::compile_all(&[data::file(RULES)], &Options { exceptions: vec![other, one], ..Options::default() });
    new.share_exception_hits(&old);
    let new = Arc::new(new);
    left(&new, BOB);
    left(&old, BOB);
    let hits: Vec<_> = new.exception_hits().iter().map(|h| (h.id.to_string(), h.hits)).collect();
    assert_eq!(hits, [("e0".to_owned(), 0), ("e1".to_owned(), 3)], "a batch that still runs with the old set counts too");
}
