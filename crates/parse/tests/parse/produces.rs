//! The table of what formats produce, held against everything that the tests read.

use super::*;
use event::Value;

/// Panics if an event has a log source or a field that its format's entries in the table do not tell.
fn held(event: &Event) {
    let source = event.log_source;
    let fits: Vec<_> = parse::PRODUCED
        .iter()
        .filter(|one| one.format == event.format && one.runs_on(source.product, source.category, source.service))
        .collect();
    assert!(!fits.is_empty(), "no entry of {} has {source:?}", event.format);
    let Value::Map(map) = &event.native else { return };
    // Panther's test data carries its own annotations.
    for (name, _) in map.iter().filter(|(name, _)| !name.starts_with("p_")) {
        assert!(fits.iter().any(|one| one.has_field(name)), "{} has the field {name}, the table does not: {}", event.format, event.raw_text());
    }
}

fn inputs(folder: &std::path::Path, visit: &mut dyn FnMut(Vec<u8>)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            inputs(&path, visit);
        } else if path.extension().is_none_or(|ending| ending != "expected" && ending != "txt") {
            visit(std::fs::read(&path).unwrap());
        }
    }
}

#[test]
fn the_table_tells_every_field_of_every_case() {
    let mut count = 0;
    for folder in ["cases/parse", "content/cases"] {
        inputs(&project(folder), &mut |body| {
            for event in parse_as(&body, None) {
                held(&event);
                count += 1;
            }
        });
    }
    for spec in parse::FORMATS {
        parse_as(spec.example.as_bytes(), Some(spec.format)).iter().for_each(held);
    }
    assert!(count > 1_000, "{count} events read");
}

#[test]
fn the_table_tells_every_field_of_real_logs() {
    for (path, member) in [
        ("detect/crowdsec_scenario_tests_dev.ndjson.zst", "log"),
        ("detect/panther_cloudtrail_tests_dev.ndjson.zst", "event"),
        ("detect/panther_other_tests_dev.ndjson.zst", "event"),
        ("detect/stratus_labelled.ndjson.zst", "event"),
    ] {
        let Some(bytes) = shared(path) else { return };
        for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let row: serde_json::Value = serde_json::from_slice(line).unwrap();
            let body = row[member].as_str().map_or_else(|| row[member].to_string(), str::to_owned);
            parse_text(&body).iter().for_each(held);
        }
    }
}

#[test]
fn log_sources_that_no_format_has() {
    let produced = |product: &str, category: &str, service: &str| {
        parse::PRODUCED.iter().filter(|one| one.runs_on(product, category, service)).map(|one| one.name).collect::<Vec<_>>()
    };
    assert_eq!(produced("aws", "", "cloudtrail"), ["CloudTrail", "JSON that states its `logsource`"]);
    assert_eq!(produced("windows", "registry_event", ""), ["Windows events in JSON", "JSON that states its `logsource`"]);
    assert_eq!(produced("azure", "", "signinlogs"), ["audit logs of Azure, Google Cloud, Okta and GitHub", "JSON that states its `logsource`"]);
    assert_eq!(produced("windows", "process_creation", "powershell"), ["JSON that states its `logsource`"]);
    assert_eq!(produced("linux", "", "auth"), ["syslog", "JSON that states its `logsource`"]);
    assert_eq!(produced("", "webserver", "").len(), 4);
    assert_eq!(produced("nosuch", "", ""), [""; 0]);
    assert_eq!(produced("", "", "").len(), parse::PRODUCED.len());
    let trail = &parse::PRODUCED[0];
    assert!(trail.has_field("userIdentity.sessionContext.x") && trail.has_field("user.name") && !trail.has_field("eventname"));
}
