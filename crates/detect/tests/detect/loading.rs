//! What loads, what does not, and what is said about it.

use crate::data;
use detect::{LoadIssue, RuleFile, RuleSet};
use event::{LogSource, Severity};

fn issues(text: &str) -> Vec<LoadIssue> {
    RuleSet::compile(&[data::file(text)]).1
}

/// The only issue of a rule with this detection, whose first line is line 4 of the file.
fn issue(detection: &str) -> LoadIssue {
    let indented: String = detection.lines().map(|line| format!("  {line}\n")).collect();
    let mut found = issues(&format!("title: T\nlogsource: {{product: p}}\ndetection:\n{indented}"));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn bad_rules_are_named_by_file_line_and_hint() {
    let cases = [
        ("s:\n  a|re: '(?=x)y'\ncondition: s", 5, "look-around"),
        ("s:\n  a|re: '(x'\ncondition: s", 5, "unclosed group"),
        ("s:\n  a|re: 'a{1000}{1000}'\ncondition: s", 5, "size limit"),
        ("s:\n  a|cidr: 10.0.0.0/99\ncondition: s", 5, "not a network"),
        ("s:\n  a|startswith|endswith: x\ncondition: s", 5, "exclude each other"),
        ("s:\n  a|all: x\ncondition: s", 5, "at least two"),
        ("s:\n  a|gt: x\ncondition: s", 5, "needs a number"),
        ("s:\n  a|nonsense: x\ncondition: s", 5, "Unknown modifier"),
        ("s:\n  a: 1\ncondition: s and t", 6, "`t`"),
        ("s:\n  a: 1\ncondition: 1 of t*", 6, "no selection fits"),
        ("s:\n  a: 1\ncondition: s and", 6, "Condition parse error"),
        ("s:\n  a|windash: '-a -b -c -d -e'\ncondition: s", 5, "spellings"),
    ];
    for (detection, line, part) in cases {
        let issue = issue(detection);
        assert_eq!((issue.file.as_str(), issue.line), ("test.yml", Some(line)), "{issue}");
        assert!(issue.message.contains(part), "{part:?} is not in: {issue}");
    }
    assert!(issue(cases[0].0).hint.unwrap().contains("and not"));
}

#[test]
fn lines_count_from_the_file_not_the_document() {
    let good = "title: A\nid: a\nlogsource: {product: p}\ndetection:\n  s: {a: 1}\n  condition: s\n";
    let bad = "title: B\nid: b\nlogsource: {product: p}\ndetection:\n  s:\n    a|re: '(x'\n  condition: s\n";
    let found = issues(&format!("{good}---\n{bad}---\n{}", good.replace("id: a", "id: c")));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].line, Some(6 + 1 + 6));
    let broken = issues("title: A\nlogsource: [\n");
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert!(broken[0].line.is_some());
}

#[test]
fn ids_are_unique_levels_have_a_default_and_any_status_loads() {
    let text = |id: &str, extra: &str| {
        format!("title: A\nid: {id}\n{extra}logsource: {{product: p}}\ndetection:\n  s: {{a: 1}}\n  condition: s\n")
    };
    let file = |path: &str, text: String| RuleFile { path: path.into(), text };
    let (rules, issues) = RuleSet::compile(&[
        file("one.yml", text("x", "status: deprecated\n")),
        file("two.yml", text("x", "")),
        file("three.yml", text("y", "status: unsupported\nlevel: critical\n")),
    ]);
    assert_eq!(rules.rules().len(), 2);
    assert_eq!(rules.rules()[0].level, Severity::Medium);
    assert_eq!(rules.rules()[1].level, Severity::Critical);
    assert_eq!(issues.len(), 1);
    assert!(issues[0].file == "two.yml" && issues[0].line == Some(2) && issues[0].message.contains("one.yml"));
}

#[test]
fn attack_tags_become_techniques_and_tactics() {
    let text = "title: A\ntags: [attack.t1110.003, attack.credential_access, attack.Defense-Evasion, attack.s0002, attack.g0010, cve.2020-1]\n\
                logsource: {product: p}\ndetection:\n  s: {a: 1}\n  condition: s\n";
    let (rules, _) = RuleSet::compile(&[data::file(text)]);
    assert_eq!(rules.rules()[0].techniques, ["T1110.003"]);
    assert_eq!(rules.rules()[0].tactics, ["credential-access", "defense-evasion"]);
    assert_eq!(rules.rules()[0].id.len(), 36, "a rule without an id gets one of its own");
}

