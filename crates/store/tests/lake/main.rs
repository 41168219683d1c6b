//! The lake's promises: visible at once, stored exactly once, found alike in memory and on disk.

use event::{CompactString, Event, Format, Issue, Position, Severity, Timestamp};
use proptest::prelude::*;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::lake::{Lake, LakeConfig, LakeError, Page, Query, Step, Total, Tuning};

mod asked;
mod conformance;
mod texts;

/// 2026-11-20T00:00:00Z.
const DAY: i64 = 1_795_132_800;
const CHILD: &str = "ERNE_LAKE_CHILD";

fn config() -> LakeConfig {
    LakeConfig { retention_days: 30, flush_rows: 1_000_000, flush_secs: 3_600 }
}

fn quiet() -> Tuning {
    Tuning { background: false, grace_secs: 0, ..Tuning::default() }
}

pub fn open(dir: &Path) -> Lake {
    Lake::open_with(dir, config(), quiet()).unwrap()
}

fn text(value: &str) -> Option<CompactString> {
    Some(value.into())
}

/// An event at `offset`; its fields follow from the offset.
fn event(offset: u64) -> Event {
    let time = Timestamp::from_secs(DAY + 3_600 + (offset * 7_919 % 1_000) as i64);
    let raw = format!(r#"{{"n":{offset},"path":"/Shop/{}","who":"user{}"}}"#, offset % 13, offset % 5);
    let position = Position { offset, index: 0 };
    let received = Timestamp::from_secs(DAY + 7_200);
    let mut event = Event::new(format!("uid-{offset}").into(), position, received, "web".into(), Format::AppLog, raw.into());
    event.time = time;
    event.severity = Severity::ALL[(offset % 5) as usize];
    event.ocsf.user_name = text(&format!("user{}", offset % 5));
    event.ocsf.src.ip = text(&format!("10.0.{}.{}", offset % 3, offset % 200));
    event.ocsf.http.response_code = Some(200 + (offset % 4) as i64 * 100);
    if offset.is_multiple_of(3) {
        event.ocsf.src.location.lat = Some(offset as f64 / 10.0);
        event.rules = vec!["rule-a".into(), format!("rule-{}", offset % 2).as_str().into()];
    }
    event
}

fn events(range: std::ops::Range<u64>) -> Arc<Vec<Event>> {
    Arc::new(range.map(event).collect())
}

/// What normal sources never send and attackers do.
fn odd_events() -> Vec<Event> {
    let mut odd: Vec<Event> = (0..6).map(event).collect();
    odd[0].raw = vec![0xff, 0xfe, b'a', 0].into();
    odd[0].issues = vec![Issue { code: "invalid_json", detail: "eof ü".into() }];
    odd[1].ocsf.src.location.lat = Some(f64::NAN);
    odd[1].ocsf.message = text("");
    odd[1].time = Timestamp(-5);
    odd[2].raw = "x".repeat(3 << 20).into();
    odd[3].threat_lists = vec!["".into(), "list 📄".into()];
    odd[3].ocsf.http.response_bytes = Some(i64::MIN);
    odd[4].time = Timestamp::parse("9999-12-31T23:59:59Z").unwrap();
    odd[5].position = Position { offset: 4, index: 7 };
    odd
}

fn exact(value: u64) -> Total {
    Total { value, exact: true }
}

fn all(limit: usize) -> Query {
    Query { limit, ..Query::default() }
}

fn sorted_json(events: &[Event]) -> Vec<Value> {
    let mut events: Vec<&Event> = events.iter().collect();
    events.sort_by_key(|e| std::cmp::Reverse((e.time, e.position)));
    events.into_iter().map(Event::to_json).collect()
}

fn uids(page: &Page) -> Vec<&str> {
    page.events.iter().map(|e| e["metadata"]["uid"].as_str().unwrap()).collect()
}

fn parquet_files(dir: &Path) -> Vec<std::path::PathBuf> {
    let days = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).filter(|p| p.to_string_lossy().contains("day="));
    days.flat_map(|d| std::fs::read_dir(d).unwrap().map(|e| e.unwrap().path())).collect()
}

