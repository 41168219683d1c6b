//! SigmaHQ's own regression events: each must fire the rule it was recorded for, under the rule's own log
//! source.

use crate::data;
use detect::{Detector, Matched, RuleSet};
use event::LogSource;
use std::collections::HashMap;

#[test]
fn each_regression_event_fires_its_rule() {
    let (Some(files), Some(folder)) = (data::sigma_hq(), data::folder()) else { return };
    let (rules, _) = RuleSet::compile(&files);
    let sources: HashMap<String, (String, String, String)> =
        rules.requirements().into_iter().map(|needs| (needs.rule.id.to_string(), needs.log_source)).collect();
    let detector = Detector { rules: rules.into(), lists: Default::default(), lateness: Default::default() };
    let lines = data::lines(folder.join("sigma/sigmahq_regression_events.ndjson.zst"));
    let mut missed = Vec::new();
    for line in &lines {
        let id = line["rule_id"].as_str().unwrap();
        let (product, category, service) = sources.get(id).cloned().unwrap_or_default();
        let leak = |text: String| -> &'static str { text.leak() };
        let source = LogSource { product: leak(product), category: leak(category), service: leak(service) };
        let mut event = data::event(source, &data::flatten_windows(&line["event"]).to_string());
        detector.run(std::slice::from_mut(&mut event), &mut Matched::default());
        if !event.rules.iter().any(|rule| &**rule == id) {
            missed.push(id.to_owned());
        }
    }
    assert_eq!(missed, Vec::<String>::new(), "{} of {} missed", missed.len(), lines.len());
    assert_eq!(lines.len(), 189);
}
