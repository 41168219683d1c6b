//! Threat lists.

use crate::data;
use detect::{Detector, Matched, RuleFile, ThreatLists};
use event::{Entity, EntityKind, Event, LogSource, RuleKind, Severity};

fn list(path: &str, text: &str) -> RuleFile {
    RuleFile { path: path.into(), text: text.into() }
}

fn run(lists: ThreatLists, set: impl FnOnce(&mut Event)) -> (Event, Matched) {
    let mut event = data::event(LogSource::default(), "{}");
    set(&mut event);
    let detector = Detector { rules: Default::default(), lists: lists.into(), lateness: Default::default() };
    let mut out = Matched::default();
    detector.run(std::slice::from_mut(&mut event), &mut out);
    (event, out)
}

const TEXT: &str = "# comment\n203.0.113.7\n198.51.100.0/24 ; block\n2001:db8::/32\nEvil.example.\n*.bad.example\n";

#[test]
fn addresses_networks_and_domains_are_found() {
    let on_list = |set: fn(&mut Event)| {
        let (lists, issues) = ThreatLists::compile(&[list("lists/feed.txt", TEXT)]);
        assert!(issues.is_empty(), "{issues:?}");
        let (event, out) = run(lists, set);
        assert_eq!(event.threat_lists.len(), out.findings.len());
        !event.threat_lists.is_empty()
    };
    assert!(on_list(|e| e.ocsf.src.ip = Some("203.0.113.7".into())));
    assert!(on_list(|e| e.ocsf.dst.ip = Some("198.51.100.255".into())));
    assert!(on_list(|e| e.ocsf.src.ip = Some("2001:db8:ffff::1".into())));
    assert!(on_list(|e| e.ocsf.src.ip = Some("::ffff:203.0.113.7".into())));
    assert!(on_list(|e| e.ocsf.dst.hostname = Some("a.b.EVIL.example".into())));
    assert!(on_list(|e| e.ocsf.http.hostname = Some("bad.example:8080".into())));
    assert!(!on_list(|e| e.ocsf.src.ip = Some("203.0.113.8".into())));
    assert!(!on_list(|e| e.ocsf.src.ip = Some("198.51.101.0".into())));
    assert!(!on_list(|e| e.ocsf.dst.hostname = Some("notevil.example".into())));
    assert!(!on_list(|e| e.ocsf.user_name = Some("203.0.113.7".into())));
}

#[test]
fn a_finding_names_the_list() {
    let (lists, _) = ThreatLists::compile(&[list("lists/feed.txt", TEXT), list("other.txt", "203.0.113.0/24")]);
    let (event, out) = run(lists, |e| e.ocsf.src.ip = Some("203.0.113.7".into()));
    assert_eq!(event.threat_lists.iter().map(|n| &**n).collect::<Vec<_>>(), ["feed", "other"]);
    assert_eq!(event.severity, Severity::High);
    assert_eq!(&*out.findings[0].rule.name, "Address on threat list feed");
    assert_eq!(out.findings[0].rule.kind, RuleKind::Intel);
    assert_eq!(out.findings[0].explanation.conditions[0].field, "src_endpoint.ip");
    assert_eq!(out.findings[0].entity, Entity::new(EntityKind::Ip, "203.0.113.7"));
    assert_ne!(out.findings[0].id, out.findings[1].id);
}

#[test]
fn hashes_of_files_are_found_where_logs_write_them() {
    const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";
    const SHA256: &str = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855";
    let on_list = |native: &str| {
        let (lists, issues) = ThreatLists::compile(&[list("malware.txt", &format!("{MD5}\n{SHA256} # empty\n"))]);
        assert!(issues.is_empty(), "{issues:?}");
        assert_eq!(lists.lists()[0].hashes, 2);
        let mut event = data::event(LogSource::default(), native);
        let detector = Detector { rules: Default::default(), lists: lists.into(), lateness: Default::default() };
        let mut out = Matched::default();
        detector.run(std::slice::from_mut(&mut event), &mut out);
        assert!(out.findings.iter().all(|f| &*f.rule.name == "File on threat list malware"));
        out.findings.first().map(|f| f.explanation.conditions[0].field.to_string())
    };
    let sysmon = format!(r#"{{"Hashes": "SHA1=DA39A3EE5E6B4B0D3255BFEF95601890AFD80709,MD5={}"}}"#, MD5.to_uppercase());
    assert_eq!(on_list(&sysmon).as_deref(), Some("Hashes"));
    let ecs = format!(r#"{{"process": {{"hash": {{"sha256": "{}"}}}}}}"#, SHA256.to_lowercase());
    assert_eq!(on_list(&ecs).as_deref(), Some("sha256"));
    assert_eq!(on_list(&format!(r#"{{"file.hash.md5": "{MD5}"}}"#)).as_deref(), Some("file.hash.md5"));
    assert_eq!(on_list(&format!(r#"{{"files": [{{"file_hash": "{MD5}"}}]}}"#)).as_deref(), Some("file_hash"));
    assert_eq!(on_list(&format!(r#"{{"sessionId": "{MD5}"}}"#)), None, "an id is no hash");
    assert_eq!(on_list(r#"{"md5": "d41d8cd98f00b204e9800998ecf8427f"}"#), None);
    assert_eq!(on_list(r#"{"md5": 5, "hash": null, "hashes": []}"#), None);
}

#[test]
fn bad_lines_are_reported_and_levels_read() {
    let (lists, issues) = ThreatLists::compile(&[list("x.txt", "1.2.3.4\t2\n1.2.3.5\t3\nnot an entry\n0.0.0.0/0\n1.2.3.400\n")]);
    assert_eq!(issues.iter().map(|i| i.line).collect::<Vec<_>>(), [Some(3), Some(4), Some(5)]);
    assert_eq!((lists.lists()[0].ranges, lists.lists()[0].left_out), (1, 1));
    let (_, issues) = ThreatLists::compile(&[list("x.txt", &"?\n".repeat(1_000))]);
    assert_eq!(issues.len(), 21);
    assert!(issues[20].message.contains("980 more"));
}

#[test]
fn a_large_list_loads() {
    let Some(folder) = data::folder() else { return };
    let output = std::process::Command::new("zstd").arg("-dc").arg(folder.join("iprep/ipsum_levels.txt.zst")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (lists, issues) = ThreatLists::compile(&[list("ipsum.txt", &text)]);
    assert!(issues.is_empty(), "{:?}", issues.first());
    let info = &lists.lists()[0];
    println!("{info:?}");
    assert!(info.ranges > 5_000 && info.left_out > 50_000);
}
