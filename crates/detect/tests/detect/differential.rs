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

/// How many of the mixed Windows events are compared: every n-th.
const WINDOWS_STEP: usize = 8;

#[test]
fn all_rules_decide_as_the_oracle_does() {
    let (Some(files), Some(events)) = (data::sigma_hq(), documents()) else { return };
    let files: Vec<RuleFile> = files.into_iter().map(without_log_source).collect();
    let (ours, loaded) = our_matches(&files, &events);
    let (theirs, loaded_by_oracle) = oracle_matches(&files, &events);
    println!("{} events, {} rules here, {} there", events.len(), loaded.len(), loaded_by_oracle.len());
    let only_here: Vec<_> = loaded.difference(&loaded_by_oracle).collect();
    let only_there: Vec<_> = loaded_by_oracle.difference(&loaded).collect();
    println!("loaded only here: {only_here:?}\nloaded only there: {only_there:?}");
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
    let detector = Detector { rules: rules.into(), lists: Default::default() };
    let mut out = Matched::default();
    detector.run(&mut events, &mut out);
    let found: Vec<Ids> = events.iter().map(|event| event.rules.iter().map(ToString::to_string).collect()).collect();
    for (event, found) in events.iter().zip(&found) {
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