#[test]
fn rows_come_back_as_they_went_in() {
    let dir = tempfile::tempdir().unwrap();
    let mut sent = odd_events();
    let lake = open(dir.path());
    lake.append(Arc::new(sent.clone()), 6).unwrap();
    sent.extend((6..500).map(event));
    lake.append(Arc::new(sent[6..].to_vec()), 500).unwrap();
    let want = sorted_json(&sent);
    let from_tail = lake.query(&all(1_000)).unwrap();
    assert_eq!(from_tail.events, want);
    assert_eq!(from_tail.total, exact(500));
    lake.flush().unwrap();
    assert_eq!(lake.stats().tail_rows, 0);
    assert_eq!(lake.query(&all(1_000)).unwrap().events, want);
    drop(lake);
    let lake = open(dir.path());
    assert_eq!(lake.covered(), 500);
    let from_table = lake.query(&all(1_000)).unwrap();
    assert_eq!(from_table.events, want);
    assert_eq!(from_table.total, exact(500));
}

#[test]
fn a_flush_neither_loses_nor_doubles_a_row_for_running_queries() {
    const ROUNDS: u64 = 60;
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let appended = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..ROUNDS {
                lake.append(events(round * 50..round * 50 + 50), round * 50 + 50).unwrap();
                appended.store(round * 50 + 50, Ordering::SeqCst);
            }
        });
        scope.spawn(|| {
            while appended.load(Ordering::SeqCst) < ROUNDS * 50 {
                lake.flush().unwrap();
                lake.maintain(Timestamp::from_secs(DAY + 7_200)).unwrap();
            }
        });
        while appended.load(Ordering::SeqCst) < ROUNDS * 50 {
            let least = appended.load(Ordering::SeqCst);
            let page = lake.query(&all(10_000)).unwrap();
            let mut seen = uids(&page);
            let count = seen.len() as u64;
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len() as u64, count, "a row was doubled");
            assert!(count >= least, "{count} rows of {least} appended");
            assert_eq!(page.total, exact(count));
        }
    });
    assert_eq!(lake.query(&all(0)).unwrap().total, exact(ROUNDS * 50));
}

#[test]
fn appending_again_from_the_covered_offset_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    lake.append(events(0..100), 100).unwrap();
    lake.flush().unwrap();
    lake.append(events(100..150), 150).unwrap();
    drop(lake);
    let lake = open(dir.path());
    assert_eq!(lake.covered(), 100, "the tail was never promised");
    lake.append(events(50..200), 200).unwrap();
    lake.append(events(50..200), 200).unwrap();
    lake.flush().unwrap();
    lake.append(events(0..200), 200).unwrap();
    assert_eq!(lake.query(&all(0)).unwrap().total, exact(200));
    lake.append(Arc::new(vec![]), 900).unwrap();
    lake.flush().unwrap();
    drop(lake);
    let lake = open(dir.path());
    assert_eq!(lake.covered(), 900, "records without events are covered, too");
    assert_eq!(lake.query(&all(0)).unwrap().total, exact(200));
}

/// The other half of the kill tests: runs in a process of its own, which it kills.
#[test]
fn child_that_is_killed() {
    let Ok(task) = std::env::var(CHILD) else { return };
    let (step, dir) = task.split_once(':').unwrap();
    let step = match step {
        "written" => Step::Written,
        "merged" => Step::Merged,
        "indexed" => Step::Indexed,
        _ => Step::Committed,
    };
    let kill = move |at: Step| {
        if at == step {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)?;
        }
        Ok(())
    };
    let tuning = Tuning { fail_point: Some(Arc::new(kill)), ..quiet() };
    let lake = Lake::open_with(Path::new(dir), config(), tuning).unwrap();
    let from = lake.covered();
    if step != Step::Merged {
        lake.append(events(from..from + 40), from + 40).unwrap();
        lake.flush().unwrap();
        lake.index_texts().unwrap();
    }
    lake.maintain(Timestamp::from_secs(DAY + 7_200)).unwrap();
    unreachable!("the fail point kills");
}

fn run_and_kill(dir: &Path, step: &str) {
    use std::os::unix::process::ExitStatusExt;
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_is_killed", "--nocapture"])
        .env(CHILD, format!("{step}:{}", dir.display()))
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.signal(), Some(9), "the child must die by its own kill");
}

