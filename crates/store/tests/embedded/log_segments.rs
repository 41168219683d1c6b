//! What happens to segment files: tails torn anywhere, flipped bits, restarts, bounds.

use crate::log_conformance::small;
use crate::samples::{append, keyed, record};
use event::{Id, Record, Timestamp};
use futures::executor::block_on;
use std::path::{Path, PathBuf};
use store::log::{Append, AppendError, Appended, Log, LogConfig, LogError, SegmentLog};

fn open(dir: &Path) -> SegmentLog {
    SegmentLog::open(dir, small()).unwrap()
}

fn put(log: &SegmentLog, append: Append) -> Appended {
    block_on(log.append(append)).unwrap()
}

fn all(log: &SegmentLog) -> Vec<(u64, Record)> {
    let (start, end) = log.range();
    let mut out: Vec<(u64, Record)> = Vec::new();
    let mut from = start;
    while from < end {
        out.extend(log.read(from, 1 << 20).unwrap());
        from = out.last().unwrap().0 + 1;
    }
    out
}

fn numbered(range: std::ops::Range<u64>) -> Vec<(u64, Record)> {
    range.map(|n| (n, record(n, 100))).collect()
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<_> = files.filter(|p| p.extension().is_some_and(|e| e == "log")).collect();
    files.sort();
    files
}

/// A folder with one segment: `batches` of two records each, and the length after each.
fn one_segment(dir: &Path, batches: u64) -> (PathBuf, Vec<u64>) {
    let log = SegmentLog::open(dir, LogConfig { segment_bytes_max: 1 << 30, ..small() }).unwrap();
    let mut lengths = Vec::new();
    for n in 0..batches {
        put(&log, append(n * 2, 2));
        lengths.push(std::fs::metadata(&segments(dir)[0]).unwrap().len());
    }
    (segments(dir)[0].clone(), lengths)
}

#[test]
fn all_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for n in 0..100 {
        put(&log, append(n * 10, 10));
    }
    drop(log);
    assert!(segments(dir.path()).len() > 3);
    let log = open(dir.path());
    assert_eq!(log.notices(), [""; 0]);
    assert_eq!(all(&log), numbered(0..1000));
    assert_eq!(put(&log, append(1000, 1)).first, 1000);
    assert_eq!(all(&log), numbered(0..1001));
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let (file, lengths) = one_segment(dir.path(), 3);
    let bytes = std::fs::read(&file).unwrap();
    let (whole, end) = (lengths[1] as usize, lengths[2] as usize);
    for cut in whole..end {
        std::fs::write(&file, &bytes[..cut]).unwrap();
        let log = open(dir.path());
        assert_eq!(log.notices().len(), usize::from(cut > whole), "cut at {cut}: {:?}", log.notices());
        assert_eq!(all(&log), numbered(0..4), "cut at {cut}");
        assert_eq!(put(&log, append(4, 1)).first, 4);
        assert_eq!(all(&log), numbered(0..5));
        drop(log);
        assert_eq!(open(dir.path()).notices(), [""; 0], "repaired for good");
    }
}

#[test]
fn a_tail_of_zeros_or_garbage_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let (file, lengths) = one_segment(dir.path(), 2);
    let bytes = std::fs::read(&file).unwrap();
    let end = lengths[1] as usize;
    for tail in [vec![0; 5000], vec![0xAA; 10], bytes[50..200].to_vec()] {
        let mut torn = bytes[..end].to_vec();
        torn.extend(tail);
        std::fs::write(&file, torn).unwrap();
        let log = open(dir.path());
        assert_eq!(log.notices().len(), 1);
        assert_eq!(all(&log), numbered(0..4));
    }
}

