//! The lake's promises: visible at once, stored exactly once, found alike in memory and on disk.

#[path = "../place/mod.rs"]
pub mod place;

use event::{CompactString, Event, Format, Issue, Position, Severity, Timestamp};
use proptest::prelude::*;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::lake::{
    All, Deleted, DeletedFor, Frozen, FrozenRead, Lake, LakeConfig, LakeError, Page, Query, Retention, SourceRetention, Step, Total, Tuning,
};

mod asked;
mod conformance;
mod texts;

/// 2026-11-20T00:00:00Z.
const DAY: i64 = 1_795_132_800;
const CHILD: &str = "ERNE_LAKE_CHILD";

fn config() -> LakeConfig {
    LakeConfig { retention_days: 30, flush_rows: 1_000_000, flush_secs: 3_600, ..LakeConfig::default() }
}

pub fn quiet() -> Tuning {
    Tuning { background: false, grace_secs: 0, ..Tuning::default() }
}

pub fn open_with(dir: &Path, tuning: Tuning) -> Result<Lake, LakeError> {
    Lake::open_at(&place::location(dir), config(), tuning)
}

fn open_keeping(dir: &Path, retention: Retention, tuning: Tuning) -> Lake {
    Lake::open_at(&place::location(dir), LakeConfig { retention, ..config() }, tuning).unwrap()
}