#[test]
fn a_kill_between_file_and_commit_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    lake.append(events(0..10), 10).unwrap();
    lake.flush().unwrap();
    drop(lake);
    run_and_kill(dir.path(), "written");
    assert_eq!(parquet_files(dir.path()).len(), 2, "the child left a file that no commit names");
    let lake = open(dir.path());
    assert_eq!(lake.stats().orphans_removed, 1);
    assert_eq!((lake.covered(), lake.query(&all(0)).unwrap().total), (10, exact(10)));
    drop(lake);
    run_and_kill(dir.path(), "committed");
    let lake = open(dir.path());
    assert_eq!((lake.covered(), lake.query(&all(0)).unwrap().total), (50, exact(50)));
    assert_eq!(lake.stats().orphans_removed, 0);
}

#[test]
fn a_kill_during_a_merge_is_made_good_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    for i in 0..12 {
        lake.append(events(i * 10..i * 10 + 10), i * 10 + 10).unwrap();
        lake.flush().unwrap();
    }
    drop(lake);
    run_and_kill(dir.path(), "merged");
    let lake = open(dir.path());
    assert_eq!(lake.stats().orphans_removed, 1);
    assert_eq!(lake.query(&all(0)).unwrap().total, exact(120));
    let want = sorted_json(&events(0..120));
    assert!(lake.maintain(Timestamp::from_secs(DAY + 7_200)).unwrap().merged > 8);
    assert_eq!(lake.query(&all(1_000)).unwrap().events, want);
}

#[test]
fn a_failed_flush_loses_nothing_and_is_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let failing = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let switch = failing.clone();
    let fail = move |step: Step| match (step, switch.load(Ordering::SeqCst)) {
        (Step::Written, true) => Err(std::io::Error::other("no space left")),
        _ => Ok(()),
    };
    let lake = Lake::open_with(dir.path(), config(), Tuning { fail_point: Some(Arc::new(fail)), ..quiet() }).unwrap();
    lake.append(events(0..30), 30).unwrap();
    assert!(lake.flush().is_err());
    assert_eq!(lake.stats().notices.len(), 1);
    assert_eq!(parquet_files(dir.path()).len(), 0, "the uncommitted file is gone");
    lake.append(events(30..40), 40).unwrap();
    failing.store(false, Ordering::SeqCst);
    lake.flush().unwrap();
    assert_eq!((lake.covered(), lake.stats().notices.len()), (40, 0));
    assert_eq!(lake.query(&all(0)).unwrap().total, exact(40));
}

#[test]
fn days_beyond_retention_go_and_small_files_are_merged() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    for i in 0..20u64 {
        let mut batch: Vec<Event> = (i * 10..i * 10 + 10).map(event).collect();
        for e in batch.iter_mut().take(2) {
            e.time = e.time.plus_secs(-40 * 86_400);
            e.received = e.time;
        }
        lake.append(Arc::new(batch), i * 10 + 10).unwrap();
        lake.flush().unwrap();
    }
    assert_eq!(lake.stats().files, 40);
    let before = lake.query(&all(1_000)).unwrap().events;
    let done = lake.maintain(Timestamp::from_secs(DAY + 86_400)).unwrap();
    assert_eq!(done.expired, 20);
    assert!(done.merged >= 16, "{done:?}");
    assert!(lake.stats().files <= 8);
    let after = lake.query(&all(1_000)).unwrap();
    assert_eq!(after.events, before[..160]);
    // Files removed by this process are stamped by its clock: far ahead, their grace is over.
    lake.maintain(Timestamp::from_secs(DAY + 10 * 86_400)).unwrap();
    assert_eq!(parquet_files(dir.path()).len() as u64, lake.stats().files, "removed files are deleted");
    drop(lake);
    let lake = open(dir.path());
    assert_eq!(lake.query(&all(1_000)).unwrap().events, after.events);
    assert_eq!(lake.covered(), 200);
}

#[test]
fn absurd_times_are_kept_but_make_no_partitions() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let mut wild: Vec<Event> = (0..100).map(event).collect();
    for (i, e) in wild.iter_mut().enumerate() {
        e.time = Timestamp::from_secs(i as i64 * 400 * 86_400 * if i % 2 == 0 { 1 } else { -1 });
    }
    let want = sorted_json(&wild);
    lake.append(Arc::new(wild), 100).unwrap();
    lake.flush().unwrap();
    assert!(lake.stats().files <= 3, "{} files", lake.stats().files);
    assert_eq!(lake.query(&all(1_000)).unwrap().events, want);
}

