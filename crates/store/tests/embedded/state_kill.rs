//! Kills a process that commits in a loop and looks at what it left.

use crate::samples::{finding, rule};
use event::Severity;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use store::state::{Commit, FjallState, StateStore};

const DIR: &str = "ERNE_TEST_STATE_DIR";
const KEYS: u64 = 50;
const ROUNDS: u64 = 15;

/// Not a test of its own: the process that gets killed. Every entry holds the offset it was written with,
/// and every commit writes one finding, so that the three can be compared.
#[test]
fn child_that_commits_until_it_is_killed() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let store = FjallState::open(dir.as_ref()).unwrap();
    let rule = rule("r1", Severity::High);
    let mut offset = store.load().unwrap().next_offset;
    loop {
        offset += 1;
        let value = || Some([&offset.to_be_bytes()[..], &[0; 500]].concat());
        let delta = (0..KEYS).map(|key| (key.to_be_bytes().to_vec(), value())).collect();
        let findings = [finding(offset, &rule, "alice", offset as i64)];
        store.commit(Commit { next_offset: offset, delta, findings: &findings }).unwrap();
        if offset.is_multiple_of(100) {
            store.forget_findings(offset - 50).unwrap();
        }
    }
}

fn spawn(dir: &std::path::Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "state_kill::child_that_commits_until_it_is_killed", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn entries_offset_and_findings_agree_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut before = 0;
    for round in 0..ROUNDS {
        let mut child = spawn(dir.path());
        std::thread::sleep(Duration::from_millis(60 + round * 37 % 200));
        child.kill().unwrap();
        child.wait().unwrap();
        before = check(dir.path(), before);
    }
    // On a machine so busy that no child got to work in its time, give the last one longer.
    let until = Instant::now() + Duration::from_secs(20);
    while before == 0 && Instant::now() < until {
        let mut child = spawn(dir.path());
        std::thread::sleep(Duration::from_secs(2));
        child.kill().unwrap();
        child.wait().unwrap();
        before = check(dir.path(), before);
    }
    assert!(before > 0, "the children committed something");
}

fn check(dir: &std::path::Path, before: u64) -> u64 {
    let store = FjallState::open(dir).unwrap();
    let loaded = store.load().unwrap();
    assert!(loaded.next_offset >= before, "what survived one kill survives the next");
    if loaded.next_offset > 0 {
        assert_eq!(loaded.entries.len() as u64, KEYS);
    }
    for (_, value) in &loaded.entries {
        assert_eq!(value[..8], loaded.next_offset.to_be_bytes(), "an entry of another commit");
    }
    let findings = store.findings(0, usize::MAX).unwrap();
    let newest = findings.last().map_or(0, |(seq, _)| *seq);
    assert_eq!(newest, loaded.next_offset, "one finding per commit");
    assert!(findings.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0), "no hole");
    assert!(findings.iter().all(|(seq, f)| f.time.secs() == *seq as i64));
    loaded.next_offset
}
