//! Sigma feature by feature: a rule's detection, an event, and whether it must match.

use crate::data;
use detect::{Detector, Matched, Placeholders, RuleSet};
use event::{Bytes, CompactString, Event, Finding, Format, LogSource};

fn rule(detection: &str) -> String {
    let indented: String = detection.lines().map(|line| format!("    {line}\n")).collect();
    format!("title: T\nid: r\nlogsource:\n    product: p\ndetection:\n{indented}level: low\n")
}

fn source() -> LogSource {
    LogSource { product: "p", category: "", service: "" }
}

fn findings(detection: &str, event: &mut Event) -> Vec<Finding> {
    let (rules, issues) = RuleSet::compile(&[data::file(&rule(detection))]);
    assert!(issues.is_empty(), "{detection}: {issues:?}");
    let detector = Detector { rules: rules.into(), lists: Default::default(), lateness: Default::default() };
    let mut out = Matched::default();
    detector.run(std::slice::from_mut(event), &mut out);
    assert_eq!(event.rules.len(), detector.rules.matches_without_index(event).len(), "the index agrees");
    out.findings
}

fn matches(detection: &str, native: &str) -> bool {
    !findings(detection, &mut data::event(source(), native)).is_empty()
}

/// One item as the only selection, against events that must and that must not match.
fn check(item: &str, yes: &[&str], no: &[&str]) {
    let detection = format!("selection:\n    {}\ncondition: selection", item.replace('\n', "\n    "));
    for native in yes {
        assert!(matches(&detection, native), "{item} must match {native}");
    }
    for native in no {
        assert!(!matches(&detection, native), "{item} must not match {native}");
    }
}

