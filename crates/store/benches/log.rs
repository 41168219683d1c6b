//! The write-ahead log's choice, measured: own segments, fjall and redb as peers, each storing batches of
//! 1,000 records of 500 bytes with a sync per commit, one commit at a time and with eight senders.
//! `cargo bench -p store --bench log`; docs/adr/0001-log-segments.md holds a result.

use event::{Record, Timestamp};
use futures::executor::block_on;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use store::log::{Append, Log, LogConfig, SegmentLog};

const RECORD_BYTES: usize = 500;
const BATCH_RECORDS: usize = 1_000;
const RUN: Duration = Duration::from_secs(3);

/// Commits one batch, durably. Called from several threads.
type Commit = Box<dyn Fn(u64, Vec<Record>) + Send + Sync>;

fn segments(dir: &Path) -> Commit {
    let config = LogConfig { backlog_bytes_max: u64::MAX, free_bytes_min: 0, ..LogConfig::default() };
    let log = SegmentLog::open(dir, config).expect("opens");
    Box::new(move |_, records| {
        block_on(log.append(Append { records, idempotency_key: None })).expect("appends");
    })
}

fn fjall(dir: &Path) -> Commit {
    let database = fjall::Database::builder(dir).open().expect("opens");
    let records = database.keyspace("records", fjall::KeyspaceCreateOptions::default).expect("opens");
    Box::new(move |number, batch| {
        let mut write = database.batch().durability(Some(fjall::PersistMode::SyncData));
        for (i, record) in (0..).zip(batch) {
            let offset: u64 = number * BATCH_RECORDS as u64 + i;
            write.insert(&records, offset.to_be_bytes(), &record.body[..]);
        }
        write.commit().expect("commits");
    })
}

fn redb(dir: &Path) -> Commit {
    const RECORDS: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("records");
    std::fs::create_dir_all(dir).expect("creates");
    let database = redb::Database::create(dir.join("log.redb")).expect("opens");
    Box::new(move |number, batch| {
        let write = database.begin_write().expect("begins");
        let mut table = write.open_table(RECORDS).expect("opens");
        for (i, record) in (0..).zip(batch) {
            table.insert(number * BATCH_RECORDS as u64 + i, &record.body[..]).expect("inserts");
        }
        drop(table);
        write.commit().expect("commits");
    })
}

/// Bodies that do not compress to nothing, as real log lines do not.
fn batch(seed: u64) -> Vec<Record> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        b"abcdefghijklmnopqrstuvwxyz0123456789{}\":,"[(state % 41) as usize]
    };
    let source: std::sync::Arc<str> = "bench".into();
    let mut record = || Record {
        source: source.clone(),
        format: None,
        received: Timestamp(0),
        peer: None,
        body: (0..RECORD_BYTES).map(|_| letter()).collect::<Vec<u8>>().into(),
    };
    (0..BATCH_RECORDS).map(|_| record()).collect()
}

fn run(name: &str, commit: &Commit, senders: usize) {
    let samples: Vec<_> = (0..8).map(batch).collect();
    let number = AtomicU64::new(0);
    let started = Instant::now();
    let sender = || {
        let mut took = Vec::new();
        while started.elapsed() < RUN {
            let number = number.fetch_add(1, Ordering::Relaxed);
            let records = samples[number as usize % samples.len()].clone();
            let begun = Instant::now();
            commit(number, records);
            took.push(begun.elapsed());
        }
        took
    };
    let mut took: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..senders).map(|_| scope.spawn(sender)).collect();
        threads.into_iter().flat_map(|t| t.join().expect("no panic")).collect()
    });
    let rows = took.len() * BATCH_RECORDS;
    let per_sec = rows as f64 / started.elapsed().as_secs_f64();
    took.sort();
    let part = |of: f64| took[((took.len() - 1) as f64 * of) as usize].as_secs_f64() * 1e3;
    println!("{name:<10} {senders} senders  {per_sec:>9.0} rows/s  p50 {:>6.1} ms  p99 {:>6.1} ms", part(0.5), part(0.99));
}

fn read_back(dir: &Path) {
    let started = Instant::now();
    let log = SegmentLog::open(dir, LogConfig { free_bytes_min: 0, ..LogConfig::default() }).expect("opens");
    println!("segments   open {:.0} MB  {:.0} ms", log.bytes() as f64 / 1e6, started.elapsed().as_secs_f64() * 1e3);
    let started = Instant::now();
    let (mut from, end) = log.range();
    let rows = end - from;
    while from < end {
        from = log.read(from, 4 << 20).expect("reads").last().expect("not empty").0 + 1;
    }
    println!("segments   read {:.0} rows/s", rows as f64 / started.elapsed().as_secs_f64());
}

fn main() {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load average before: {}", load.trim());
    // Beside the target folder, not in /tmp: that may be memory.
    let dir = tempfile::tempdir_in(".").expect("a folder on this disk");
    type Peer = (&'static str, fn(&Path) -> Commit);
    let peers: [Peer; 3] = [("segments", segments), ("fjall", fjall), ("redb", redb)];
    for (name, open) in peers {
        for senders in [1, 8] {
            let dir = dir.path().join(format!("{name}{senders}"));
            let commit = open(&dir);
            run(name, &commit, senders);
            drop(commit);
            if name == "segments" && senders == 8 {
                read_back(&dir);
            }
            std::fs::remove_dir_all(&dir).expect("removes");
        }
    }
}