#[test]
fn histogram_and_scan_count_everything_once() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    lake.append(events(0..1_000), 1_000).unwrap();
    lake.flush().unwrap();
    lake.append(events(1_000..1_500), 1_500).unwrap();
    let buckets = lake.histogram(&all(1), 100).unwrap();
    assert_eq!(buckets.len(), 10);
    assert!(buckets.windows(2).all(|w| w[0].0 < w[1].0));
    assert_eq!(buckets.iter().map(|(_, by)| by[&Severity::High]).sum::<u64>(), 300);
    let mut offsets = Vec::new();
    let (from, to) = (Timestamp::from_secs(DAY), Timestamp::from_secs(DAY + 86_400));
    lake.scan(&["erne_offset", "actor.user.name"], from, to, &mut |batch| {
        let column = batch.column_by_name("erne_offset").unwrap();
        offsets.extend_from_slice(column.as_any().downcast_ref::<arrow_array::Int64Array>().unwrap().values());
        true
    })
    .unwrap();
    offsets.sort_unstable();
    assert_eq!(offsets, (0..1_500).collect::<Vec<i64>>());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn pages_cover_everything_exactly_once(
        times in proptest::collection::vec(0i64..40, 1..200),
        flushes in proptest::collection::vec(1usize..60, 0..5),
        limit in 1usize..50,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let lake = open(dir.path());
        let mut sent: Vec<Event> = (0..times.len() as u64).map(event).collect();
        for (event, time) in sent.iter_mut().zip(&times) {
            event.time = Timestamp::from_secs(DAY + time * 10_000);
        }
        let mut at = 0;
        for size in flushes {
            let next = (at + size).min(sent.len());
            lake.append(Arc::new(sent[at..next].to_vec()), next as u64).unwrap();
            lake.flush().unwrap();
            at = next;
        }
        lake.append(Arc::new(sent[at..].to_vec()), sent.len() as u64).unwrap();
        let mut found = Vec::new();
        let mut query = all(limit);
        loop {
            let page = lake.query(&query).unwrap();
            prop_assert!(page.events.len() <= limit);
            prop_assert_eq!(page.total, exact(sent.len() as u64));
            found.extend(page.events);
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                break;
            }
            // A flush between two pages moves rows and changes nothing.
            lake.flush().unwrap();
        }
        prop_assert_eq!(found, sorted_json(&sent));
    }
}

#[test]
fn a_flipped_bit_is_never_a_wrong_answer() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let mut sent: Vec<Event> = (0..3_000).map(event).collect();
    for e in &mut sent {
        // Hashes do not compress: the file is longer than its tail.
        let hash = |i: u64| event::Id::of(&[&e.position.offset.to_le_bytes(), &i.to_le_bytes()]).to_string();
        e.raw = (0..4).map(hash).collect::<String>().into();
    }
    let want = sorted_json(&sent);
    lake.append(Arc::new(sent), 3_000).unwrap();
    lake.flush().unwrap();
    drop(lake);
    let file = parquet_files(dir.path()).remove(0);
    let named_as = file.canonicalize().unwrap().display().to_string();
    let good = std::fs::read(&file).unwrap();
    assert!(good.len() > 128 << 10, "the file has checksummed blocks and a tail: {}", good.len());
    for i in 0..40usize {
        let mut bad = good.clone();
        let at = i * 104_729 % bad.len();
        bad[at] ^= 1 << (i % 8);
        std::fs::write(&file, &bad).unwrap();
        match open(dir.path()).query(&all(10_000)) {
            Ok(page) => assert_eq!(page.events, want, "byte {at}"),
            Err(LakeError::Damaged { file, .. }) => assert_eq!(file, named_as),
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
    std::fs::write(&file, &good[..good.len() / 2]).unwrap();
    assert!(matches!(open(dir.path()).query(&all(1)), Err(LakeError::Damaged { .. })));
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(open(dir.path()).query(&all(1)), Err(LakeError::Damaged { .. })));
}

