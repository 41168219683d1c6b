//! Text indexes come after their files, go with them, and change no answer, whatever becomes of them.

use super::{DAY, all, event, events, exact, open, open_with, place, quiet, run_and_kill, sorted_json};
use event::{Event, Timestamp};
use query::{Expr, Words, words};
use std::path::Path;
use std::sync::Arc;
use store::lake::{Lake, Page, Query, Step, Tuning};

fn ask(lake: &Lake, text: &str) -> Page {
    let expr = Expr::Text(Words::Phrase(words(text).collect()));
    lake.query(&Query { expr, ..all(1_000) }).unwrap()
}

/// The indexes that are stored, by their paths in the table.
fn index_files(dir: &Path) -> Vec<String> {
    let mut files = place::files(dir);
    files.retain(|path| path.starts_with("_index/"));
    files.sort();
    files
}

fn want(range: std::ops::Range<u64>, part: &str) -> Vec<serde_json::Value> {
    let events: Vec<Event> = range.map(event).filter(|e| e.raw_text().contains(part)).collect();
    sorted_json(&events)
}

/// A table of 100 events in one file.
fn flushed(dir: &Path) -> Lake {
    let lake = open(dir);
    lake.append(events(0..100), 100).unwrap();
    lake.flush().unwrap();
    lake
}

#[test]
fn an_index_answers_without_reading_rows() {
    let dir = tempfile::tempdir().unwrap();
    let lake = flushed(dir.path());
    assert_eq!(lake.stats().text_missing, 1);
    let before = ask(&lake, "nowhere");
    assert_eq!((before.total, before.scanned.rows), (exact(0), 100));
    assert_eq!(lake.index_texts().unwrap(), 1);
    let stats = lake.stats();
    assert_eq!(stats.text_missing, 0);
    assert_eq!(stats.text_bytes, place::read(dir.path(), &index_files(dir.path())[0]).len() as u64);
    let after = ask(&lake, "nowhere");
    assert_eq!((after.total, after.scanned.rows), (exact(0), 0), "the open file takes the new index up");
    assert_eq!(ask(&lake, "user3").events, want(0..100, "user3"));
    assert_eq!(ask(&lake, "shop 7").events, want(0..100, "/Shop/7\""), "a phrase is verified");
    assert_eq!(lake.index_texts().unwrap(), 0);
    drop(lake);
    let reader = Lake::open_read_only_at(&place::location(dir.path())).unwrap();
    assert_eq!(ask(&reader, "nowhere").scanned.rows, 0);
    drop(reader);
    assert_eq!(ask(&open(dir.path()), "nowhere").scanned.rows, 0, "found again after a restart");
}

#[test]
fn a_kill_before_or_during_the_writing_is_made_good_after_the_start() {
    let dir = tempfile::tempdir().unwrap();
    drop(flushed(dir.path()));
    run_and_kill(dir.path(), "indexed");
    // An object has no name before it is whole; half of it lies in the cache folder then.
    let half = if place::ON_S3 { place::cached(dir.path()) } else { index_files(dir.path()) };
    assert!(half.iter().any(|f| f.contains(".tmp-")), "the child left half an index: {half:?}");
    let lake = open(dir.path());
    assert_eq!(index_files(dir.path()), Vec::<String>::new());
    assert!(!place::cached(dir.path()).iter().any(|f| f.contains(".tmp-")));
    assert_eq!(lake.stats().text_missing, 2);
    assert_eq!(ask(&lake, "user3").events, want(0..140, "user3"));
    assert_eq!(lake.index_texts().unwrap(), 2);
    assert_eq!(ask(&lake, "user3").events, want(0..140, "user3"));
    assert_eq!(ask(&lake, "nowhere").scanned.rows, 0);
}