/// A power cut may keep the later of two pages of one unsynced write and lose the earlier.
#[test]
fn a_hole_inside_one_unsynced_write_is_a_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let log = SegmentLog::open(dir.path(), LogConfig { segment_bytes_max: 1 << 30, ..small() }).unwrap();
    put(&log, append(0, 2));
    let file = segments(dir.path())[0].clone();
    let synced = std::fs::metadata(&file).unwrap().len() as usize;
    // The first append keeps the writer busy, the others queue up and become one write.
    let mut group = 0;
    for round in 0..200 {
        let syncs = log.stats().syncs;
        let appends: Vec<_> = (0..8).map(|_| log.append(append(0, 1))).collect();
        for append in appends {
            block_on(append).unwrap();
        }
        if log.stats().syncs - syncs < 8 {
            group = round + 1;
            break;
        }
    }
    assert!(group > 0, "appends of one moment share a sync");
    drop(log);
    let mut bytes = std::fs::read(&file).unwrap();
    let find_first_of_group = || {
        // Batches are 64 bytes of header, the position that was synced before at byte 24.
        let mut at = synced;
        let mut groups = std::collections::BTreeMap::<u64, Vec<usize>>::new();
        while at < bytes.len() {
            let length = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
            let count = u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap());
            let synced = u64::from_le_bytes(bytes[at + 24..at + 32].try_into().unwrap());
            if count > 0 {
                groups.entry(synced).or_default().push(at);
            }
            at += length;
        }
        groups.into_values().rfind(|batches| batches.len() > 1).unwrap()
    };
    let batches = find_first_of_group();
    let last = *batches.last().unwrap();
    let length = u32::from_le_bytes(bytes[last + 4..last + 8].try_into().unwrap()) as usize;
    // What came after the group is cut away, and its first batch never reached the disk.
    bytes.truncate(last + length);
    let first = u64::from_le_bytes(bytes[batches[0] + 16..batches[0] + 24].try_into().unwrap());
    bytes[batches[0]..batches[0] + 64].fill(0);
    std::fs::write(&file, &bytes).unwrap();
    let log = open(dir.path());
    assert_eq!(log.notices().len(), 1, "cut off, not refused");
    assert_eq!(log.range(), (0, first));
}

#[test]
fn a_flipped_bit_anywhere_before_the_tail_is_refused_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let (file, lengths) = one_segment(dir.path(), 4);
    let bytes = std::fs::read(&file).unwrap();
    // Also in the last batch: the seal behind it says that it was whole.
    for at in 0..lengths[3] {
        let mut bad = bytes.clone();
        bad[at as usize] ^= 1 << (at % 8);
        std::fs::write(&file, &bad).unwrap();
        let begins = lengths.iter().rev().copied().chain([40, 0]).find(|b| *b <= at).unwrap();
        match SegmentLog::open(dir.path(), small()).map(|_| ()) {
            Err(LogError::Damaged { file: named, at: place, .. }) => {
                assert_eq!((named, place), (file.display().to_string(), begins), "bit in byte {at}");
            }
            other => panic!("byte {at}: {other:?}"),
        }
    }
    std::fs::write(&file, &bytes).unwrap();
    assert_eq!(all(&open(dir.path())), numbered(0..8), "and whole again it opens");
}

#[test]
fn damage_in_an_older_file_is_found_at_the_latest_when_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for n in 0..60 {
        put(&log, append(n * 10, 10));
    }
    drop(log);
    let files = segments(dir.path());
    let bytes = std::fs::read(&files[1]).unwrap();
    for at in (0..bytes.len()).step_by(97) {
        let mut bad = bytes.clone();
        bad[at] ^= 4;
        std::fs::write(&files[1], &bad).unwrap();
        let read = SegmentLog::open(dir.path(), small()).and_then(|log| {
            let (mut from, end) = log.range();
            while from < end {
                from = log.read(from, 1 << 20)?.last().unwrap().0 + 1;
            }
            Ok(())
        });
        match read {
            Err(LogError::Damaged { file, .. }) => assert_eq!(file, files[1].display().to_string()),
            other => panic!("byte {at}: {other:?}"),
        }
    }
}

#[test]
fn a_missing_or_renamed_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for n in 0..60 {
        put(&log, append(n * 10, 10));
    }
    drop(log);
    let files = segments(dir.path());
    let aside = dir.path().join("aside");
    std::fs::rename(&files[1], &aside).unwrap();
    assert!(matches!(SegmentLog::open(dir.path(), small()), Err(LogError::Damaged { .. })));
    std::fs::rename(&aside, dir.path().join("00000000000000000001.log")).unwrap();
    assert!(matches!(SegmentLog::open(dir.path(), small()), Err(LogError::Damaged { .. })));
}

