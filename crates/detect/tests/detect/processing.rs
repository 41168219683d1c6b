//! Processing pipelines: each transformation and condition, and what is said about those that are not known.

use crate::data;
use detect::{LoadIssue, Options, RuleFile, RuleSet};
use event::LogSource;

fn pipeline(steps: &str) -> RuleFile {
    RuleFile { path: "pipe.yml".into(), text: format!("name: test\npriority: 10\ntransformations:\n{steps}") }
}

fn rule(detection: &str) -> String {
    let indented: String = detection.lines().map(|line| format!("    {line}\n")).collect();
    format!("title: T\nid: r\ntags: [attack.t1059]\nlogsource:\n    product: windows\n    category: process_creation\nlevel: high\ndetection:\n{indented}")
}

fn compile(rule: &str, pipelines: Vec<RuleFile>) -> (RuleSet, Vec<LoadIssue>) {
    RuleSet::compile_all(&[data::file(rule)], &Options { pipelines, ..Options::default() })
}

const WINDOWS: LogSource = LogSource { product: "windows", category: "process_creation", service: "" };

fn matches(rules: &RuleSet, source: LogSource, native: &str) -> bool {
    !rules.matches_without_index(&data::event(source, native)).is_empty()
}

/// One rule under one pipeline, against events that must and that must not match.
fn check(detection: &str, steps: &str, yes: &[&str], no: &[&str]) {
    let (rules, issues) = compile(&rule(detection), vec![pipeline(steps)]);
    assert!(issues.is_empty(), "{steps}: {issues:?}");
    for native in yes {
        assert!(matches(&rules, WINDOWS, native), "{steps} must match {native}");
    }
    for native in no {
        assert!(!matches(&rules, WINDOWS, native), "{steps} must not match {native}");
    }
}

const SIMPLE: &str = "s:\n    Image|endswith: \\cmd.exe\n    User: bob\ncondition: s";

