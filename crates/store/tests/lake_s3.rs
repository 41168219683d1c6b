//! The lake's promises in an object store: the whole suite of `tests/lake` once more, and what only a network
//! and a second writer do. Needs Python: `scripts/s3.sh` installs and starts a real S3 server.

#[path = "lake/main.rs"]
mod suite;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use query::{Expr, Words, words};
use store::lake::{
    All, Frozen, FrozenRead, Lake, LakeConfig, LakeError, Location, Page, Query, RowTest, S3Config, ServerSideEncryption, Tuning,
};
use suite::place::proxy::{Mood, Proxy};
use suite::place::{self, server};
use suite::{events, quiet};

fn lake_config() -> LakeConfig {
    LakeConfig { retention_days: 30, flush_rows: 1_000_000, flush_secs: 3_600, ..LakeConfig::default() }
}

fn open(config: &S3Config) -> Result<Lake, LakeError> {
    open_tuned(config, quiet())
}

fn open_tuned(config: &S3Config, tuning: Tuning) -> Result<Lake, LakeError> {
    Lake::open_at(&Location::S3(Box::new(config.clone())), lake_config(), tuning)
}

fn refused(config: &S3Config) -> String {
    open(config).err().expect("must not open").to_string()
}

fn count(lake: &Lake) -> u64 {
    let page = lake.query(&Query { limit: 0, ..Query::default() }).unwrap();
    assert!(page.total.exact);
    page.total.value
}

/// A lake behind a proxy, with little patience.
fn behind_a_proxy(dir: &Path) -> (Proxy, S3Config) {
    let proxy = Proxy::start(server());
    let config = S3Config { deadline_secs: 3, ..place::s3_through(dir, &proxy.address) };
    (proxy, config)
}

fn put(lake: &Lake, range: std::ops::Range<u64>) {
    let next = range.end;
    lake.append(events(range), next).unwrap();
}

/// Rows whose text does not compress, so that files have a size.
fn bulky(range: std::ops::Range<u64>, bytes: usize) -> Arc<Vec<event::Event>> {
    let mut made: Vec<event::Event> = events(range).to_vec();
    for e in &mut made {
        let hash = |i: usize| event::Id::of(&[&e.position.offset.to_le_bytes(), &i.to_le_bytes()]).to_string();
        e.raw = (0..bytes / 32).map(hash).collect::<String>().into();
    }
    Arc::new(made)
}

#[test]
fn a_second_writer_is_refused_and_a_slow_first_one_stops() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = open(&place::s3(one.path())).unwrap();
    put(&first, 0..10);
    first.flush().unwrap();
    // The same bucket and prefix from another machine: another cache folder.
    let elsewhere = S3Config { cache_dir: two.path().to_owned(), ..place::s3(one.path()) };
    let told = open(&elsewhere).err().expect("one writes");
    assert!(matches!(&told, LakeError::InUse(_)), "{told}");
    assert!(told.to_string().contains("is in use") && told.to_string().contains("process"), "{told}");

    // The first one seems dead: its lease is old.
    place::write(one.path(), "_erne/writer.json", br#"{"writer":"x","host":"h","pid":1,"renewed":1}"#);
    let second = open(&elsewhere).unwrap();
    assert_eq!((second.covered(), count(&second)), (10, 10));
    put(&first, 10..20);
    let told = first.flush().expect_err("the table is the second one's").to_string();
    assert!(told.contains("written by another process") && told.contains("restart"), "{told}");
    assert!(first.append(events(20..30), 30).is_err(), "it takes nothing it could not write");
    assert_eq!(first.stats().notices.len(), 2, "{:?}", first.stats().notices);
    put(&second, 10..40);
    second.flush().unwrap();
    drop(first);
    drop(second);
    let again = open(&elsewhere).unwrap();
    assert_eq!((again.covered(), count(&again)), (40, 40), "what the first one uploaded is not part of the table");
}

#[test]
fn an_idle_writer_notices_that_it_was_taken_over() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = open(&place::s3(one.path())).unwrap();
    place::write(one.path(), "_erne/writer.json", br#"{"writer":"x","renewed":1}"#);
    let _second = open(&S3Config { cache_dir: two.path().to_owned(), ..place::s3(one.path()) }).unwrap();
    let told = first.maintain(event::Timestamp::from_secs(1_795_132_800)).unwrap_err().to_string();
    assert!(told.contains("taken over"), "{told}");
}

#[test]
fn a_clean_end_lets_another_machine_begin_at_once() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = open(&place::s3(one.path())).unwrap();
    put(&first, 0..10);
    first.flush().unwrap();
    drop(first);
    let second = open(&S3Config { cache_dir: two.path().to_owned(), ..place::s3(one.path()) }).unwrap();
    assert_eq!(count(&second), 10);
}