#[test]
fn a_damaged_index_is_made_again_and_changes_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let lake = flushed(dir.path());
    lake.index_texts().unwrap();
    drop(lake);
    let file = index_files(dir.path()).remove(0);
    let whole = place::read(dir.path(), &file);
    let middle: Vec<u8> = whole.iter().enumerate().map(|(i, b)| if i > 8 && i < 300 { b ^ 0x55 } else { *b }).collect();
    let other = { let mut bytes = whole.clone(); bytes[7] += 1; bytes };
    for damaged in [middle, other, whole[..whole.len() / 2].to_vec(), Vec::new(), vec![0; whole.len()]] {
        place::write(dir.path(), &file, &damaged);
        let lake = open(dir.path());
        assert_eq!(ask(&lake, "user3").events, want(0..100, "user3"), "read from the column");
        assert_eq!(lake.stats().text_missing, 1);
        assert_eq!(lake.index_texts().unwrap(), 1);
        assert_eq!(place::read(dir.path(), &file), whole);
        assert_eq!(ask(&lake, "user3").events, want(0..100, "user3"));
        assert_eq!(ask(&lake, "nowhere").scanned.rows, 0);
    }
}

#[test]
fn merged_files_have_merged_indexes_and_deleted_files_none() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    for i in 0..12 {
        lake.append(events(i * 10..i * 10 + 10), i * 10 + 10).unwrap();
        lake.flush().unwrap();
    }
    assert_eq!(lake.index_texts().unwrap(), 12);
    assert!(lake.maintain(Timestamp::from_secs(DAY + 7_200)).unwrap().merged > 8);
    assert_eq!(lake.stats().text_missing, 0, "merged without reading the text again");
    for text in ["user3", "shop 7", "n 11"] {
        let part = match text { "user3" => "user3", "shop 7" => "/Shop/7\"", _ => "\"n\":11," };
        assert_eq!(ask(&lake, text).events, want(0..120, part), "{text}");
    }
    assert_eq!(ask(&lake, "nowhere").scanned.rows, 0);
    lake.maintain(Timestamp::from_secs(DAY + 10 * 86_400)).unwrap();
    assert_eq!(index_files(dir.path()).len() as u64, lake.stats().files, "an index goes with its file");
    let later = Timestamp::from_secs(DAY + 60 * 86_400);
    lake.maintain(later).unwrap();
    lake.maintain(later.plus_secs(86_400)).unwrap();
    assert_eq!(lake.stats().files, 0);
    assert_eq!(index_files(dir.path()), Vec::<String>::new());
}

#[test]
fn a_merge_of_files_without_index_is_indexed_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    for i in 0..12 {
        lake.append(events(i * 10..i * 10 + 10), i * 10 + 10).unwrap();
        lake.flush().unwrap();
        if i == 5 {
            lake.index_texts().unwrap();
        }
    }
    lake.maintain(Timestamp::from_secs(DAY + 7_200)).unwrap();
    assert!(lake.stats().text_missing > 0);
    assert_eq!(ask(&lake, "user3").events, want(0..120, "user3"));
    assert!(lake.index_texts().unwrap() > 0);
    assert_eq!(ask(&lake, "user3").events, want(0..120, "user3"));
    assert_eq!(ask(&lake, "nowhere").scanned.rows, 0);
}

#[test]
fn an_index_that_cannot_be_written_stops_nothing_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let fail = |step: Step| if step == Step::Indexed { Err(std::io::Error::other("no space left")) } else { Ok(()) };
    let lake = open_with(dir.path(), Tuning { fail_point: Some(Arc::new(fail)), ..quiet() }).unwrap();
    lake.append(events(0..100), 100).unwrap();
    lake.flush().unwrap();
    assert!(lake.index_texts().is_err());
    let notices = lake.stats().notices;
    assert!(notices.len() == 1 && notices[0].contains("no space left"), "{notices:?}");
    assert_eq!(index_files(dir.path()), Vec::<String>::new());
    assert_eq!(ask(&lake, "user3").events, want(0..100, "user3"));
    assert_eq!(lake.index_texts().unwrap(), 0, "it is not tried again at once");
}
