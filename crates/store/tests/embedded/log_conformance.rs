//! What every implementation of `Log` does. The suite sees `&dyn Log` only: an implementation is tested by
//! handing `conforms` a fresh, empty log.

use crate::samples::{append, keyed, record};
use futures::executor::block_on;
use futures::future::join_all;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::log::{Append, Appended, Log, LogConfig, LogError, SegmentLog};

const PATIENCE: Duration = Duration::from_secs(20);

/// Every case gets an empty log.
pub fn conforms<L: Log>(fresh: impl Fn() -> L) {
    offsets_grow_by_one(&fresh());
    what_is_read_is_what_was_appended(&fresh());
    reads_are_bounded_but_never_empty(&fresh());
    an_empty_append_takes_no_offset(&fresh());
    a_key_is_answered_with_its_first_offsets(&fresh());
    keys_of_one_moment_are_stored_once(&fresh());
    parallel_appends_keep_their_records_together(&fresh());
    readers_wait_for_the_next_record(Arc::new(fresh()));
    a_given_up_append_is_stored(&fresh());
    released_records_are_gone_and_the_rest_stays(&fresh());
}

fn put(log: &dyn Log, append: Append) -> Appended {
    block_on(log.append(append)).expect("the append is taken")
}

fn fresh_at(first: u64, next: u64) -> Appended {
    Appended { first, next, duplicate: false }
}

fn read_all(log: &dyn Log) -> Vec<(u64, event::Record)> {
    let (mut from, end) = log.range();
    let mut all = Vec::new();
    while from < end {
        let some = log.read(from, 1000).unwrap();
        assert!(!some.is_empty(), "a record at {from} is there");
        from = some.last().unwrap().0 + 1;
        all.extend(some);
    }
    all
}

fn offsets_grow_by_one(log: &dyn Log) {
    assert_eq!(log.range(), (0, 0));
    assert_eq!(put(log, append(0, 3)), fresh_at(0, 3));
    assert_eq!(put(log, append(3, 1)), fresh_at(3, 4));
    assert_eq!(log.range(), (0, 4));
    assert!(log.bytes() > 400);
}

fn what_is_read_is_what_was_appended(log: &dyn Log) {
    put(log, append(0, 50));
    put(log, append(50, 7));
    let want: Vec<_> = (0..57).map(|n| (n, record(n, 100))).collect();
    assert_eq!(read_all(log), want);
    assert_eq!(log.read(20, 1 << 20).unwrap(), want[20..], "from the middle of a batch");
    assert_eq!(log.read(57, 1 << 20).unwrap(), [], "nothing at the end");
    assert_eq!(log.read(1000, 1 << 20).unwrap(), [], "nor past it");
}

fn reads_are_bounded_but_never_empty(log: &dyn Log) {
    put(log, append(0, 100));
    assert_eq!(log.read(5, 0).unwrap().len(), 1);
    let some = log.read(5, 1000).unwrap();
    assert!((8..=12).contains(&some.len()), "about 1,000 bytes of 100 each, not {}", some.len());
}

fn an_empty_append_takes_no_offset(log: &dyn Log) {
    put(log, append(0, 2));
    assert_eq!(put(log, append(0, 0)), fresh_at(2, 2));
    assert_eq!(log.range(), (0, 2));
}

fn a_key_is_answered_with_its_first_offsets(log: &dyn Log) {
    put(log, append(0, 2));
    assert_eq!(put(log, keyed(2, 3, "a")), fresh_at(2, 5));
    assert_eq!(put(log, keyed(5, 1, "b")), fresh_at(5, 6));
    assert_eq!(put(log, keyed(2, 3, "a")), Appended { first: 2, next: 5, duplicate: true });
    assert_eq!(log.range(), (0, 6));
}

fn keys_of_one_moment_are_stored_once(log: &dyn Log) {
    let answers = block_on(join_all((0..20).map(|_| log.append(keyed(0, 2, "same")))));
    let answers: Vec<_> = answers.into_iter().map(|a| a.unwrap()).collect();
    assert_eq!(answers.iter().filter(|a| !a.duplicate).count(), 1);
    assert!(answers.iter().all(|a| (a.first, a.next) == (0, 2)));
    assert_eq!(log.range(), (0, 2));
}

fn parallel_appends_keep_their_records_together(log: &dyn Log) {
    let answers = std::thread::scope(|scope| {
        let put_some = |t: u64| {
            move || {
                let one = |i: u64| (t * 1000 + i * 3, put(log, append(t * 1000 + i * 3, 3)));
                (0..40).map(one).collect::<Vec<_>>()
            }
        };
        let threads: Vec<_> = (0..4).map(|t| scope.spawn(put_some(t))).collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).collect::<Vec<_>>()
    });
    let stored = read_all(log);
    assert_eq!(stored.len(), 480);
    for (number, answer) in answers {
        for i in 0..3 {
            let at = (answer.first + i) as usize;
            assert_eq!(stored[at], (at as u64, record(number + i, 100)));
        }
    }
}

fn readers_wait_for_the_next_record<L: Log>(log: Arc<L>) {
    assert!(!log.wait(0, Duration::from_millis(20)), "nothing came");
    let waiting = log.clone();
    let reader = std::thread::spawn(move || waiting.wait(2, PATIENCE));
    put(&*log, append(0, 2));
    assert!(log.wait(1, Duration::ZERO), "what is there needs no waiting");
    put(&*log, append(2, 1));
    let started = Instant::now();
    assert!(reader.join().unwrap());
    assert!(started.elapsed() < PATIENCE / 2, "it was woken, not timed out");
}

fn a_given_up_append_is_stored(log: &dyn Log) {
    drop(log.append(append(0, 1)));
    put(log, append(1, 1));
    assert_eq!(read_all(log), [(0, record(0, 100)), (1, record(1, 100))]);
}

fn released_records_are_gone_and_the_rest_stays(log: &dyn Log) {
    for n in 0..200 {
        put(log, append(n * 10, 10));
    }
    let before = log.bytes();
    log.release(1500).unwrap();
    let (start, end) = log.range();
    assert!(start <= 1500, "nothing that was not released");
    assert_eq!(end, 2000);
    assert!(start == 0 || log.bytes() < before);
    assert_eq!(log.read(1500, 0).unwrap(), [(1500, record(1500, 100))]);
    assert_eq!(log.read(start, 0).unwrap(), [(start, record(start, 100))]);
    if let Some(gone) = start.checked_sub(1) {
        match log.read(gone, 0) {
            Err(LogError::Gone { wanted, start: begins }) => assert_eq!((wanted, begins), (gone, start)),
            other => panic!("a released record is gone: {other:?}"),
        }
    }
}

/// Small segments, and no reserve of free space: tests run on small disks too.
pub fn small() -> LogConfig {
    LogConfig { segment_bytes_max: 20_000, free_bytes_min: 0, ..LogConfig::default() }
}

#[test]
fn segments_conform() {
    let dir = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    let fresh = |config: LogConfig| {
        count.set(count.get() + 1);
        SegmentLog::open(&dir.path().join(count.get().to_string()), config).unwrap()
    };
    conforms(|| fresh(LogConfig { free_bytes_min: 0, ..LogConfig::default() }));
    conforms(|| fresh(small()));
    // Nothing in memory: every read goes to the files.
    conforms(|| fresh(LogConfig { recent_bytes_max: 0, ..small() }));
}