#[test]
fn a_store_that_goes_away_loses_nothing_and_memory_stays_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let (proxy, config) = behind_a_proxy(dir.path());
    let tuning = Tuning { tail_bytes_max: 2 << 20, background: true, ..quiet() };
    let lake = open_tuned(&config, tuning).unwrap();
    put(&lake, 0..100);
    lake.flush().unwrap();
    for mood in [Mood::Away, Mood::Silent, Mood::Says(503, "<Error><Code>SlowDown</Code></Error>")] {
        proxy.set(mood.clone());
        let mut next = lake.stats().rows + lake.stats().tail_rows;
        let started = Instant::now();
        // Until the tail is full and the caller is told, so that it waits and ingest answers 429 or 503.
        let told = loop {
            match lake.append(events(next..next + 500), next + 500) {
                Ok(()) => next += 500,
                Err(error) => break error.to_string(),
            }
            assert!(started.elapsed() < Duration::from_secs(60), "{mood:?}: the tail takes all");
        };
        assert!(told.contains("the tail is full"), "{mood:?}: {told}");
        assert!(lake.stats().tail_bytes <= 2 << 20);
        assert!(!lake.stats().notices.is_empty(), "{mood:?}: an operator sees it");
        let tail = lake.query(&Query { limit: 1, ..Query::default() });
        assert!(tail.is_ok(), "{mood:?}: the cache and the tail still answer");
        proxy.set(Mood::Kind);
        let deadline = Instant::now() + Duration::from_secs(60);
        while lake.append(events(next..next + 500), next + 500).is_err() {
            assert!(Instant::now() < deadline, "{mood:?}: it does not heal");
            std::thread::sleep(Duration::from_millis(100));
        }
        next += 500;
        lake.flush().unwrap();
        assert_eq!((lake.covered(), count(&lake)), (next, next), "{mood:?}");
    }
    let rows = count(&lake);
    drop(lake);
    let lake = open(&place::s3(dir.path())).unwrap();
    assert_eq!((lake.covered(), count(&lake)), (rows, rows));
}

#[test]
fn a_commit_whose_answer_is_lost_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let (proxy, config) = behind_a_proxy(dir.path());
    let lake = open(&config).unwrap();
    put(&lake, 0..50);
    proxy.set(Mood::SwallowsAnswersOfCommits);
    // Whether the store's own repetition finds out or our next try: the rows count once.
    let _ = lake.flush();
    proxy.set(Mood::Kind);
    lake.flush().unwrap();
    assert_eq!((lake.covered(), count(&lake)), (50, 50));

    put(&lake, 50..80);
    proxy.set(Mood::DiesAfterACommit);
    assert!(lake.flush().is_err(), "the store has it, and this process cannot know");
    put(&lake, 80..90);
    assert_eq!(count(&lake), 90, "the rows are still in the tail");
    assert!(lake.flush().is_err());
    proxy.set(Mood::Kind);
    lake.flush().unwrap();
    assert_eq!((lake.covered(), count(&lake), lake.stats().tail_rows), (90, 90, 0));
    let version = |path: &String| path.ends_with(".json") && path.starts_with("_delta_log");
    let commits = place::files(dir.path()).iter().filter(|p| version(p)).count();
    assert_eq!(commits, 5, "made, opened, and three flushes: none was repeated under a new version");

    // The same, and the process dies before it learns what became of its commit.
    put(&lake, 90..95);
    proxy.set(Mood::DiesAfterACommit);
    assert!(lake.flush().is_err());
    drop(lake);
    proxy.set(Mood::Kind);
    let lake = open(&config).unwrap();
    assert_eq!((lake.covered(), count(&lake)), (95, 95));
}

#[test]
fn a_store_that_ignores_conditions_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (proxy, config) = behind_a_proxy(dir.path());
    proxy.set(Mood::Strips("if-none-match"));
    let told = refused(&config);
    assert!(told.contains("If-None-Match"), "{told}");
    let told = Lake::try_out(&config).unwrap_err().to_string();
    assert!(told.contains("If-None-Match"), "{told}");
    proxy.set(Mood::Kind);
    Lake::try_out(&config).unwrap();
    assert!(!place::files(dir.path()).iter().any(|p| p.contains("_erne/try")), "nothing is left behind");
}