#[test]
fn filters_and_actions_apply() {
    let text = "action: global\nlogsource: {product: p}\nlevel: high\n---\ntitle: A\nid: a\ndetection:\n  s: {a: 1}\n  condition: s\n---\n\
                title: B\nid: b\ndetection:\n  s: {b: 1}\n  condition: s\n";
    let (rules, issues) = RuleSet::compile(&[data::file(text)]);
    assert!(issues.is_empty() && rules.rules().len() == 2 && rules.rules()[1].level == Severity::High, "{issues:?}");
    let text = "title: A\nid: a\nlogsource: {product: p}\ndetection:\n  s: {a: 1}\n  condition: s\n---\n\
                title: F\nlogsource: {product: p}\nfilter:\n  rules: [a]\n  sel: {user: svc}\n  condition: not sel\n";
    let (rules, issues) = RuleSet::compile(&[data::file(text)]);
    assert!(issues.is_empty(), "{issues:?}");
    let source = LogSource { product: "p", category: "", service: "" };
    assert_eq!(rules.matches_without_index(&data::event(source, r#"{"a":1,"user":"bob"}"#)).len(), 1);
    assert_eq!(rules.matches_without_index(&data::event(source, r#"{"a":1,"user":"svc"}"#)).len(), 0);
    assert!(issues_of_filter("rules: [zzz]").contains("applies to no rule"));
}

#[test]
fn files_of_several_documents_repeat_and_reset() {
    let text = "action: global\nlogsource: {product: p}\nlevel: high\n---\ntitle: A\nid: a\ndetection:\n  s: {a: 1}\n  condition: s\n---\n\
                action: repeat\nid: b\ntitle: B\ndetection:\n  s: {b: 1}\n---\naction: reset\n---\n\
                title: C\nid: c\nlogsource: {product: q}\ndetection:\n  s: {c: 1}\n  condition: s\n";
    let (rules, issues) = RuleSet::compile(&[data::file(text)]);
    assert!(issues.is_empty(), "{issues:?}");
    let told: Vec<_> = rules.rules().iter().map(|r| (&*r.id, &*r.name, r.level)).collect();
    assert_eq!(told, [("a", "A", Severity::High), ("b", "B", Severity::High), ("c", "C", Severity::Medium)]);
    let source = LogSource { product: "p", category: "", service: "" };
    let fired = |native: &str| rules.matches_without_index(&data::event(source, native)).len();
    assert_eq!((fired(r#"{"a":1}"#), fired(r#"{"a":1,"b":1}"#), fired(r#"{"c":1}"#)), (1, 2, 0), "b keeps a's selection");
}

#[test]
fn filters_without_rules_are_global() {
    let rule = |id: &str| format!("title: {id}\nid: {id}\nlogsource: {{product: p}}\ndetection:\n  s: {{a: 1}}\n  condition: s\n---\n");
    let filter = |rules: &str| format!("title: F\nlogsource: {{product: p}}\nfilter:\n{rules}  sel: {{user|contains: svc}}\n  condition: not sel\n");
    let source = LogSource { product: "p", category: "", service: "" };
    for (rules, left) in [("", 0), ("  rules: any\n", 0), ("  rules: [a]\n", 1)] {
        let (set, issues) = RuleSet::compile(&[data::file(&format!("{}{}{}", rule("a"), rule("b"), filter(rules)))]);
        assert!(issues.is_empty(), "{issues:?}");
        assert_eq!(set.matches_without_index(&data::event(source, r#"{"a":1,"user":"svc1"}"#)).len(), left, "{rules}");
        assert_eq!(set.matches_without_index(&data::event(source, r#"{"a":1}"#)).len(), 2);
    }
}

fn issues_of_filter(rules: &str) -> String {
    let text = format!("title: F\nfilter:\n  {rules}\n  sel: {{user: svc}}\n  condition: not sel\n");
    issues(&text)[0].to_string()
}

#[test]
fn requirements_name_fields_and_log_source() {
    let text = "title: A\nid: a\nlogsource: {product: AWS, service: cloudtrail}\ndetection:\n  s: {a: 1, b|fieldref: c}\n  k: [x]\n  condition: s or k\n---\n\
                title: C\nid: c\ncorrelation:\n  type: value_count\n  rules: [a]\n  group-by: [user]\n  timespan: 5m\n  condition: {gte: 3, field: ip}\n";
    let (rules, issues) = RuleSet::compile(&[data::file(text)]);
    assert!(issues.is_empty(), "{issues:?}");
    let needs = rules.requirements();
    assert_eq!(needs[0].log_source, ("aws".into(), "".into(), "cloudtrail".into()));
    assert_eq!(needs[0].fields, ["a", "b", "c", "keyword"]);
    let correlation = needs[1].correlation.as_ref().unwrap();
    assert_eq!((correlation.kind, correlation.timespan_secs), ("value_count", 300));
    assert_eq!(needs[1].fields, ["ip", "user"]);
}

#[test]
fn a_rule_can_match_only_what_can_be_there() {
    let possible = |detection: &str, fields: &[&str]| {
        let text = format!("title: A\nid: a\nlogsource: {{product: p}}\ndetection:\n{detection}");
        let (rules, issues) = RuleSet::compile(&[data::file(&text)]);
        assert!(issues.is_empty(), "{issues:?}");
        let found = rules.possible("a", &|field| fields.contains(&field)).unwrap();
        (found.can_hold, found.absent.join(" "))
    };
    let and = "  s: {a: 1, b: 1}\n  condition: s\n";
    assert_eq!(possible(and, &["a", "b"]), (true, String::new()));
    assert_eq!(possible(and, &["a"]), (false, "b".to_owned()));
    let or = "  s: {a: 1}\n  t: {b: 1}\n  condition: s or t\n";
    assert_eq!(possible(or, &["a"]), (true, "b".to_owned()));
    assert_eq!(possible(or, &[]), (false, "a b".to_owned()));
    let not = "  s: {a: 1}\n  f: {b: 1}\n  condition: s and not f\n";
    assert_eq!(possible(not, &["a"]), (true, "b".to_owned()));
    assert_eq!(possible("  s: {a: 1}\n  f: {b: null}\n  condition: s and not f\n", &["a"]).0, false, "b is always null");
    assert_eq!(possible("  s: {b: null}\n  condition: s\n", &[]).0, true);
    assert_eq!(possible("  s: {b|exists: false, c|neq: 1}\n  condition: s\n", &["c"]).0, true);
    assert_eq!(possible("  s: {c|neq: 1}\n  condition: s\n", &[]).0, false);
    assert_eq!(possible("  s: {a|fieldref: b}\n  condition: s\n", &["a"]).0, false);
    assert_eq!(possible("  k: [word]\n  condition: k\n", &[]), (true, String::new()));
    assert_eq!(possible("  s1: {a: 1}\n  s2: {b: 1}\n  s3: {c: 1}\n  condition: 2 of s*\n", &["a"]).0, false);
    assert_eq!(possible("  s1: {a: 1}\n  s2: {b: 1}\n  s3: {c: 1}\n  condition: 2 of s*\n", &["a", "c"]).0, true);
}

#[test]
fn hostile_rule_files_are_refused_quickly() {
    let big = "a".repeat(3 << 20);
    assert!(issues(&big)[0].message.contains("bytes"));
    let branches: Vec<String> = (0..10_000).map(|i| format!("s{i}")).collect();
    let text = format!("title: A\nlogsource: {{product: p}}\ndetection:\n  s1: {{a: 1}}\n  condition: {}\n", branches.join(" or "));
    assert_eq!(issues(&text).len(), 1);
    let deep = format!("title: A\nlogsource: {{product: p}}\ndetection:\n  s: {{a: 1}}\n  condition: {}s{}\n", "(".repeat(5_000), ")".repeat(5_000));
    assert_eq!(issues(&deep).len(), 1);
    for text in ["", "---\n---\n", "[]", "a: &a [*a]", "\u{0}"] {
        let (rules, _) = RuleSet::compile(&[data::file(text)]);
        assert_eq!(rules.rules().len(), 0);
    }
}