pub fn open(dir: &Path) -> Lake {
    open_with(dir, quiet()).unwrap()
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

pub fn events(range: std::ops::Range<u64>) -> Arc<Vec<Event>> {
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

/// The data files that are stored, by their paths in the table.
fn parquet_files(dir: &Path) -> Vec<String> {
    place::files(dir).into_iter().filter(|path| path.starts_with("day=")).collect()
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
    let retention = if step == "cut" { by_source() } else { Retention::default() };
    let step = match step {
        "written" => Step::Written,
        "merged" | "cut" => Step::Merged,
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
    let lake = open_keeping(Path::new(dir), retention, tuning);
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
        .args(["--exact", &place::test_name("child_that_is_killed"), "--nocapture"])
        .envs(place::child_env())
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
    let lake = open_with(dir.path(), Tuning { fail_point: Some(Arc::new(fail)), ..quiet() }).unwrap();
    lake.append(events(0..30), 30).unwrap();
    assert!(lake.flush().is_err());
    assert_eq!(lake.stats().notices.len(), 1);
    // In an object store the upkeep deletes it: the store may be away just now.
    lake.maintain(Timestamp::from_secs(DAY + 7_200)).unwrap();
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

/// 30 days for everything, 7 for the firewall, 60 for the audit trail.
fn by_source() -> Retention {
    let days = |days| SourceRetention { days: Some(days), bytes_max: None };
    Retention { bytes_max: None, sources: [("firewall".into(), days(7)), ("audit".into(), days(60))].into() }
}

/// Ten events of each of three sources on each of four days.
fn aged_events() -> Vec<Event> {
    let mut made = Vec::new();
    for (d, days) in [3, 10, 40, 70].into_iter().enumerate() {
        for (s, source) in ["web", "firewall", "audit"].into_iter().enumerate() {
            for i in 0..10 {
                let mut one = event((d * 30 + s * 10 + i) as u64);
                one.time = Timestamp::from_secs(DAY - days * 86_400 + i as i64);
                one.received = one.time;
                one.source = source.into();
                made.push(one);
            }
        }
    }
    made
}

fn is_kept(event: &Event) -> bool {
    let days = (DAY - event.time.secs()) / 86_400;
    match &*event.source {
        "firewall" => days < 7,
        "audit" => days < 60,
        _ => days < 30,
    }
}

#[test]
fn sources_have_their_own_days() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open_keeping(dir.path(), by_source(), quiet());
    let sent = aged_events();
    let kept: Vec<Event> = sent.iter().filter(|e| is_kept(e)).cloned().collect();
    lake.append(Arc::new(sent), 120).unwrap();
    lake.flush().unwrap();
    let now = Timestamp::from_secs(DAY + 3_600);
    let done = lake.maintain(now).unwrap();
    // 70 days old: nobody keeps it. 40: only the audit trail. 10: all but the firewall.
    assert_eq!((done.expired, done.rewritten), (1, 2), "{done:?}");
    assert_eq!(lake.query(&all(1_000)).unwrap().events, sorted_json(&kept));
    let by = |source: Option<&str>| Deleted {
        source: source.map(str::to_owned),
        why: DeletedFor::Age,
        rows: 0,
        bytes: 0,
        until_day: String::new(),
    };
    let told: Vec<Deleted> = lake.take_deleted().into_iter().map(|d| Deleted { rows: 0, bytes: 0, until_day: String::new(), ..d }).collect();
    assert_eq!(told, [by(None), by(Some("firewall"))]);
    assert_eq!(lake.stats().deleted_for_age, 120 - kept.len() as u64);
    assert_eq!(lake.take_deleted(), []);
    assert_eq!(lake.maintain(now).unwrap().rewritten, 0, "once is enough");
    drop(lake);
    let lake = open_keeping(dir.path(), by_source(), quiet());
    assert_eq!(lake.query(&all(1_000)).unwrap().events, sorted_json(&kept));
    assert_eq!(lake.covered(), 120);
}

/// SQL asks for `day` of rows that are in no file yet.
#[test]
fn the_tail_names_the_day_that_the_file_will_have() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open_keeping(dir.path(), by_source(), quiet());
    let mut sent = aged_events();
    for e in &mut sent {
        e.received = Timestamp::from_secs(DAY);
    }
    lake.append(Arc::new(sent), 120).unwrap();
    let days = || {
        let columns = ["metadata.uid", "day"].map(|name| Frozen::schema().index_of(name).unwrap()).to_vec();
        let reading = FrozenRead { columns, share: (0, 1), newest_first: true, batch_rows: 64, prune: Box::new(All), tests: Vec::new() };
        let mut rows: Vec<String> = Vec::new();
        for batch in lake.frozen().read(reading) {
            let batch = batch.unwrap();
            let cell = |column: usize, row| arrow::util::display::array_value_to_string(batch.column(column), row).unwrap();
            rows.extend((0..batch.num_rows()).map(|row| format!("{} {}", cell(0, row), cell(1, row))));
        }
        rows.sort();
        rows
    };
    let before = days();
    assert_eq!(before.len(), 120);
    let old = |rows: &[String], day: &str| rows.iter().filter(|r| r.ends_with(day)).count();
    assert_eq!(old(&before, "2026-10-11"), 10, "40 days ago: of the audit trail only, the others lie under their receipt");
    lake.flush().unwrap();
    assert_eq!(days(), before);
}

#[test]
fn a_kill_while_a_source_is_cut_out_is_made_good_by_the_next_round() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let sent = aged_events();
    let kept: Vec<Event> = sent.iter().filter(|e| is_kept(e)).cloned().collect();
    lake.append(Arc::new(sent), 120).unwrap();
    lake.flush().unwrap();
    drop(lake);
    run_and_kill(dir.path(), "cut");
    let lake = open_keeping(dir.path(), by_source(), quiet());
    assert_eq!(lake.stats().orphans_removed, 1);
    assert!(lake.query(&all(0)).unwrap().total.value >= 90, "only the oldest day has gone");
    lake.maintain(Timestamp::from_secs(DAY + 3_600)).unwrap();
    assert_eq!(lake.query(&all(1_000)).unwrap().events, sorted_json(&kept));
}

#[test]
fn beyond_its_size_the_oldest_goes_first() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let mut sent = aged_events();
    sent.retain(|e| e.position.offset < 60);
    for days in sent.chunks(30) {
        lake.append(Arc::new(days.to_vec()), days.last().unwrap().position.offset + 1).unwrap();
        lake.flush().unwrap();
    }
    let bytes = lake.stats().bytes;
    drop(lake);
    let now = Timestamp::from_secs(DAY + 3_600);
    // A source's part: its newest file alone reaches the size, so that the older one loses it.
    let one = SourceRetention { days: None, bytes_max: Some(bytes / 8) };
    let lake = open_keeping(dir.path(), Retention { bytes_max: None, sources: [("firewall".into(), one)].into() }, quiet());
    assert_eq!(lake.maintain(now).unwrap().rewritten, 1);
    sent.retain(|e| &*e.source != "firewall" || e.position.offset < 30);
    assert_eq!(lake.query(&all(1_000)).unwrap().events, sorted_json(&sent));
    let told = lake.take_deleted();
    assert_eq!((told.len(), told[0].why, told[0].rows), (1, DeletedFor::Size, 10));
    assert_eq!(lake.maintain(now).unwrap().rewritten, 0);
    drop(lake);
    // The whole table: only the newest file fits.
    let lake = open_keeping(dir.path(), Retention { bytes_max: Some(bytes * 6 / 10), sources: [].into() }, quiet());
    assert_eq!(lake.maintain(now).unwrap().expired, 1);
    sent.retain(|e| e.position.offset < 30);
    assert_eq!(lake.query(&all(1_000)).unwrap().events, sorted_json(&sent));
    assert!(lake.stats().bytes <= bytes * 6 / 10);
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
    #![proptest_config(ProptestConfig { cases: place::cases(12), ..ProptestConfig::default() })]

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
    let named_as = place::name(dir.path(), &file);
    let good = place::read(dir.path(), &file);
    assert!(good.len() > 128 << 10, "the file has checksummed blocks and a tail: {}", good.len());
    for i in 0..place::cases(40) as usize {
        let mut bad = good.clone();
        let at = i * 104_729 % bad.len();
        bad[at] ^= 1 << (i % 8);
        place::write(dir.path(), &file, &bad);
        match open(dir.path()).query(&all(10_000)) {
            Ok(page) => assert_eq!(page.events, want, "byte {at}"),
            Err(LakeError::Damaged { file, .. }) => assert_eq!(file, named_as),
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
    place::write(dir.path(), &file, &good[..good.len() / 2]);
    assert!(matches!(open(dir.path()).query(&all(1)), Err(LakeError::Damaged { .. })));
    place::remove(dir.path(), &file);
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
    // In an object store each start is a commit, too.
    let version = if place::ON_S3 { 3 } else { 2 };
    let commit = format!("_delta_log/{version:020}.json");
    let good = place::read(dir.path(), &commit);
    let refused = |bytes: Option<&[u8]>| {
        match bytes {
            Some(bytes) => place::write(dir.path(), &commit, bytes),
            None => place::remove(dir.path(), &commit),
        }
        let error = open_with(dir.path(), quiet()).err().expect("must be refused");
        assert!(matches!(&error, LakeError::Damaged { file, .. } if file.contains("_delta_log")), "{error}");
        place::write(dir.path(), &commit, &good);
    };
    refused(Some(&good[..good.len() / 2]));
    refused(Some(b""));
    refused(None);
    let flipped = String::from_utf8(good.clone()).unwrap().replace("\"version\":20", "\"version\":21");
    assert_ne!(flipped.as_bytes(), good);
    refused(Some(flipped.as_bytes()));
    assert_eq!(open(dir.path()).covered(), 30);
    for path in place::files(dir.path()).iter().filter(|path| path.starts_with("_delta_log/")) {
        place::remove(dir.path(), path);
    }
    assert!(matches!(open_with(dir.path(), quiet()), Err(LakeError::Damaged { .. })));
}

/// Data, commits, a checkpoint, the hint that names it, and our checksums of both: a bit flips in each.
#[test]
fn a_flipped_bit_in_any_kind_of_file_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    for i in 0..104u64 {
        lake.append(events(i * 2..i * 2 + 2), i * 2 + 2).unwrap();
        lake.flush().unwrap();
    }
    // Merges the small files, too, so that few are read below.
    assert!(lake.maintain(Timestamp::from_secs(DAY + 7_200)).unwrap().checkpointed);
    lake.append(events(208..210), 210).unwrap();
    lake.flush().unwrap();
    drop(lake);
    let want = sorted_json(&events(0..210));
    let ask = || open_with(dir.path(), quiet()).and_then(|lake| lake.query(&all(1_000))).map(|page| page.events);
    assert_eq!(ask().unwrap(), want);
    let files = place::files(dir.path());
    let newest = |end: &str| files.iter().filter(|f| f.ends_with(end)).max().unwrap_or_else(|| panic!("no {end}: {files:?}")).clone();
    let live = files.iter().filter(|f| f.ends_with(".parquet") && f.starts_with("day=")).max_by_key(|f| place::read(dir.path(), f).len());
    let kinds = [live.unwrap().clone(), newest(".json"), newest("checkpoint.parquet"), newest("_last_checkpoint"), newest("_erne/checkpoints")];
    // Each try reads the whole log, which takes requests in an object store.
    let flips = if place::ON_S3 { 2 } else { 12 };
    for (kind, path) in kinds.iter().enumerate() {
        let good = place::read(dir.path(), path);
        let mut found = 0;
        for i in 0..flips {
            let mut bad = good.clone();
            let at = (i * 7_919 + i * bad.len() / flips) % bad.len();
            bad[at] ^= 1 << (i % 8);
            place::write(dir.path(), path, &bad);
            match ask() {
                Ok(events) => assert_eq!(events, want, "{path}, byte {at}: a wrong answer"),
                Err(LakeError::Damaged { file, .. }) => {
                    assert!(file.contains(path.as_str()), "{path} is damaged, and {file} is named");
                    found += 1;
                }
                Err(other) => panic!("{path}, byte {at}: {other}"),
            }
        }
        // A search need not read every block of a data file, and who made a commit when is told to people only; the
        // others are read whole.
        assert!(found == flips || kind < 2 && found > 0, "{path}: only {found} of {flips} were found");
        place::write(dir.path(), path, &good);
    }
    assert_eq!(ask().unwrap(), want);
}

#[test]
fn one_process_writes_others_may_read() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    lake.append(events(0..10), 10).unwrap();
    lake.flush().unwrap();
    lake.append(events(10..20), 20).unwrap();
    assert!(matches!(open_with(dir.path(), quiet()), Err(LakeError::InUse(_))));
    let reader = Lake::open_read_only_at(&place::location(dir.path())).unwrap();
    assert_eq!(reader.query(&all(0)).unwrap().total, exact(10));
    assert!(reader.append(events(20..30), 30).is_err());
}