#[test]
fn errors_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let (proxy, config) = behind_a_proxy(dir.path());
    let with = |url: &str| S3Config { url: url.into(), ..config.clone() };
    for (url, says) in [
        ("s3://", "bucket"),
        ("https://example.org/x", "only s3://"),
        ("s3://key:secret@bucket/x", "credentials"),
        ("s3://no-such-bucket-here/x", "no such bucket"),
    ] {
        let told = refused(&with(url));
        assert!(told.contains(says), "{url}: {told}");
    }
    for (status, body, says) in [
        (403, "<Error><Code>AccessDenied</Code></Error>", "s3:PutObject"),
        (403, "<Error><Code>SignatureDoesNotMatch</Code></Error>", "AWS_SECRET_ACCESS_KEY"),
        (403, "<Error><Code>RequestTimeTooSkewed</Code></Error>", "clock"),
        (400, "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-central-1</Region></Error>", "eu-central-1"),
        (301, "<Error><Code>PermanentRedirect</Code></Error>", "lake.s3.region"),
    ] {
        proxy.set(Mood::Says(status, body));
        let told = refused(&config);
        assert!(told.contains(says), "{body}: {told}");
    }
    proxy.set(Mood::Away);
    let told = refused(&config);
    assert!(told.contains("cannot be reached") && told.contains(&proxy.address), "{told}");
}

#[test]
fn the_store_is_told_which_key_to_encrypt_with() {
    let dir = tempfile::tempdir().unwrap();
    let (proxy, config) = behind_a_proxy(dir.path());
    let encryption = Some(ServerSideEncryption::Kms { key_id: Some("arn:aws:kms:eu-west-1:1:key/k".into()) });
    let lake = open(&S3Config { encryption, deadline_secs: 20, ..config }).unwrap();
    put(&lake, 0..10);
    lake.flush().unwrap();
    lake.index_texts().unwrap();
    drop(lake);
    let mut written = 0;
    for head in proxy.heads().iter().filter(|h| h.starts_with("PUT")).map(|h| h.to_ascii_lowercase()) {
        assert!(head.contains("x-amz-server-side-encryption: aws:kms\r\n"), "{head}");
        assert!(head.contains("x-amz-server-side-encryption-aws-kms-key-id: arn:aws:kms:eu-west-1:1:key/k\r\n"), "{head}");
        written += 1;
    }
    assert!(written >= 5, "commits, lease, data file and text index: {written}");
}

#[test]
fn large_files_go_up_in_parts_and_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let (proxy, config) = behind_a_proxy(dir.path());
    let config = S3Config { encryption: Some(ServerSideEncryption::Aes256), deadline_secs: 60, ..config };
    let lake = open(&config).unwrap();
    let sent = bulky(0..10_000, 4_096);
    lake.append(sent.clone(), 10_000).unwrap();
    lake.flush().unwrap();
    assert!(lake.stats().bytes > 18 << 20, "three parts: {} bytes", lake.stats().bytes);
    drop(lake);
    let heads = proxy.heads();
    assert!(heads.iter().filter(|h| h.starts_with("PUT") && h.contains("partNumber=")).count() >= 3);
    let unsealed: Vec<_> = heads
        .iter()
        .filter(|h| (h.starts_with("PUT") && !h.contains("partNumber=")) || h.contains("?uploads"))
        .filter(|h| !h.to_ascii_lowercase().contains("x-amz-server-side-encryption: aes256"))
        .collect();
    assert!(unsealed.is_empty(), "{unsealed:?}");
    place::forget(dir.path());
    let lake = open(&config).unwrap();
    let mut found = 0;
    let want: std::collections::HashMap<_, _> = sent.iter().map(|e| (e.uid.to_string(), e.to_json())).collect();
    lake.export(&Query::default(), &mut |event| {
        assert_eq!(Some(&event), want.get(event["metadata"]["uid"].as_str().unwrap()));
        found += 1;
        true
    })
    .unwrap();
    assert_eq!(found, 10_000);
}

#[test]
fn a_search_reads_only_the_columns_it_needs_and_the_cache_answers_the_second_time() {
    let dir = tempfile::tempdir().unwrap();
    let config = place::s3(dir.path());
    let lake = open(&config).unwrap();
    lake.append(bulky(0..8_000, 2_048), 8_000).unwrap();
    lake.flush().unwrap();
    let bytes = lake.stats().bytes;
    assert_eq!(lake.query(&Query { limit: 100, ..Query::default() }).unwrap().events.len(), 100);
    assert_eq!(lake.stats().downloaded_bytes, 0, "what was written is still here");
    drop(lake);
    place::forget(dir.path());

    let lake = open(&config).unwrap();
    let buckets = lake.histogram(&Query::default(), 60).unwrap();
    let read = lake.stats().downloaded_bytes;
    assert!(read > 0 && read < bytes / 5, "{read} of {bytes} bytes for two narrow columns");
    assert_eq!(lake.histogram(&Query::default(), 60).unwrap(), buckets);
    assert_eq!(lake.stats().downloaded_bytes, read, "the second time is from the cache");
    drop(lake);
    let lake = open(&config).unwrap();
    assert_eq!(lake.histogram(&Query::default(), 60).unwrap(), buckets);
    assert_eq!(lake.stats().downloaded_bytes, 0, "and after a restart");
}

