//! `erne hunt` on files: what it prints, and how it ends.

use crate::server::erne;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Output;

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content/cases")
}

fn hunt(arguments: &[&str]) -> Output {
    erne().arg("hunt").args(arguments).output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn jsonl_carries_what_programs_need() {
    let output = hunt(&[cases().to_str().unwrap(), "-o", "jsonl"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let findings = lines(&output);
    assert!(findings.len() > 50, "only {} findings in all cases", findings.len());
    for finding in &findings {
        for field in ["id", "time", "level", "entity", "event_ids", "techniques", "explanation"] {
            assert!(!finding[field].is_null(), "{field} is absent in {finding}");
        }
        assert!(finding["rule"]["id"].is_string() && finding["rule"]["name"].is_string());
        assert!(["informational", "low", "medium", "high", "critical"].contains(&finding["level"].as_str().unwrap()));
    }
}

#[test]
fn archives_and_standard_input_give_the_same_findings() {
    let case = std::fs::read_dir(cases()).unwrap().flatten().map(|e| e.path()).flat_map(|d| std::fs::read_dir(d).unwrap().flatten()).map(|e| e.path()).find(|p| p.to_str().unwrap().contains("aws") && p.file_name().unwrap().to_str().unwrap().starts_with("fires")).expect("an AWS case");
    let text = std::fs::read(&case).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (plain, packed) = (dir.path().join("a.log"), dir.path().join("b.log.gz"));
    std::fs::write(&plain, &text).unwrap();
    let gz = std::process::Command::new("gzip").arg("-c").arg(&plain).output().unwrap();
    std::fs::write(&packed, gz.stdout).unwrap();
    let rules = |output: &Output| lines(output).iter().map(|f| f["rule"]["id"].to_string()).collect::<Vec<_>>();
    let from_plain = rules(&hunt(&[plain.to_str().unwrap(), "-o", "jsonl"]));
    assert!(!from_plain.is_empty());
    assert_eq!(from_plain, rules(&hunt(&[packed.to_str().unwrap(), "-o", "jsonl"])));
    let mut child = erne().args(["hunt", "-", "-o", "jsonl"]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&text).unwrap();
    assert_eq!(from_plain, rules(&child.wait_with_output().unwrap()));
}

#[test]
fn fail_on_ends_with_ten_and_only_then() {
    let all = cases();
    let all = all.to_str().unwrap();
    assert_eq!(hunt(&[all, "--fail-on", "low"]).status.code(), Some(10));
    let dir = tempfile::tempdir().unwrap();
    let calm = dir.path().join("calm.log");
    std::fs::write(&calm, "{\"service\":\"a\",\"status_code\":200,\"message\":\"ok\",\"timestamp\":\"2026-01-01T00:00:00Z\"}\n").unwrap();
    assert_eq!(hunt(&[calm.to_str().unwrap(), "--fail-on", "low"]).status.code(), Some(0));
    assert_eq!(hunt(&["/no/such/file"]).status.code(), Some(1));
    assert_eq!(hunt(&[]).status.code(), Some(2));
    assert_eq!(hunt(&[all, "--no-builtin"]).status.code(), Some(1));
}

#[test]
fn every_output_is_written_and_inert() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("evil.log");
    let evil = "192.0.2.9 - - [20/Nov/2026:10:00:00 +0000] \"GET /?q=<script>alert(1)</script>'+UNION+SELECT+1-- HTTP/1.1\" 200 5 \"-\" \"=cmd|' /C calc'!A0 sqlmap/1.8\"\n";
    std::fs::write(&path, evil).unwrap();
    let path = path.to_str().unwrap();
    let html = String::from_utf8(hunt(&[path, "-o", "html"]).stdout).unwrap();
    assert!(html.starts_with("<!doctype html>") && !html.contains("<script"), "{html}");
    let csv = String::from_utf8(hunt(&[path, "-o", "csv"]).stdout).unwrap();
    assert!(csv.lines().count() > 1 && !csv.contains("\n=") && !csv.contains(",="), "{csv}");
    let table = String::from_utf8(hunt(&[path]).stdout).unwrap();
    assert!(table.contains("Top rules") && table.contains("LEVEL"), "{table}");
}

#[test]
fn sigma_rules_from_a_folder_are_added() {
    let dir = tempfile::tempdir().unwrap();
    let rule = "title: Lamp switched off\nid: 5d0a0a0e-8d55-4f2f-9c1c-0d0e6a1b2c3d\nstatus: test\nlogsource:\n  category: application\ndetection:\n  selection:\n    message|contains: lamp off\n  condition: selection\nlevel: low\n";
    std::fs::write(dir.path().join("lamp.yml"), rule).unwrap();
    let log = dir.path().join("a.log");
    std::fs::write(&log, "{\"service\":\"a\",\"status_code\":200,\"message\":\"Lamp OFF now\",\"timestamp\":\"2026-01-01T00:00:00Z\"}\n").unwrap();
    let output = hunt(&[log.to_str().unwrap(), "--rules", dir.path().to_str().unwrap(), "--no-builtin", "-o", "jsonl"]);
    let findings = lines(&output);
    assert_eq!(findings.len(), 1, "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(findings[0]["rule"]["name"], "Lamp switched off");
    std::fs::write(dir.path().join("broken.yml"), "title: x\ndetection: [\n").unwrap();
    let output = hunt(&[log.to_str().unwrap(), "--rules", dir.path().to_str().unwrap(), "--no-builtin", "-o", "jsonl"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("broken.yml"), "a broken rule is named");
}