#[test]
fn fields_get_other_names() {
    check(
        SIMPLE,
        "- type: field_name_mapping\n  mapping:\n    Image: process.exe\n    User: [user, account]\n",
        &[r#"{"process.exe":"c:\\cmd.exe","user":"bob"}"#, r#"{"process":{"exe":"\\cmd.exe"},"account":"bob"}"#],
        &[r#"{"Image":"\\cmd.exe","User":"bob"}"#, r#"{"process.exe":"\\cmd.exe","User":"bob"}"#],
    );
    check(
        SIMPLE,
        "- type: field_name_prefix_mapping\n  mapping: {Im: win.im}\n- type: field_name_suffix\n  suffix: .keyword\n  field_name_conditions: [{type: include_fields, fields: [User]}]\n",
        &[r#"{"win.image":"x\\cmd.exe","User.keyword":"bob"}"#],
        &[r#"{"Image":"x\\cmd.exe","User":"bob"}"#],
    );
    check(
        SIMPLE,
        "- type: field_name_prefix\n  prefix: win.\n  field_name_conditions: [{type: exclude_fields, fields: ['^U'], mode: re}]\n",
        &[r#"{"win.Image":"x\\cmd.exe","User":"bob"}"#],
        &[r#"{"win.Image":"x\\cmd.exe","win.User":"bob"}"#],
    );
    // The value of a reference is a name too.
    check(
        "s: {a|fieldref: b}\ncondition: s",
        "- type: field_name_mapping\n  mapping: {a: x, b: y}\n",
        &[r#"{"x":"1","y":"1"}"#],
        &[r#"{"a":"1","b":"1"}"#, r#"{"x":"1","b":"1"}"#],
    );
}

#[test]
fn items_are_dropped_and_their_selections_with_them() {
    let detection = "s: {Image|contains: cmd}\nt: {OriginalFileName: cmd}\nf: {OriginalFileName: good, User: x}\ncondition: (s or t) and not f";
    let step = "- type: drop_detection_item\n  field_name_conditions: [{type: include_fields, fields: [OriginalFileName]}]\n";
    check(detection, step, &[r#"{"Image":"cmd","User":"y"}"#], &[r#"{"Image":"cmd","User":"x"}"#, r#"{"OriginalFileName":"cmd"}"#]);
    let detection = "s: {Image|contains: cmd}\nf_1: {OriginalFileName: good}\ncondition: s and not 1 of f_*";
    check(detection, step, &[r#"{"Image":"cmd","OriginalFileName":"good"}"#], &["{}"]);
    let (_, issues) = compile(&rule("s: {OriginalFileName: x}\ncondition: s"), vec![pipeline(step)]);
    assert!(issues[0].message.contains("drops every condition"), "{issues:?}");
    // Only items whose value fits.
    let step = "- type: drop_detection_item\n  detection_item_conditions: [{type: match_string, cond: any, pattern: '^\\*'}]\n";
    check("s: {a: '*x', b: y}\ncondition: s", step, &[r#"{"b":"y"}"#], &[r#"{"a":"x"}"#]);
    let step = "- type: drop_detection_item\n  detection_item_conditions: [{type: is_null, cond: all}]\n";
    check("s: {a: null, b: y}\ncondition: s", step, &[r#"{"b":"y","a":"1"}"#], &["{}"]);
}

#[test]
fn conditions_are_added_and_log_sources_changed() {
    let steps = "- type: add_condition\n  conditions: {EventID: [1, 4688], src: '$product-${category}'}\n  template: true\n";
    check(
        SIMPLE,
        steps,
        &[r#"{"Image":"\\cmd.exe","User":"bob","EventID":4688,"src":"windows-process_creation"}"#],
        &[r#"{"Image":"\\cmd.exe","User":"bob"}"#, r#"{"EventID":1,"src":"windows-process_creation"}"#],
    );
    check(
        SIMPLE,
        "- type: add_condition\n  name: own\n  negated: true\n  conditions: {host: lab}\n",
        &[r#"{"Image":"\\cmd.exe","User":"bob","host":"prod"}"#],
        &[r#"{"Image":"\\cmd.exe","User":"bob","host":"lab"}"#],
    );
    // An added condition is none of "them".
    check("s: {a: 1}\ncondition: 1 of them", "- type: add_condition\n  conditions: {b: 2}\n", &[r#"{"a":1,"b":2}"#], &[r#"{"b":2}"#]);
    let steps = "- id: source\n  type: change_logsource\n  product: windows\n  service: sysmon\n  rule_conditions: [{type: logsource, category: process_creation}]\n\
                 - type: add_condition\n  conditions: {EventID: 1}\n  rule_conditions: [{type: processing_item_applied, processing_item_id: source}]\n";
    let (rules, issues) = compile(&rule(SIMPLE), vec![pipeline(steps)]);
    assert!(issues.is_empty(), "{issues:?}");
    let native = r#"{"Image":"\\cmd.exe","User":"bob","EventID":1}"#;
    assert!(matches(&rules, LogSource { product: "windows", category: "", service: "sysmon" }, native));
    assert!(!matches(&rules, WINDOWS, native));
    assert_eq!(rules.requirements()[0].log_source, ("windows".into(), "".into(), "sysmon".into()));
}

#[test]
fn values_change() {
    check(
        "s: {Image: 'C:\\Windows\\\\*'}\ncondition: s",
        "- type: replace_string\n  regex: '^(\\w):\\\\(.)'\n  replacement: '/\\1/\\g<2>'\n",
        &[r#"{"Image":"/c/windows\\cmd.exe"}"#],
        &[r#"{"Image":"c:\\windows\\cmd.exe"}"#],
    );
    check(
        "s: {a: 'x$*'}\ncondition: s",
        "- type: replace_string\n  regex: 'x'\n  replacement: 'a*$'\n  skip_special: true\n",
        &[r#"{"a":"a*$$z"}"#],
        &[r#"{"a":"abc$$z"}"#],
    );
    check("s: {a|re: '^x+$'}\ncondition: s", "- type: replace_string\n  regex: x\n  replacement: y\n", &[r#"{"a":"xx"}"#], &[r#"{"a":"yy"}"#]);
    check(
        "s: {a: [low, high], b: low}\ncondition: s",
        "- type: map_string\n  mapping: {low: ['1', '2']}\n  field_name_conditions: [{type: include_fields, fields: [a]}]\n",
        &[r#"{"a":"2","b":"low"}"#, r#"{"a":"high","b":"low"}"#],
        &[r#"{"a":"low","b":"low"}"#],
    );
    check("[placeholder]".replace("[placeholder]", "k: [alpha]\ncondition: k").as_str(), "- type: map_string\n  mapping: {alpha: beta}\n", &[r#"{"m":"a beta b"}"#], &[r#"{"m":"alpha"}"#]);
}

#[test]
fn placeholders_take_values_of_vars() {
    let detection = "s:\n    a|expand: '%admins%-%site%'\ncondition: s";
    let vars = |steps: &str| RuleFile {
        path: "pipe.yml".into(),
        text: format!("vars:\n  admins: [bob, '100%eve']\n  site: x\ntransformations:\n{steps}"),
    };
    let run = |steps: &str| compile(&rule(detection), vec![vars(steps)]);
    let (rules, issues) = run("- type: value_placeholders\n");
    assert!(issues.is_empty(), "{issues:?}");
    assert!(matches(&rules, WINDOWS, r#"{"a":"100%eve-x"}"#) && !matches(&rules, WINDOWS, r#"{"a":"carl-x"}"#));
    let (rules, issues) = run("- type: value_placeholders\n  include: [site]\n- type: wildcard_placeholders\n");
    assert!(issues.is_empty(), "{issues:?}");
    assert!(matches(&rules, WINDOWS, r#"{"a":"carl-x"}"#) && !matches(&rules, WINDOWS, r#"{"a":"carl-y"}"#));
    let (_, issues) = run("- type: value_placeholders\n  exclude: [site]\n");
    assert!(issues[0].message.contains("%site%"), "{issues:?}");
}

#[test]
fn rules_choose_their_steps() {
    let step = |conditions: &str| format!("- type: add_condition\n  conditions: {{x: 1}}\n{conditions}");
    let fires = |conditions: &str| {
        let (rules, issues) = compile(&rule(SIMPLE), vec![pipeline(&step(conditions))]);
        assert!(issues.is_empty(), "{conditions}: {issues:?}");
        !matches(&rules, WINDOWS, r#"{"Image":"\\cmd.exe","User":"bob"}"#)
    };
    assert!(fires(""));
    assert!(fires("  rule_conditions: [{type: logsource, product: Windows}]\n"));
    assert!(!fires("  rule_conditions: [{type: logsource, product: windows, service: sysmon}]\n"));
    assert!(!fires("  rule_conditions: [{type: logsource, product: windows}]\n  rule_cond_not: true\n"));
    assert!(fires("  rule_conditions: [{type: contains_detection_item, field: User, value: bob}]\n"));
    assert!(!fires("  rule_conditions: [{type: contains_detection_item, field: User, value: eve}]\n"));
    assert!(!fires("  rule_conditions: [{type: contains_field, field: None}]\n"));
    assert!(fires("  rule_conditions: [{type: tag, tag: attack.T1059}]\n"));
    assert!(fires("  rule_conditions: [{type: rule_attribute, attribute: level, value: medium, op: gte}]\n"));
    assert!(!fires("  rule_conditions: [{type: rule_attribute, attribute: level, value: critical, op: gte}]\n"));
    assert!(fires("  rule_conditions: [{type: rule_attribute, attribute: title, value: T}]\n"));
    assert!(!fires("  rule_conditions: [{type: is_sigma_correlation_rule}]\n"));
    let two = "  rule_conditions: [{type: tag, tag: x.y}, {type: is_sigma_rule}]\n";
    assert!(!fires(two) && fires(&format!("{two}  rule_cond_op: or\n")));
    let (_, issues) = compile(&rule(SIMPLE), vec![pipeline("- type: rule_failure\n  message: not here\n")]);
    assert!(issues[0].message.contains("not here") && issues[0].file == "test.yml", "{issues:?}");
}

#[test]
fn pipelines_apply_by_priority_to_filters_and_correlations_too() {
    let text = format!(
        "{}---\ntitle: F\nlogsource: {{product: windows}}\nfilter:\n  rules: [r]\n  sel: {{User: svc}}\n  condition: not sel\n---\n\
         title: C\nid: c\ncorrelation:\n  type: value_count\n  rules: [r]\n  group-by: [User]\n  timespan: 5m\n  condition: {{gte: 2, field: Image}}\n",
        rule("s: {Image: x}\ncondition: s")
    );
    let last = RuleFile { path: "b.yml".into(), text: "priority: 20\ntransformations:\n- {type: field_name_prefix, prefix: p.}\n".into() };
    let (rules, issues) = compile(&text, vec![last, pipeline("- type: field_name_mapping\n  mapping: {Image: image, User: user}\n")]);
    assert!(issues.is_empty(), "{issues:?}");
    assert!(matches(&rules, WINDOWS, r#"{"p.image":"x"}"#) && !matches(&rules, WINDOWS, r#"{"p.image":"x","p.user":"svc"}"#));
    assert_eq!(rules.requirements()[1].fields, ["p.image", "p.user"]);
    let (_, issues) = compile(&text, vec![pipeline("- type: field_name_mapping\n  mapping: {User: [a, b]}\n")]);
    assert!(issues.iter().any(|issue| issue.message.contains("several names")), "{issues:?}");
}

#[test]
fn what_is_not_known_is_refused_with_file_and_line() {
    let cases = [
        ("- type: field_name_mapping\n  mapping: {a: b}\n- type: nonsense\n", 6, "unknown transformation `nonsense`"),
        ("- type: query_expression_placeholders\n  expression: x\n", 4, "no queries"),
        ("- type: field_name_prefix\n", 4, "needs `prefix`"),
        ("- type: field_name_prefix\n  prefix: x\n  prefxi: y\n", 6, "unknown member `prefxi`"),
        ("- type: field_name_prefix\n  prefix: x\n  rule_conditions:\n  - type: wrong_one\n", 7, "unknown rule condition"),
        ("- type: replace_string\n  regex: '(x'\n  replacement: y\n", 5, "regular expression refused"),
        ("- type: drop_detection_item\n  rule_cond_expr: a and b\n", 5, "rule_cond_expr"),
        ("- mapping: {}\n", 3, "no type"),
        ("- type: add_condition\n  conditions: {a|nonsense: 1}\n", 5, "Unknown modifier"),
        ("- type: x\n postprocessing: [\n", 5, "YAML"),
    ];
    for (steps, line, part) in cases {
        let (rules, issues) = compile(&rule(SIMPLE), vec![pipeline(steps)]);
        assert_eq!(issues.len(), 1, "{steps}: {issues:?}");
        let issue = &issues[0];
        assert!(issue.to_string().contains(part), "{part:?} is not in: {issue}");
        if part != "YAML" {
            assert_eq!((issue.file.as_str(), issue.line), ("pipe.yml", Some(line)), "{issue}");
        }
        assert!(matches(&rules, WINDOWS, r#"{"Image":"\\cmd.exe","User":"bob"}"#), "the rules are as they stand");
    }
    let (_, issues) = compile(&rule(SIMPLE), vec![RuleFile { path: "p.yml".into(), text: "name: x\nfinalizers: [{type: concat}]\n".into() }]);
    assert!(issues[0].message.contains("finalizers") && issues[0].line == Some(2), "{issues:?}");
}

#[test]
fn state_is_ignored_and_said_so() {
    let steps = "- type: set_state\n  key: index\n  val: main\n- type: field_name_mapping\n  mapping: {User: user}\n";
    let (rules, issues) = compile(&rule(SIMPLE), vec![pipeline(steps)]);
    assert_eq!(issues.len(), 1);
    assert!(issues[0].is_notice() && issues[0].message.contains("set_state"));
    assert!(matches(&rules, WINDOWS, r#"{"Image":"\\cmd.exe","user":"bob"}"#));
}

#[test]
fn hostile_pipelines_end() {
    let many = "- type: drop_detection_item\n".repeat(3_000);
    assert!(compile(&rule(SIMPLE), vec![pipeline(&many)]).1[0].message.contains("at most"));
    let values: Vec<String> = (0..300).map(|i| format!("v{i}")).collect();
    let text = format!("vars: {{a: [{}]}}\ntransformations: [{{type: value_placeholders}}]\n", values.join(","));
    let bomb = RuleFile { path: "p.yml".into(), text };
    let (_, issues) = compile(&rule("s: {x|expand: '%a%%a%%a%'}\ncondition: s"), vec![bomb]);
    assert!(issues[0].message.contains("more than"), "{issues:?}");
    for text in ["", "[]", "transformations: x", "vars: [1]", "a: &a [*a]", "priority: {}", "transformations: [[]]"] {
        compile(&rule(SIMPLE), vec![RuleFile { path: "p.yml".into(), text: text.into() }]);
    }
}