fn on_disk(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let meta = entry.metadata().unwrap();
        bytes += if meta.is_dir() { on_disk(&entry.path()) } else { meta.blocks() * 512 };
    }
    bytes
}

#[test]
fn the_cache_stays_within_its_bound_and_damage_in_it_is_healed() {
    const BOUND: u64 = 4 << 20;
    let dir = tempfile::tempdir().unwrap();
    let config = S3Config { cache_bytes_max: BOUND, ..place::s3(dir.path()) };
    let lake = open(&config).unwrap();
    for i in 0..6u64 {
        lake.append(bulky(i * 1_000..i * 1_000 + 1_000, 4_096), i * 1_000 + 1_000).unwrap();
        lake.flush().unwrap();
    }
    assert!(lake.stats().bytes > 2 * BOUND);
    let all = |lake: &Lake| {
        let mut found = Vec::new();
        lake.export(&Query::default(), &mut |event| {
            found.push(event);
            true
        })
        .unwrap();
        found
    };
    let want = all(&lake);
    assert_eq!(want.len(), 6_000);
    assert!(on_disk(&config.cache_dir) <= BOUND + (1 << 20), "{} bytes", on_disk(&config.cache_dir));
    assert!(lake.stats().cache_bytes <= BOUND);
    drop(lake);
    // A bit of every cached block flips.
    for day in std::fs::read_dir(&config.cache_dir).unwrap().flatten().filter(|e| e.path().is_dir()) {
        for file in std::fs::read_dir(day.path()).unwrap().flatten() {
            let mut bytes = std::fs::read(file.path()).unwrap();
            bytes.iter_mut().step_by(16 << 10).for_each(|b| *b ^= 4);
            std::fs::write(file.path(), bytes).unwrap();
        }
    }
    let lake = open(&config).unwrap();
    assert_eq!(all(&lake), want);
    assert!(lake.stats().downloaded_bytes > 0);
}

#[test]
fn a_query_that_cannot_reach_the_store_says_so_instead_of_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (proxy, config) = behind_a_proxy(dir.path());
    let lake = open(&config).unwrap();
    lake.append(bulky(0..500, 2_048), 500).unwrap();
    lake.flush().unwrap();
    drop(lake);
    place::forget(dir.path());
    let lake = open(&config).unwrap();
    proxy.set(Mood::Away);
    let told = lake.query(&Query { limit: 10, ..Query::default() }).err().expect("nothing is here");
    assert!(matches!(&told, LakeError::Failed(text) if text.contains("cannot be reached")), "{told}");
    proxy.set(Mood::Kind);
    assert_eq!(lake.query(&Query { limit: 10, ..Query::default() }).unwrap().events.len(), 10);
}

/// Rows of many different words: the text index has a size, too.
fn wordy(range: std::ops::Range<u64>) -> Arc<Vec<event::Event>> {
    let mut made: Vec<event::Event> = events(range).to_vec();
    for e in &mut made {
        let word = |i: usize| event::Id::of(&[&e.position.offset.to_le_bytes(), &i.to_le_bytes()]).to_string();
        e.raw = (0..40).map(word).collect::<Vec<_>>().join(" ").into();
    }
    Arc::new(made)
}

fn ask(lake: &Lake, text: &str) -> Page {
    let expr = Expr::Text(Words::Phrase(words(text).collect()));
    lake.query(&Query { expr, limit: 10, ..Query::default() }).unwrap()
}

