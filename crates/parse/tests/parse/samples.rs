//! Real logs: how much of them is read, as numbers that a change moves visibly.

use super::*;
use std::collections::BTreeMap;

fn lines(path: &str) -> Option<Vec<serde_json::Value>> {
    let bytes = shared(path)?;
    Some(bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice(l).unwrap()).collect())
}

/// Counts what the log files of CrowdSec's scenario tests are read as, by their type.
#[test]
fn crowdsec_logs() {
    let Some(files) = lines("detect/crowdsec_scenario_tests_dev.ndjson.zst") else { return };
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for file in &files {
        let text = |name: &str| file[name].as_str().unwrap();
        let kind = match text("log_type") {
            "syslog" if text("test").starts_with("ssh") => "sshd",
            kind @ ("nginx" | "apache2" | "auditd") => kind,
            _ => continue,
        };
        for event in parse_text(text("log")) {
            let read = match event.native.get("event") {
                Some(_) => "told",
                None => event.format.as_str(),
            };
            if event.format == Format::Raw || (kind == "sshd" && read != "told") {
                println!("{kind}: {}", event.raw_text());
            }
            *counts.entry((kind, read)).or_default() += 1;
        }
    }
    let text: String = counts.iter().map(|((kind, read), count)| format!("{kind} {read} {count}\n")).collect();
    expect_test::expect![[r#"
        apache2 access_log 171
        auditd auditd 34
        nginx access_log 156
        sshd told 86
    "#]].assert_eq(&text);
}

#[test]
fn stratus_events_are_cloudtrail() {
    let Some(rows) = lines("detect/stratus_labelled.ndjson.zst") else { return };
    let body: String = rows.iter().map(|row| format!("{}\n", row["event"])).collect();
    let events = parse_as(body.as_bytes(), Some(Format::Cloudtrail));
    assert_eq!(events.len(), rows.len());
    let count = |test: fn(&Event) -> bool| events.iter().filter(|event| test(event)).count();
    assert_eq!(count(|e| e.format == Format::Cloudtrail && e.issues.is_empty()), rows.len());
    let counts = [
        count(|e| e.ocsf.user_name.is_some()),
        count(|e| e.ocsf.src.ip.is_some()),
        count(|e| e.ocsf.resource.is_some()),
        count(|e| e.ocsf.status == event::Status::Failure),
    ];
    expect_test::expect!["user, address, resource, failed of 310: [310, 203, 153, 52]"].assert_eq(&format!("user, address, resource, failed of {}: {counts:?}", rows.len()));
}

#[test]
fn windows_events_have_their_log_source() {
    let Some(rows) = lines("detect/sigma/sigmahq_regression_events.ndjson.zst") else { return };
    let body: String = rows.iter().map(|row| format!("{}\n", row["event"])).collect();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for event in parse_text(&body) {
        assert_eq!((event.format, &event.issues[..]), (Format::Json, &[][..]));
        let source = event.log_source;
        *counts.entry(format!("{}/{}/{}", source.product, source.category, source.service)).or_default() += 1;
    }
    expect_test::expect![[r#"
        {
            "windows//security": 2,
            "windows//taskscheduler": 1,
            "windows//windefend": 1,
            "windows//wmi": 1,
            "windows/file_event/sysmon": 17,
            "windows/image_load/sysmon": 5,
            "windows/pipe_created/sysmon": 1,
            "windows/process_access/sysmon": 2,
            "windows/process_creation/sysmon": 129,
            "windows/registry_delete/sysmon": 5,
            "windows/registry_set/sysmon": 24,
            "windows/sysmon_status/sysmon": 1,
        }
    "#]].assert_debug_eq(&counts);
}

#[test]
fn mixed_windows_events_have_their_log_source() {
    let Some(bytes) = shared("detect/windows/otrf_windows_sample.ndjson.zst") else { return };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut flawed = 0;
    for event in parse_as(&bytes, Some(Format::Json)) {
        flawed += usize::from(!event.issues.is_empty());
        let source = event.log_source;
        *counts.entry(format!("{}/{}", source.product, source.service)).or_default() += 1;
    }
    expect_test::expect![[r#"
        (
            0,
            {
                "windows/": 23,
                "windows/application": 10,
                "windows/powershell": 2461,
                "windows/powershell-classic": 2641,
                "windows/security": 4920,
                "windows/sysmon": 28517,
                "windows/system": 19,
                "windows/taskscheduler": 3,
                "windows/wmi": 17,
            },
        )
    "#]].assert_debug_eq(&(flawed, counts));
}
