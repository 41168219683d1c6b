//! Every SigmaHQ rule over labelled data, against `rsigma-eval` and against ourselves without the index.
//! The rules' log sources are removed, so that all of them run on all events.

use crate::data;
use detect::{Detector, Matched, RuleFile, RuleSet};
use event::{Event, LogSource};
use rsigma_eval::Engine;
use rsigma_eval::event::JsonEvent;
use std::collections::{BTreeMap, BTreeSet};

/// Rules that decide otherwise than the oracle, and why. Exactly these may differ.
const DISAGREEMENTS: &[(&str, &str)] = &[];

/// Rules that the oracle loads and we refuse, and why.
const REFUSED: &[(&str, &str)] = &[
    ("8b7e2c54-1f93-4a6d-b8e0-3c9d7f25a168", "expand: the oracle reads %known_cdcs% as a field of the event, Sigma as a list the user gives"),
    ("c4a1f389-2e6b-4d9a-8f0c-b73e5a12d947", "expand: as above"),
];

/// What SigmaHQ's rules and the data don't show: detections with an event on which we differ on purpose.
/// (detection, event, our answer, why)
const DELIBERATE: &[(&str, &str, bool, &str)] = &[
    ("s: {a: 'x*y'}", r#"{"a":"x\ny"}"#, true, "* stands for any characters, line breaks too"),
    ("s: {a: [null, z]}", "{}", true, "null in a list is a null like any other"),
    ("s: {a|windash: '/x'}", r#"{"a":"-x"}"#, true, "both spellings are meant, whichever the rule writes"),
    ("s: {a|windash: 'a-x'}", r#"{"a":"a/x"}"#, false, "a dash inside a word begins no option"),
    ("s: {a|base64offset|contains: 'ab'}", r#"{"a":"YWJj"}"#, true, "the last character of the encoding depends on what follows"),
    ("s: {'|all': [one, two]}", r#"{"a":"x one","b":"two y"}"#, true, "keywords are parts of values, each anywhere in the event"),
    ("s: [4711]", r#"{"a":"id 4711"}"#, true, "a number is a keyword too"),
    ("s: {a: 9007199254740993}", r#"{"a":9007199254740992}"#, false, "64-bit integers are compared exactly"),
];

/// How many of the mixed Windows events are compared: every n-th.
const WINDOWS_STEP: usize = 8;

/// Every n-th event is also evaluated without the index, which takes a millisecond.
const PLAIN_STEP: usize = 4;

#[test]
fn all_rules_decide_as_the_oracle_does() {
    let (Some(files), Some(events)) = (data::sigma_hq(), documents()) else { return };
    let files: Vec<RuleFile> = files.into_iter().map(without_log_source).collect();
    let start = std::time::Instant::now();
    let (ours, loaded) = our_matches(&files, &events);
    println!("{:?} here", start.elapsed());
    let start = std::time::Instant::now();
    let (theirs, loaded_by_oracle) = oracle_matches(&files, &events);
    println!("{:?} there", start.elapsed());
    println!("{} events, {} rules here, {} there", events.len(), loaded.len(), loaded_by_oracle.len());
    let only_here: Vec<_> = loaded.difference(&loaded_by_oracle).collect();
    let only_there: Vec<_> = loaded_by_oracle.difference(&loaded).collect();
    assert_eq!(only_here, Vec::<&String>::new());
    assert_eq!(only_there, REFUSED.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    let mut differing: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
    for (i, (here, there)) in ours.iter().zip(&theirs).enumerate() {
        for id in here.symmetric_difference(there).filter(|id| loaded.contains(*id) && loaded_by_oracle.contains(*id)) {
            let counts = differing.entry(id).or_insert((i, 0, 0));
            if here.contains(id) { counts.1 += 1 } else { counts.2 += 1 }
        }
    }
    let total: usize = ours.iter().map(BTreeSet::len).sum();
    println!("{total} matches");
    for (id, (first, here, there)) in &differing {
        println!("differs: {id}: {here} only here, {there} only there, first event {first}");
    }
    let expected: BTreeSet<&str> = DISAGREEMENTS.iter().map(|(id, _)| *id).collect();
    assert_eq!(differing.keys().copied().collect::<BTreeSet<_>>(), expected);
    assert!(events.len() > 5_000 && total > 1_000, "the comparison compares something");
}

#[test]
fn where_we_differ_we_mean_to() {
    for (detection, event, ours, why) in DELIBERATE {
        let text = format!("title: T\nid: r\nlogsource: {{product: p}}\ndetection:\n  {detection}\n  condition: s\n");
        let (rules, issues) = RuleSet::compile(&[data::file(&text)]);
        assert!(issues.is_empty(), "{issues:?}");
        let source = LogSource { product: "p", category: "", service: "" };
        let here = !rules.matches_without_index(&data::event(source, event)).is_empty();
        assert_eq!(here, *ours, "{detection} on {event}: {why}");
        let mut engine = Engine::new();
        engine.add_collection(&rsigma_parser::parse_sigma_yaml(&text).unwrap()).unwrap();
        let document = serde_json::from_str(event).unwrap();
        let there = !engine.evaluate(&JsonEvent::borrow(&document)).is_empty();
        println!("{detection}: {here} here, {there} there: {why}");
        assert_ne!(there, here, "{detection} on {event}: no longer a difference");
    }
}

fn without_log_source(file: RuleFile) -> RuleFile {
    let mut text = String::new();
    let mut inside = false;
    for line in file.text.lines() {
        if line.starts_with("logsource:") {
            inside = true;
            text.push_str("logsource:\n    definition: removed\n");
        } else if inside && line.starts_with(' ') {
            continue;
        } else {
            inside = false;
            text.push_str(line);
            text.push('\n');
        }
    }
    RuleFile { path: file.path, text }
}

fn documents() -> Option<Vec<serde_json::Value>> {
    let folder = data::folder()?;
    let mut events = Vec::new();
    for name in ["sigma/sigmahq_regression_events", "stratus_labelled", "panther_cloudtrail_tests_dev", "panther_other_tests_dev"] {
        let lines = data::lines(folder.join(format!("{name}.ndjson.zst")));
        events.extend(lines.iter().map(|line| data::flatten_windows(&line["event"])));
    }
    events.extend(data::lines(folder.join("windows/otrf_sysmon_process_creation.ndjson.zst")));
    events.extend(data::lines(folder.join("windows/otrf_windows_sample.ndjson.zst")).into_iter().step_by(WINDOWS_STEP));
    Some(events)
}

type Ids = BTreeSet<String>;

fn our_matches(files: &[RuleFile], documents: &[serde_json::Value]) -> (Vec<Ids>, Ids) {
    let (rules, issues) = RuleSet::compile(files);
    for issue in &issues {
        println!("issue: {issue}");
    }
    let loaded = rules.rules().iter().map(|rule| rule.id.to_string()).collect();
    let mut events: Vec<Event> =
        documents.iter().map(|document| data::event(LogSource::default(), &document.to_string())).collect();
    let detector = Detector { rules: rules.into(), lists: Default::default(), lateness: Default::default() };
    let mut out = Matched::default();
    detector.run(&mut events, &mut out);
    let found: Vec<Ids> = events.iter().map(|event| event.rules.iter().map(ToString::to_string).collect()).collect();
    for (event, found) in events.iter().zip(&found).step_by(PLAIN_STEP) {
        let plain: Ids = detector.rules.matches_without_index(event).iter().map(ToString::to_string).collect();
        assert_eq!(*found, plain, "the index loses rules on {}", event.raw_text());
    }
    for finding in &out.findings {
        assert!(finding.explanation.conditions.len() <= 16 && !finding.explanation.summary.is_empty());
    }
    (found, loaded)
}

fn oracle_matches(files: &[RuleFile], documents: &[serde_json::Value]) -> (Vec<Ids>, Ids) {
    let mut engine = Engine::new();
    let mut loaded = Ids::new();
    for file in files {
        let Ok(parsed) = rsigma_parser::parse_sigma_yaml(&file.text) else { continue };
        for rule in &parsed.rules {
            if engine.add_rule(rule).is_ok() {
                loaded.extend(rule.id.clone());
            }
        }
    }
    let matches = documents.iter().map(|document| {
        let results = engine.evaluate(&JsonEvent::borrow(document));
        results.iter().filter_map(|result| result.header.rule_id.clone()).collect()
    });
    (matches.collect(), loaded)
}