#[test]
fn text_modifiers() {
    check("a: Foo", &[r#"{"a":"fOO"}"#, r#"{"a":["x","foo"]}"#], &[r#"{"a":"foo2"}"#, r#"{"b":"foo"}"#, "{}"]);
    check("a|contains: oo", &[r#"{"a":"FOOd"}"#], &[r#"{"a":"fo"}"#]);
    check("a|startswith: fo", &[r#"{"a":"Food"}"#], &[r#"{"a":"a food"}"#]);
    check("a|endswith: od", &[r#"{"a":"fooD"}"#], &[r#"{"a":"foods"}"#]);
    check("a|contains|all: [x, y]", &[r#"{"a":"yx"}"#, r#"{"a":["x","y"]}"#], &[r#"{"a":"x"}"#]);
    check("a|cased: Foo", &[r#"{"a":"Foo"}"#], &[r#"{"a":"foo"}"#]);
    check("a|contains|cased: Oo", &[r#"{"a":"fOod"}"#], &[r#"{"a":"food"}"#]);
    check("a: ÄRGER", &[r#"{"a":"ärger"}"#], &[r#"{"a":"arger"}"#]);
    check("a|contains: [aaa, bbb, ccc, ddd]", &[r#"{"a":"xCCCx"}"#], &[r#"{"a":"xcx"}"#]);
    check("a: [aaa, bbb, ccc, ddd, 5]", &[r#"{"a":"DDD"}"#, r#"{"a":5}"#, r#"{"a":"5"}"#], &[r#"{"a":"dddd"}"#]);
    check("a: ''", &[r#"{"a":""}"#], &[r#"{"a":"x"}"#, "{}"]);
}

#[test]
fn wildcards_and_escapes() {
    check("a: 'f*o'", &[r#"{"a":"fo"}"#, r#"{"a":"f\nx\no"}"#], &[r#"{"a":"xfo"}"#]);
    check("a: 'f?o'", &[r#"{"a":"fäo"}"#], &[r#"{"a":"fo"}"#]);
    check(r"a: 'f\*o'", &[r#"{"a":"f*o"}"#], &[r#"{"a":"fxo"}"#]);
    check(r"a: 'c:\win\*\x.exe'", &[r#"{"a":"C:\\win*\\x.exe"}"#], &[r#"{"a":"C:\\win\\a\\x.exe"}"#]);
    check(r"a: 'c:\win\\*\x.exe'", &[r#"{"a":"C:\\win\\a\\x.exe"}"#], &[r#"{"a":"C:\\win*\\x.exe"}"#]);
    check("a|contains: 'b*d'", &[r#"{"a":"abcde"}"#], &[r#"{"a":"db"}"#]);
    check("a|startswith: 'b?d'", &[r#"{"a":"bcde"}"#], &[r#"{"a":"abcd"}"#]);
    check("a: '*'", &[r#"{"a":"x"}"#, r#"{"a":""}"#], &["{}"]);
}

#[test]
fn numbers_booleans_and_null() {
    check("a: 5", &[r#"{"a":5}"#, r#"{"a":"5"}"#, r#"{"a":5.0}"#, r#"{"a":"5.0"}"#], &[r#"{"a":50}"#, r#"{"a":"x5"}"#]);
    check("a: '5'", &[r#"{"a":5}"#, r#"{"a":"5"}"#], &[r#"{"a":6}"#]);
    check("a: 9007199254740993", &[r#"{"a":9007199254740993}"#], &[r#"{"a":9007199254740992}"#]);
    check("a|gt: 5", &[r#"{"a":6}"#, r#"{"a":"5.5"}"#], &[r#"{"a":5}"#, r#"{"a":"x"}"#]);
    check("a|gte: 5", &[r#"{"a":5}"#], &[r#"{"a":4}"#]);
    check("a|lt: 5", &[r#"{"a":4}"#, r#"{"a":-1}"#], &[r#"{"a":5}"#]);
    check("a|lte: 5", &[r#"{"a":5}"#], &[r#"{"a":6}"#]);
    check("a: true", &[r#"{"a":true}"#, r#"{"a":"True"}"#], &[r#"{"a":false}"#, r#"{"a":"x"}"#]);
    check("a: 'true'", &[r#"{"a":true}"#], &[r#"{"a":false}"#]);
    check("a: null", &[r#"{"a":null}"#, "{}", r#"{"a":[]}"#], &[r#"{"a":0}"#, r#"{"a":""}"#, r#"{"a":{}}"#]);
    check("a: [null, x]", &["{}", r#"{"a":"x"}"#], &[r#"{"a":"y"}"#]);
    check("a|exists: true", &[r#"{"a":0}"#, r#"{"a":{"b":1}}"#], &["{}", r#"{"a":null}"#]);
    check("a|exists: false", &["{}", r#"{"a":null}"#], &[r#"{"a":""}"#]);
    check("a|neq: x", &[r#"{"a":"y"}"#], &[r#"{"a":"X"}"#, "{}"]);
    check("a|contains: 12", &[r#"{"a":5123}"#], &[r#"{"a":5132}"#]);
}

#[test]
fn regular_expressions_networks_and_times() {
    check("a|re: '^fo+$'", &[r#"{"a":"foo"}"#], &[r#"{"a":"Foo"}"#, r#"{"a":"xfoo"}"#]);
    check("a|re|i: '^fo+$'", &[r#"{"a":"FOO"}"#], &[r#"{"a":"fo\no"}"#]);
    check("a|re|m: '^b$'", &[r#"{"a":"a\nb\nc"}"#], &[r#"{"a":"abc"}"#]);
    check("a|re|s: 'a.c'", &[r#"{"a":"a\nc"}"#], &[r#"{"a":"ac"}"#]);
    check("a|re: 'a.c'", &[r#"{"a":"abc"}"#], &[r#"{"a":"a\nc"}"#]);
    check("a|cidr: 10.0.0.0/8", &[r#"{"a":"10.1.2.3"}"#, r#"{"a":"::ffff:10.1.2.3"}"#], &[r#"{"a":"11.1.2.3"}"#, r#"{"a":"10"}"#]);
    check("a|cidr: [192.168.0.0/16, 'fc00::/7']", &[r#"{"a":"fd12::1"}"#, r#"{"a":"192.168.1.1"}"#], &[r#"{"a":"fe80::1"}"#]);
    check("a|hour: 3", &[r#"{"a":"2024-05-01T03:59:00Z"}"#], &[r#"{"a":"2024-05-01T04:00:00Z"}"#, r#"{"a":"x"}"#]);
    check("a|month: 5", &[r#"{"a":"2024-05-01T03:59:00Z"}"#], &[r#"{"a":"2024-06-01T04:00:00Z"}"#]);
}

#[test]
fn encodings() {
    check("a|windash|contains: ' -m '", &[r#"{"a":"x /m y"}"#, r#"{"a":"x -M y"}"#, r#"{"a":"x –m y"}"#], &[r#"{"a":"x m y"}"#]);
    check("a|windash: 'foo-bar'", &[r#"{"a":"foo-bar"}"#], &[r#"{"a":"foo/bar"}"#]);
    // "foobar" is Zm9vYmFy.
    check("a|base64|contains: foobar", &[r#"{"a":"xZm9vYmFy="}"#], &[r#"{"a":"foobar"}"#]);
    // Each alignment, with whatever text before and after.
    let encode = |text: &str| {
        use base64::Engine;
        format!(r#"{{"a":"{}"}}"#, base64::engine::general_purpose::STANDARD.encode(text))
    };
    for text in ["http://x", "yhttp://x", "yyhttp://xzz", "yyyhttp://xzzz"] {
        check("a|base64offset|contains: 'http://'", &[&encode(text)], &[&encode("ttp://")]);
    }
    let wide: String = "net".chars().map(|c| format!("{c}\0")).collect();
    check("a|wide|base64offset|contains: net", &[&encode(&format!("xx{wide}yy"))], &[&encode("net")]);
    let big_endian: String = "net".chars().map(|c| format!("\0{c}")).collect();
    check("a|utf16be|base64offset|contains: net", &[&encode(&big_endian)], &[&encode(&wide[1..])]);
}

#[test]
fn references_between_fields() {
    check("a|fieldref: b", &[r#"{"a":"X","b":"x"}"#, r#"{"a":5,"b":"5"}"#], &[r#"{"a":"x","b":"y"}"#, r#"{"a":"x"}"#]);
    check("a|fieldref|startswith: b", &[r#"{"a":"xyz","b":"xy"}"#], &[r#"{"a":"xyz","b":"yz"}"#]);
    check("a|fieldref|endswith: b.c", &[r#"{"a":"xyz","b":{"c":"yz"}}"#], &[r#"{"a":"xyz","b":{"c":"xy"}}"#]);
}

#[test]
fn nested_and_odd_field_names() {
    check("a.b.c: x", &[r#"{"a":{"b":{"c":"x"}}}"#, r#"{"a":[{"b":{"c":"y"}},{"b":{"c":"x"}}]}"#, r#"{"a.b.c":"x"}"#], &["{}"]);
    check("a{}.b: x", &[r#"{"a{}":{"b":"x"}}"#], &[r#"{"a":{"b":"x"}}"#]);
    check("a[0]: x", &[r#"{"a[0]":"x"}"#], &[r#"{"a":["x"]}"#]);
    check("a b: x", &[r#"{"a b":"x"}"#], &["{}"]);
}

#[test]
fn keywords_search_scalars_and_text_lines() {
    let detection = "keywords:\n    - Segfault\n    - 'a*z'\n    - 4711\ncondition: keywords";
    assert!(matches(detection, r#"{"x":{"y":["a SEGFAULT here"]}}"#));
    assert!(matches(detection, r#"{"x":"abcz"}"#));
    assert!(matches(detection, r#"{"x":4711}"#));
    assert!(!matches(detection, r#"{"segfault":"no"}"#), "names are no values");
    let mut line = data::event(source(), "{}");
    line.format = Format::Raw;
    line.raw = Bytes::from_static(b"kernel: segfault at 0");
    assert_eq!(findings(detection, &mut line).len(), 1);
    let all = "keywords:\n    '|all':\n        - one\n        - two\ncondition: keywords";
    assert!(matches(all, r#"{"a":"xONEx","b":"two"}"#), "each anywhere");
    assert!(!matches(all, r#"{"a":"one"}"#));
}

#[test]
fn conditions() {
    let three = |condition: &str| format!("sel_a: {{a: 1}}\nsel_b: {{b: 1}}\nother: {{c: 1}}\n_hidden: {{d: 1}}\ncondition: {condition}");
    let yes = |condition: &str, native: &str| assert!(matches(&three(condition), native), "{condition} on {native}");
    let no = |condition: &str, native: &str| assert!(!matches(&three(condition), native), "{condition} on {native}");
    yes("sel_a and not other", r#"{"a":1}"#);
    no("sel_a and not other", r#"{"a":1,"c":1}"#);
    yes("sel_a or sel_b and other", r#"{"a":1}"#);
    no("(sel_a or sel_b) and other", r#"{"a":1}"#);
    yes("1 of sel_*", r#"{"b":1}"#);
    no("1 of sel_*", r#"{"c":1}"#);
    yes("all of sel_*", r#"{"a":1,"b":1}"#);
    no("all of sel_*", r#"{"a":1}"#);
    yes("2 of them", r#"{"a":1,"c":1}"#);
    no("2 of them", r#"{"a":1,"d":1}"#);
    yes("all of them", r#"{"a":1,"b":1,"c":1}"#);
    no("1 of them", r#"{"d":1}"#);
    yes("not 1 of sel_*", "{}");
    yes("[sel_a, other]", r#"{"c":1}"#);
    let maps = "selection:\n    - a: 1\n      b: 2\n    - c: 3\ncondition: selection";
    assert!(matches(maps, r#"{"c":3}"#) && matches(maps, r#"{"a":1,"b":2}"#) && !matches(maps, r#"{"a":1}"#));
}

#[test]
fn columns_stand_in_for_native_fields() {
    let mut event = data::event(source(), r#"{"x":1}"#);
    event.ocsf.src.ip = Some("203.0.113.7".into());
    let by = |field: &str| format!("selection:\n    {field}|cidr: 203.0.113.0/24\ncondition: selection");
    assert_eq!(findings(&by("src_endpoint.ip"), &mut event.clone()).len(), 1, "OCSF");
    assert_eq!(findings(&by("source.ip"), &mut event.clone()).len(), 1, "ECS");
    event.native = event::Value::from_json(br#"{"source":{"ip":"10.0.0.1"}}"#).unwrap().0;
    assert_eq!(findings(&by("source.ip"), &mut event).len(), 0, "the native field goes first");
}

#[test]
fn rules_run_on_their_log_source_only() {
    let runs = |logsource: &str, source: LogSource| {
        let text = format!("title: T\nid: r\nlogsource: {logsource}\ndetection:\n  s: {{a: 1}}\n  condition: s\n");
        let (rules, issues) = RuleSet::compile(&[data::file(&text)]);
        assert!(issues.is_empty(), "{issues:?}");
        let detector = Detector { rules: rules.into(), lists: Default::default(), lateness: Default::default() };
        let mut event = data::event(source, r#"{"a":1}"#);
        detector.run(std::slice::from_mut(&mut event), &mut Matched::default());
        assert_eq!(event.rules.len(), detector.rules.matches_without_index(&event).len());
        !event.rules.is_empty()
    };
    let linux = LogSource { product: "linux", category: "", service: "sshd" };
    assert!(runs("{product: Linux}", linux) && runs("{product: linux, service: sshd}", linux));
    assert!(runs("{service: sshd}", linux) && runs("{definition: any}", linux));
    assert!(!runs("{product: linux, category: process_creation}", linux));
    assert!(runs("{product: linux, service: auth}", linux), "sshd writes to the auth log");
    assert!(!runs("{product: linux, service: auth}", LogSource { service: "cron", ..linux }));
    assert!(!runs("{product: windows}", linux) && !runs("{service: sudo}", linux));
}

#[test]
fn placeholders_need_values() {
    let text = rule("selection:\n    a|expand: '%admins%-x'\ncondition: selection");
    let (rules, issues) = RuleSet::compile(&[data::file(&text)]);
    assert_eq!(rules.rules().len(), 0);
    assert!(issues[0].message.contains("%admins%") && issues[0].line == Some(7), "{issues:?}");
    let placeholders = Placeholders::from([("admins".to_owned(), vec!["bob".to_owned(), "eve".to_owned()])]);
    let (rules, issues) = RuleSet::compile_with(&[data::file(&text)], &placeholders);
    assert!(issues.is_empty());
    assert_eq!(rules.matches_without_index(&data::event(source(), r#"{"a":"eve-X"}"#)).len(), 1);
}

#[test]
fn a_finding_says_why() {
    let detection = "selection:\n    eventName: [StopLogging, DeleteTrail]\n    who|contains|all: [al, ce]\nfilter:\n    x: 1\ncondition: selection and not filter";
    let native = format!(r#"{{"eventName":"DeleteTrail","who":"{}"}}"#, "alice".repeat(100));
    let mut event = data::event(source(), &native);
    event.class = event::Class::ApiActivity;
    event.ocsf.user_name = Some("alice".into());
    event.ocsf.src.ip = Some("203.0.113.7".into());
    event.ocsf.api_operation = Some("DeleteTrail".into());
    let found = findings(detection, &mut event).remove(0);
    assert_eq!(found.explanation.summary, "alice from 203.0.113.7 called DeleteTrail: T");
    let shown: Vec<_> = found.explanation.conditions.iter().map(|c| (&*c.selection, &*c.field, &*c.operator, &*c.expected)).collect();
    assert_eq!(shown, [
        ("selection", "eventName", "equals", "DeleteTrail"),
        ("selection", "who", "contains", "al"),
        ("selection", "who", "contains", "ce"),
    ]);
    assert!(found.explanation.conditions[1].actual.chars().count() == 256);
    assert_eq!(found.id, Finding::id_of_event("r", &event));
    assert_eq!(found.event_ids, [CompactString::from("u")]);
    assert_eq!((found.user.as_deref(), found.event_name.as_deref()), (Some("alice"), Some("DeleteTrail")));
    assert_eq!(event.severity, event::Severity::Low);
}

#[test]
fn a_trace_says_why_not() {
    let text = rule("selection:\n    a: 1\n    b|startswith: x\ncondition: selection");
    let (rules, _) = RuleSet::compile(&[data::file(&text)]);
    let trace = rules.explain("r", &data::event(source(), r#"{"a":1,"b":"yx"}"#)).unwrap();
    assert!(!trace.matched && trace.log_source_matches);
    let steps: Vec<_> = trace.steps.iter().map(|s| (&*s.field, s.matched, s.actual.clone())).collect();
    assert_eq!(steps, [("a", true, vec!["1".to_owned()]), ("b", false, vec!["yx".to_owned()])]);
    assert!(rules.explain("unknown", &data::event(source(), "{}")).is_none());
}