#[test]
fn a_file_that_is_given_up_leaves_a_gap_that_readers_pass_over() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for n in 0..60 {
        put(&log, append(n * 10, 10));
    }
    drop(log);
    let files = segments(dir.path());
    let base = |i: usize| -> u64 { files[i].file_stem().unwrap().to_str().unwrap().parse().unwrap() };
    std::fs::rename(&files[1], files[1].with_extension("lost")).unwrap();
    for _ in 0..2 {
        let log = open(dir.path());
        assert_eq!(log.notices(), [format!("the records {} to {} are lost", base(1), base(2) - 1)]);
        let want: Vec<_> = numbered(0..base(1)).into_iter().chain(numbered(base(2)..600)).collect();
        assert_eq!(all(&log), want);
        assert_eq!(log.read(base(1) + 1, 0).unwrap(), numbered(base(2)..base(2) + 1));
    }
}

#[test]
fn offsets_that_were_processed_are_not_given_out_again() {
    let dir = tempfile::tempdir().unwrap();
    put(&open(dir.path()), append(0, 10));
    let ahead = LogConfig { next_offset_min: 25, ..small() };
    let log = SegmentLog::open(dir.path(), ahead.clone()).unwrap();
    assert_eq!(log.notices().len(), 1);
    assert_eq!(put(&log, append(25, 1)), Appended { first: 25, next: 26, duplicate: false });
    drop(log);
    let log = SegmentLog::open(dir.path(), ahead.clone()).unwrap();
    assert_eq!(log.notices(), [""; 0], "a gap that was meant is no damage");
    assert_eq!(all(&log), [numbered(0..10), numbered(25..26)].concat());
    log.release(25).unwrap();
    assert_eq!(log.range(), (25, 26));
    let empty = tempfile::tempdir().unwrap();
    let log = SegmentLog::open(empty.path(), ahead).unwrap();
    assert_eq!((log.range(), log.notices().len()), ((25, 25), 0));
}

#[test]
fn a_segment_whose_making_was_interrupted_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    put(&log, append(0, 2));
    drop(log);
    for bytes in [0, 10, 40] {
        let torn = dir.path().join("00000000000000000002.log");
        std::fs::write(&torn, vec![0; bytes]).unwrap();
        let log = open(dir.path());
        assert_eq!(log.notices().len(), 1);
        assert_eq!(log.range(), (0, 2));
        drop(log);
        std::fs::remove_file(torn).unwrap();
    }
}

/// A sender cannot make a torn tail look like damage by sending bytes that look like batches.
#[test]
fn a_body_full_of_batches_does_not_stop_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let (file, _) = one_segment(other.path(), 40);
    let body = std::fs::read(file).unwrap();
    let log = SegmentLog::open(dir.path(), LogConfig { segment_bytes_max: 1 << 30, ..small() }).unwrap();
    let forged = Record { body: body.into(), ..record(0, 0) };
    put(&log, Append { records: vec![forged], idempotency_key: None });
    drop(log);
    let file = segments(dir.path())[0].clone();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.truncate(bytes.len() - 64 - 1);
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(open(dir.path()).range(), (0, 0));
}

#[test]
fn keys_are_remembered_across_restarts_and_releases() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let first = put(&log, keyed(0, 10, "key-0"));
    for n in 1..100 {
        put(&log, keyed(n * 10, 10, &format!("key-{n}")));
    }
    drop(log);
    let again = Appended { duplicate: true, ..first };
    let log = open(dir.path());
    assert_eq!(put(&log, keyed(0, 10, "key-0")), again);
    log.release(1000).unwrap();
    assert!(log.range().0 > 500, "the segment of the first key is gone");
    assert_eq!(put(&log, keyed(0, 10, "key-0")), again);
    drop(log);
    let log = open(dir.path());
    assert_eq!(put(&log, keyed(0, 10, "key-0")), again);
    assert_eq!(put(&log, keyed(0, 10, "key-99")).first, 990);
    assert_eq!(log.range().1, 1000, "nothing was stored twice");
    drop(log);
    std::fs::write(dir.path().join("keys"), b"damaged").unwrap();
    assert_eq!(open(dir.path()).notices().len(), 1);
}

#[test]
fn the_key_window_is_bounded_in_time_and_number() {
    let dir = tempfile::tempdir().unwrap();
    let log = SegmentLog::open(dir.path(), LogConfig { dedup_keys_max: 2, ..small() }).unwrap();
    for key in ["a", "b", "c"] {
        put(&log, keyed(0, 1, key));
    }
    assert!(put(&log, keyed(0, 1, "c")).duplicate);
    assert!(!put(&log, keyed(0, 1, "a")).duplicate, "forgotten");
    assert_eq!(log.stats().dedup_evicted, 2);
    drop(log);
    let log = SegmentLog::open(dir.path(), LogConfig { dedup_secs: 0, ..small() }).unwrap();
    assert!(!put(&log, keyed(0, 1, "c")).duplicate, "its time is over");
}