#[test]
fn a_text_index_in_the_store_is_read_in_parts_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let config = place::s3(dir.path());
    let lake = open(&config).unwrap();
    let sent = wordy(0..5_000);
    let word = sent[1_234].raw_text().split(' ').nth(7).unwrap().to_owned();
    lake.append(sent, 5_000).unwrap();
    lake.flush().unwrap();
    assert_eq!(lake.index_texts().unwrap(), 1);
    let all = lake.stats().text_bytes + lake.stats().bytes;
    assert!(lake.stats().text_bytes > 2 << 20, "{}", lake.stats().text_bytes);
    assert_eq!(ask(&lake, &word).total.value, 1);
    assert_eq!(lake.stats().downloaded_bytes, 0, "what was written is still here");
    drop(lake);
    place::forget(dir.path());

    let lake = open(&config).unwrap();
    assert_eq!(lake.stats().text_missing, 0);
    let page = ask(&lake, &word);
    assert_eq!((page.events.len(), page.total.value), (1, 1));
    assert_eq!(page.events[0]["metadata"]["uid"], "uid-1234");
    let read = lake.stats().downloaded_bytes;
    assert!(read > 0 && read < all / 2, "{read} of {all} bytes for one word");
    assert_eq!(ask(&lake, "nowhere").total.value, 0);
    let read = lake.stats().downloaded_bytes;
    assert_eq!(ask(&lake, &word).events, page.events);
    assert_eq!(lake.stats().downloaded_bytes, read, "the second time is from the cache");
    drop(lake);
    let lake = open(&config).unwrap();
    assert_eq!(ask(&lake, &word).events, page.events);
    assert_eq!(lake.stats().downloaded_bytes, 0, "and after a restart");
}

#[test]
fn a_text_index_that_cannot_be_reached_is_neither_damaged_nor_waited_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let (proxy, config) = behind_a_proxy(dir.path());
    let lake = open(&S3Config { deadline_secs: 30, ..config.clone() }).unwrap();
    let sent = wordy(0..200);
    let word = sent[77].raw_text().split(' ').next().unwrap().to_owned();
    lake.append(sent, 200).unwrap();
    lake.flush().unwrap();
    lake.index_texts().unwrap();
    drop(lake);
    // The cache has the data and not the index.
    std::fs::remove_dir_all(config.cache_dir.join("_index")).unwrap();
    let lake = open(&config).unwrap();
    proxy.set(Mood::Away);
    assert_eq!(ask(&lake, &word).total.value, 1, "the column answers");
    let started = Instant::now();
    assert_eq!(ask(&lake, &word).total.value, 1);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(lake.stats().text_missing, 0, "it is there");
    proxy.set(Mood::Kind);
    assert!(place::files(dir.path()).iter().any(|f| f.starts_with("_index/")));
    drop(lake);
    assert_eq!(ask(&open(&config).unwrap(), "nowhere").scanned.rows, 0, "and is used again");
}

#[test]
fn a_failed_upload_of_a_text_index_is_told_and_made_good() {
    let dir = tempfile::tempdir().unwrap();
    let (proxy, config) = behind_a_proxy(dir.path());
    let lake = open(&config).unwrap();
    put(&lake, 0..100);
    lake.flush().unwrap();
    proxy.set(Mood::Away);
    assert!(lake.index_texts().is_err());
    let notices = lake.stats().notices;
    assert!(notices.iter().any(|n| n.contains("text index") && n.contains("cannot be reached")), "{notices:?}");
    proxy.set(Mood::Kind);
    drop(lake);
    let lake = open(&config).unwrap();
    assert_eq!((lake.stats().text_missing, lake.index_texts().unwrap(), lake.stats().text_missing), (1, 1, 0));
}

/// What SQL and exports read: all columns of all rows, in few requests though the cache is empty.
#[test]
fn a_frozen_lake_is_read_from_the_store_with_few_requests() {
    let dir = tempfile::tempdir().unwrap();
    let (proxy, config) = behind_a_proxy(dir.path());
    let config = S3Config { deadline_secs: 60, ..config };
    let lake = open(&config).unwrap();
    lake.append(bulky(0..5_000, 4_096), 5_000).unwrap();
    lake.flush().unwrap();
    let blocks = lake.stats().bytes / (64 << 10);
    drop(lake);
    let time = Frozen::schema().index_of("time").unwrap();
    let keep_all = RowTest {
        columns: vec![time],
        keep: Arc::new(|batch| Ok(arrow_array::BooleanArray::from(vec![true; batch.num_rows()]))),
    };
    for tests in [Vec::new(), vec![keep_all]] {
        place::forget(dir.path());
        let lake = open(&config).unwrap();
        put(&lake, 5_000..5_100);
        let before = proxy.heads().len();
        let columns: Vec<usize> = (0..Frozen::schema().fields().len()).collect();
        let reading = FrozenRead { columns, share: (0, 1), newest_first: false, batch_rows: 512, prune: Box::new(All), tests };
        let rows: usize = lake.frozen().read(reading).map(|batch| batch.unwrap().num_rows()).sum();
        assert_eq!(rows, 5_100);
        let requests = proxy.heads().len() - before;
        assert!(requests > 0 && (requests as u64) < blocks / 4, "{requests} requests for {blocks} blocks");
    }
}