#[test]
fn a_damaged_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    for i in 0..3 {
        lake.append(events(i * 10..i * 10 + 10), i * 10 + 10).unwrap();
        lake.flush().unwrap();
    }
    drop(lake);
    let commit = dir.path().join("_delta_log/00000000000000000002.json");
    let good = std::fs::read(&commit).unwrap();
    let refused = |bytes: Option<&[u8]>| {
        match bytes {
            Some(bytes) => std::fs::write(&commit, bytes).unwrap(),
            None => std::fs::remove_file(&commit).unwrap(),
        }
        let error = Lake::open_with(dir.path(), config(), quiet()).err().expect("must be refused");
        assert!(matches!(&error, LakeError::Damaged { file, .. } if file.contains("_delta_log")), "{error}");
        std::fs::write(&commit, &good).unwrap();
    };
    refused(Some(&good[..good.len() / 2]));
    refused(Some(b""));
    refused(None);
    let flipped = String::from_utf8(good.clone()).unwrap().replace("\"version\":20", "\"version\":21");
    assert_ne!(flipped.as_bytes(), good);
    refused(Some(flipped.as_bytes()));
    assert_eq!(open(dir.path()).covered(), 30);
    std::fs::remove_dir_all(dir.path().join("_delta_log")).unwrap();
    assert!(matches!(Lake::open_with(dir.path(), config(), quiet()), Err(LakeError::Damaged { .. })));
}

#[test]
fn one_process_writes_others_may_read() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    lake.append(events(0..10), 10).unwrap();
    lake.flush().unwrap();
    lake.append(events(10..20), 20).unwrap();
    assert!(matches!(Lake::open_with(dir.path(), config(), quiet()), Err(LakeError::InUse(_))));
    let reader = Lake::open_read_only(dir.path()).unwrap();
    assert_eq!(reader.query(&all(0)).unwrap().total, exact(10));
    assert!(reader.append(events(20..30), 30).is_err());
}

#[test]
fn a_full_tail_blocks_until_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let tuning = Tuning { tail_bytes_max: 1 << 20, ..Tuning::default() };
    let lake = Lake::open_with(dir.path(), config(), tuning).unwrap();
    for i in 0..40 {
        lake.append(events(i * 500..i * 500 + 500), i * 500 + 500).unwrap();
        assert!(lake.stats().tail_bytes <= (1 << 20));
    }
    assert_eq!(lake.query(&all(0)).unwrap().total, exact(20_000));
    assert!(lake.covered() > 0, "the background thread has flushed");
}

#[test]
fn hundreds_of_commits_stay_fast_through_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    for i in 0..450u64 {
        lake.append(events(i..i + 1), i + 1).unwrap();
        lake.flush().unwrap();
        if i % 50 == 49 {
            lake.maintain(Timestamp::from_secs(DAY + 7_200)).unwrap();
        }
    }
    let log = std::fs::read_dir(dir.path().join("_delta_log")).unwrap();
    let log: Vec<String> = log.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(log.iter().filter(|n| n.ends_with("checkpoint.parquet")).count() >= 3, "{log:?}");
    drop(lake);
    let start = std::time::Instant::now();
    let lake = open(dir.path());
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    assert_eq!((lake.covered(), lake.query(&all(0)).unwrap().total), (450, exact(450)));
    assert_eq!(lake.query(&all(1_000)).unwrap().events, sorted_json(&events(0..450)));
}

/// An independent implementation of the protocol opens the table and finds the same.
#[test]
fn the_delta_library_reads_the_table() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    for i in 0..12 {
        lake.append(events(i * 100..i * 100 + 100), i * 100 + 100).unwrap();
        lake.flush().unwrap();
    }
    lake.maintain(Timestamp::from_secs(DAY + 7_200)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = url::Url::from_directory_path(dir.path()).unwrap();
    let table = runtime.block_on(deltalake_core::open_table(url)).unwrap();
    let state = table.snapshot().unwrap();
    assert_eq!(state.log_data().iter().map(|f| f.num_records().unwrap() as u64).sum::<u64>(), 1_200);
    let txn = runtime.block_on(state.transaction_version(table.log_store().as_ref(), "erne-lake")).unwrap();
    assert_eq!(txn, Some(1_200));
    assert_eq!(state.metadata().partition_columns(), &vec!["day".to_string()]);
}

/// Writes the table that scripts/test_lake_readers.sh opens with other engines.
#[test]
fn write_a_table_for_other_readers() {
    let Ok(dir) = std::env::var("ERNE_LAKE_FOR_READERS") else { return };
    let lake = open(Path::new(&dir));
    for i in 0..30 {
        lake.append(events(i * 1_000..i * 1_000 + 1_000), i * 1_000 + 1_000).unwrap();
        lake.flush().unwrap();
        if i == 20 {
            lake.maintain(Timestamp::from_secs(DAY + 7_200)).unwrap();
        }
    }
}
