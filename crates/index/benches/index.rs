//! Size, build and query speed on CloudTrail-like entries, against tantivy without and with positions.
//!
//! `cargo bench -p index --bench index`; the figures are in docs/adr/0005-text-index.md.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use event::Timestamp;
use index::{Builder, Index, merge};
use query::{Matcher, Words};
use sim::{Kind, SimConfig, Simulator};
use std::hint::black_box;
use std::time::Duration;
use tantivy::collector::Count;
use tantivy::query::TermQuery;
use tantivy::schema::{IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::{TantivyDocument, Term};

/// One file as the lake's tail writes it when it is full.
const ROWS: usize = 60_000;

/// CPU time of this thread, which does all the work: the machine is shared. Too coarse for what takes microseconds.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    Duration::from_nanos(text.split(' ').next().and_then(|n| n.parse().ok()).expect("nanoseconds"))
}

fn timed<T>(rounds: u64, work: impl Fn() -> T) -> Duration {
    let start = cpu_time();
    for _ in 0..rounds {
        black_box(work());
    }
    cpu_time() - start
}

fn lines() -> Vec<String> {
    let config = SimConfig { kind: Kind::Cloud, seed: 4, rate: 1_000.0, attacks: 0.05, start: Timestamp::from_secs(1_795_132_800) };
    Simulator::new(config).take(ROWS).map(|e| e.line).collect()
}

fn ours(lines: &[String]) -> Vec<u8> {
    let mut builder = Builder::new(&std::env::temp_dir());
    for line in lines {
        builder.add(&[None, None, Some(line)]).expect("a row");
    }
    let mut file = Vec::new();
    builder.finish(&mut file).expect("an index");
    file
}

fn tantivys(lines: &[String], option: IndexRecordOption) -> (tantivy::Index, u64, tempfile::TempDir) {
    let mut schema = Schema::builder();
    let indexing = TextFieldIndexing::default().set_tokenizer("default").set_index_option(option).set_fieldnorms(false);
    let field = schema.add_text_field("raw", TextOptions::default().set_indexing_options(indexing));
    let folder = tempfile::tempdir().expect("a folder");
    let directory = tantivy::directory::MmapDirectory::open(folder.path()).expect("a directory");
    let builder = tantivy::Index::builder().schema(schema.build());
    let mut writer = builder.single_segment_index_writer(directory, 256 << 20).expect("a writer");
    for line in lines {
        let mut document = TantivyDocument::new();
        document.add_text(field, line);
        writer.add_document(document).expect("a row");
    }
    let index = writer.finalize().expect("an index");
    let bytes = std::fs::read_dir(folder.path()).expect("a folder").filter_map(|f| f.ok()?.metadata().ok()).map(|m| m.len()).sum();
    (index, bytes, folder)
}

fn size(c: &mut Criterion) {
    let lines = lines();
    let raw: usize = lines.iter().map(String::len).sum();
    let words: usize = lines.iter().map(|l| query::words(l).count()).sum();
    println!("{ROWS} rows, {} raw bytes and {} words a row", raw / ROWS, words / ROWS);
    let percent = |bytes: u64| bytes as f64 * 100.0 / raw as f64;
    println!("size: ours {:.1} % of raw", percent(ours(&lines).len() as u64));
    for (name, option) in [("without positions", IndexRecordOption::Basic), ("with positions", IndexRecordOption::WithFreqsAndPositions)] {
        println!("size: tantivy {name} {:.1} % of raw", percent(tantivys(&lines, option).1));
    }
    let mut group = c.benchmark_group("build");
    group.sample_size(10).throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("ours", |b| b.iter_custom(|n| timed(n, || ours(&lines))));
    group.bench_function("tantivy without positions", |b| b.iter_custom(|n| timed(n, || tantivys(&lines, IndexRecordOption::Basic))));
    group.bench_function("tantivy with positions", |b| b.iter_custom(|n| timed(n, || tantivys(&lines, IndexRecordOption::WithFreqsAndPositions))));
    group.finish();
}

fn merging(c: &mut Criterion) {
    let lines = lines();
    let parts: Vec<Index> = lines.chunks(ROWS / 8).map(|p| Index::open(Box::new(ours(p))).expect("an index")).collect();
    let places: Vec<Vec<u32>> = (0..8).map(|p| (0..(ROWS / 8) as u32).map(|r| r * 8 + p).collect()).collect();
    let inputs: Vec<(&Index, &[u32])> = parts.iter().zip(&places).map(|(i, p)| (i, p.as_slice())).collect();
    let mut group = c.benchmark_group("merge");
    group.sample_size(10).throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("eight parts, rows interleaved", |b| b.iter_custom(|n| timed(n, || merge(&inputs, Vec::new()).expect("an index"))));
    group.finish();
}

fn asking(c: &mut Criterion) {
    let lines = lines();
    let index = Index::open(Box::new(ours(&lines))).expect("an index");
    let (peer, _, _folder) = tantivys(&lines, IndexRecordOption::Basic);
    let searcher = peer.reader().expect("a reader").searcher();
    let field = peer.schema().get_field("raw").expect("the field");
    let id = query::words(&lines[ROWS / 2]).filter(|w| w.len() == 12 && w.bytes().all(|b| b.is_ascii_hexdigit())).last().expect("the end of a UUID");
    let mut group = c.benchmark_group("ask");
    for word in [id.as_str(), "accessdenied", "eventversion"] {
        let words = Words::Phrase(vec![word.to_owned()]);
        let rows = index.rows(&words, "raw_data").expect("rows").expect("a word");
        println!("{word}: {} rows", rows.bitmap.count());
        group.bench_function(format!("ours, {word}"), |b| b.iter(|| index.rows(&words, "raw_data").expect("rows")));
        let query = TermQuery::new(Term::from_field_text(field, word), IndexRecordOption::Basic);
        group.bench_function(format!("tantivy counting, {word}"), |b| b.iter(|| searcher.search(&query, &Count).expect("a count")));
    }
    for words in [Words::Wildcard("*denied".into()), Words::Prefix("acc".into()), Words::Wildcard("acc*d?n*d".into())] {
        group.bench_function(format!("ours, {words:?}"), |b| b.iter(|| index.rows(&words, "raw_data").expect("rows")));
    }
    group.throughput(Throughput::Bytes(lines.iter().map(|l| l.len() as u64).sum()));
    group.sample_size(10);
    for text in ["accessdenied", "userIdentity type", "no such words"] {
        let matcher = Matcher::new(&Words::Phrase(query::words(text).collect()));
        group.bench_function(format!("scan, {text}"), |b| b.iter_custom(|n| timed(n, || lines.iter().filter(|l| matcher.is_in(black_box(l))).count())));
    }
    group.finish();
}

criterion_group!(benches, size, merging, asking);
criterion_main!(benches);