#[test]
fn a_full_tail_blocks_until_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let tuning = Tuning { tail_bytes_max: 1 << 20, ..Tuning::default() };
    let lake = open_with(dir.path(), tuning).unwrap();
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
    let commits = if place::ON_S3 { 120 } else { 450u64 };
    for i in 0..commits {
        lake.append(events(i..i + 1), i + 1).unwrap();
        lake.flush().unwrap();
        if i % 50 == 49 {
            lake.maintain(Timestamp::from_secs(DAY + 7_200)).unwrap();
        }
    }
    let log = place::files(dir.path());
    let checkpoints = log.iter().filter(|n| n.ends_with("checkpoint.parquet")).count() as u64;
    assert!(checkpoints >= (commits / 100 - 1).max(1), "{log:?}");
    drop(lake);
    let start = std::time::Instant::now();
    let lake = open(dir.path());
    // In an object store each commit is a request, and the server of the tests is slow.
    let secs_max = if place::ON_S3 { 30 } else { 5 };
    assert!(start.elapsed().as_secs() < secs_max, "{:?}", start.elapsed());
    assert_eq!((lake.covered(), lake.query(&all(0)).unwrap().total), (commits, exact(commits)));
    assert_eq!(lake.query(&all(1_000)).unwrap().events, sorted_json(&events(0..commits)));
}

/// An independent implementation of the protocol opens the table and finds the same.
#[test]
fn the_delta_library_reads_the_table() {
    if place::ON_S3 {
        return; // There every start is by the library.
    }
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
