//! What every implementation of `StateStore` does.

use crate::samples::{finding, rule};
use event::{Finding, Severity};
use store::state::{Commit, FjallState, StateError, StateStore};

/// `open` opens the same store again and again; the handle before is dropped first.
pub fn conforms(fresh: impl Fn() -> Box<dyn Fn() -> Box<dyn StateStore>>) {
    commits_change_entries_offset_and_findings_together(fresh());
    an_older_offset_is_refused(fresh());
    finding_numbers_never_repeat(fresh());
    keys_and_values_are_any_bytes(fresh());
}

type Open = Box<dyn Fn() -> Box<dyn StateStore>>;

fn put(key: &str, value: &str) -> (Vec<u8>, Option<Vec<u8>>) {
    (key.into(), Some(value.into()))
}

fn entries(store: &dyn StateStore) -> Vec<(String, String)> {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let mut entries: Vec<_> = store.load().unwrap().entries.into_iter().map(|(k, v)| (text(k), text(v))).collect();
    entries.sort();
    entries
}

fn some_findings(range: std::ops::Range<u64>) -> Vec<Finding> {
    let rule = rule("r1", Severity::High);
    range.map(|n| finding(n, &rule, "alice", 1_700_000_000 + n as i64)).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
}

fn commits_change_entries_offset_and_findings_together(open: Open) {
    let store = open();
    assert_eq!((store.load().unwrap().next_offset, entries(&*store)), (0, vec![]));
    let findings = some_findings(0..3);
    store.commit(Commit { next_offset: 7, delta: vec![put("a", "1"), put("b", "2")], findings: &findings }).unwrap();
    let delta = vec![put("a", "3"), (b"b".to_vec(), None), (b"never there".to_vec(), None)];
    store.commit(Commit { next_offset: 9, delta, findings: &[] }).unwrap();
    store.sync().unwrap();
    drop(store);
    let store = open();
    assert_eq!(store.load().unwrap().next_offset, 9);
    assert_eq!(entries(&*store), pairs(&[("a", "3")]));
    let stored: Vec<_> = store.findings(0, 10).unwrap();
    assert_eq!(stored, (1..).zip(findings).collect::<Vec<_>>());
}

fn an_older_offset_is_refused(open: Open) {
    let store = open();
    store.commit(Commit { next_offset: 7, delta: vec![put("a", "1")], findings: &[] }).unwrap();
    let refused = store.commit(Commit { next_offset: 6, delta: vec![put("a", "old")], findings: &some_findings(0..1) });
    assert!(matches!(refused, Err(StateError::Behind { stored: 7, offered: 6 })));
    drop(store);
    let store = open();
    assert_eq!(entries(&*store), pairs(&[("a", "1")]));
    assert_eq!(store.findings(0, 10).unwrap(), []);
    store.commit(Commit { next_offset: 7, delta: vec![put("b", "2")], findings: &[] }).expect("the same is fine");
}

fn finding_numbers_never_repeat(open: Open) {
    let store = open();
    store.commit(Commit { next_offset: 1, delta: vec![], findings: &some_findings(0..300) }).unwrap();
    let seqs = |after, limit| -> Vec<u64> { store.findings(after, limit).unwrap().into_iter().map(|(s, _)| s).collect() };
    assert_eq!(seqs(0, 3), [1, 2, 3]);
    assert_eq!(seqs(254, 4), [255, 256, 257, 258], "in the order of numbers, not of text");
    assert_eq!(seqs(u64::MAX, 4), [0; 0]);
    store.forget_findings(299).unwrap();
    assert_eq!(seqs(0, 10), [300]);
    store.forget_findings(300).unwrap();
    store.forget_findings(300).unwrap();
    drop(store);
    let store = open();
    assert_eq!(store.findings(0, 10).unwrap(), []);
    let findings = some_findings(300..301);
    store.commit(Commit { next_offset: 1, delta: vec![], findings: &findings }).unwrap();
    assert_eq!(store.findings(0, 10).unwrap(), [(301, findings[0].clone())]);
}

fn keys_and_values_are_any_bytes(open: Open) {
    let store = open();
    let key: Vec<u8> = (0..=255).collect();
    let value = vec![0xFF; 1 << 20];
    store.commit(Commit { next_offset: 1, delta: vec![(key.clone(), Some(value.clone()))], findings: &[] }).unwrap();
    assert_eq!(store.load().unwrap().entries, [(key, value)]);
}

#[test]
fn fjall_conforms() {
    conforms(|| {
        let dir = tempfile::tempdir().unwrap();
        Box::new(move || Box::new(FjallState::open(dir.path()).unwrap()))
    });
}

#[test]
fn a_second_open_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _open = FjallState::open(dir.path()).unwrap();
    let refused = FjallState::open(dir.path()).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("in use by another process"), "{refused}");
}