#[test]
fn every_bound_has_its_own_answer() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogConfig { append_bytes_max: 5_000, backlog_bytes_max: 30_000, ..small() };
    let log = SegmentLog::open(dir.path(), config).unwrap();
    match block_on(log.append(append(0, 1000))) {
        Err(AppendError::TooLarge { bytes_max: 5_000, bytes }) => assert!(bytes > 100_000),
        other => panic!("{other:?}"),
    }
    let mut next = 0;
    let refused = loop {
        match block_on(log.append(append(next, 10))) {
            Ok(answer) => next = answer.next,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, AppendError::Busy { bound: "log.backlog_bytes_max", .. }), "{refused}");
    assert!((100..300).contains(&next), "{next}");
    assert!(log.stats().backlog_bytes <= 30_000);
    log.release(next).unwrap();
    assert_eq!(log.stats().backlog_bytes, 0);
    assert_eq!(put(&log, append(next, 10)).first, next, "released, it goes on");
}

#[test]
fn appends_waiting_for_the_disk_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogConfig { pending_bytes_max: 10_000, ..small() };
    let log = SegmentLog::open(dir.path(), config).unwrap();
    // Far faster than any disk syncs.
    let appends: Vec<_> = (0..200).map(|n| log.append(append(n, 10))).collect();
    let answers: Vec<_> = appends.into_iter().map(block_on).collect();
    let taken = answers.iter().filter(|a| a.is_ok()).count();
    let busy = |a: &&Result<_, _>| matches!(a, Err(AppendError::Busy { bound: "log.pending_bytes_max", .. }));
    assert_eq!(taken + answers.iter().filter(busy).count(), 200);
    assert!((1..200).contains(&taken), "{taken}");
    assert_eq!(log.range().1, taken as u64 * 10, "what was refused is not stored");
    assert_eq!(log.stats().pending_bytes, 0);
    put(&log, append(0, 1));
}

#[test]
fn a_reserve_of_free_space_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogConfig { free_bytes_min: u64::MAX, ..small() };
    let log = SegmentLog::open(dir.path(), config).unwrap();
    let refused = block_on(log.append(append(0, 1))).unwrap_err();
    assert!(matches!(refused, AppendError::DiskFull { needed_bytes: u64::MAX, .. }), "{refused}");
}

#[test]
fn a_second_open_is_refused_until_the_first_ends() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let refused = SegmentLog::open(dir.path(), small()).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("in use by another process"), "{refused}");
    drop(log);
    open(dir.path());
}

#[test]
fn bodies_are_slices_of_what_was_read() {
    let dir = tempfile::tempdir().unwrap();
    put(&open(dir.path()), append(0, 50));
    let records = open(dir.path()).read(0, 1 << 20).unwrap();
    let address = |i: usize| records[i].1.body.as_ptr() as usize;
    assert!((1..50).all(|i| address(i) > address(i - 1) && address(i) - address(i - 1) < 200));
}

#[test]
fn many_small_batches_of_an_old_file_are_found_fast() {
    let dir = tempfile::tempdir().unwrap();
    let log = SegmentLog::open(dir.path(), LogConfig { segment_bytes_max: 1 << 30, recent_bytes_max: 0, ..small() }).unwrap();
    let appends: Vec<_> = (0..5000).map(|n| log.append(append(n, 1))).collect();
    for append in appends {
        block_on(append).unwrap();
    }
    for n in (0..5000).rev().step_by(7) {
        assert_eq!(log.read(n, 0).unwrap(), [(n, record(n, 100))]);
    }
}

#[test]
fn ids_and_times_of_records_survive() {
    // Extremes of every field.
    let dir = tempfile::tempdir().unwrap();
    let extreme = Record {
        source: "".into(),
        format: None,
        received: Timestamp(i64::MIN),
        peer: Some("::".parse().unwrap()),
        body: Id::of(&[]).0.to_vec().into(),
    };
    let log = open(dir.path());
    put(&log, Append { records: vec![extreme.clone()], idempotency_key: Some(String::new()) });
    drop(log);
    assert_eq!(open(dir.path()).read(0, 0).unwrap(), [(0, extreme)]);
}
