//! The index says what cutting every text into words says; damage is an error and never another answer.

use index::{Builder, Index, IndexError, merge};
use proptest::prelude::*;
use query::{Matcher, PROSE, Words};

/// The values of one row, in the order of [`PROSE`].
type Row = [Option<String>; PROSE.len()];

fn texts(row: &Row) -> [Option<&str>; PROSE.len()] {
    std::array::from_fn(|i| row[i].as_deref())
}

fn build(rows: &[Row], memory: usize) -> Vec<u8> {
    let scratch = tempfile::tempdir().unwrap();
    let mut builder = Builder::with_memory(scratch.path(), memory);
    for row in rows {
        builder.add(&texts(row)).unwrap();
    }
    let mut file = Vec::new();
    let bytes = builder.finish(&mut file).unwrap();
    assert_eq!(bytes, file.len() as u64);
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "scratch files stay behind");
    file
}

fn open(file: Vec<u8>) -> Index {
    Index::open(Box::new(file)).unwrap()
}

/// The index's rows, those of inexact answers verified, are the rows of a scan.
fn check(index: &Index, rows: &[Row], words: &Words) {
    let matcher = Matcher::new(words);
    for (number, field) in PROSE.iter().enumerate() {
        let matches = |row: u32| rows[row as usize][number].as_deref().is_some_and(|t| matcher.is_in(t));
        let want: Vec<u32> = (0..rows.len() as u32).filter(|r| matches(*r)).collect();
        let found = index.rows(words, field).unwrap().expect("few words");
        let mut rows: Vec<u32> = found.bitmap.iter().collect();
        if !found.exact {
            rows.retain(|r| matches(*r));
        }
        assert_eq!(rows, want, "{words:?} in {field}, exact {}", found.exact);
    }
}

fn asked(text: &str) -> Vec<Words> {
    let cut: Vec<String> = query::words(text).collect();
    let first = cut.first().cloned().unwrap_or_default();
    let mut all = vec![Words::Phrase(cut.iter().take(3).cloned().collect()), Words::Prefix(first.clone())];
    all.extend(first.char_indices().nth(1).map(|(i, _)| Words::Wildcard(format!("*{}", &first[i..]))));
    all.extend(first.chars().next().map(|c| Words::Wildcard(format!("{c}*"))));
    all.push(Words::Phrase(vec![first]));
    all
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[abkK1_ .é\u{130}\u{212a}-]{0,20}", "\\PC{0,20}", "[a-c]{120,140}", Just("login failed".to_owned())]
}

fn row() -> impl Strategy<Value = Row> {
    let value = || prop::option::of(text());
    let any = (value(), value(), value()).prop_map(|(a, b, c)| [a, b, c]);
    // As parsers leave it: the message is a part of the entry, cut anywhere.
    let part = (text(), 0usize..20, 0usize..20).prop_map(|(raw, from, to)| {
        let message = raw.chars().skip(from).take(to).collect();
        [Some(message), None, Some(raw)]
    });
    prop_oneof![any, part]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn answers_as_a_scan(rows in prop::collection::vec(row(), 0..30), other in text(), spill in any::<bool>()) {
        let index = open(build(&rows, if spill { 34_000 } else { 1 << 20 }));
        prop_assert_eq!(index.row_count() as usize, rows.len());
        let some: Vec<&String> = rows.iter().flatten().flatten().step_by(3).chain([&other]).collect();
        for text in some {
            for words in asked(text) {
                check(&index, &rows, &words);
            }
        }
    }

    #[test]
    fn merged_is_as_built(parts in prop::collection::vec(prop::collection::vec(row(), 0..12), 1..5), seed in any::<u64>()) {
        let count: usize = parts.iter().map(Vec::len).sum();
        // Each part keeps its order, as files sorted by time do.
        let mut order: Vec<usize> = parts.iter().enumerate().flat_map(|(i, p)| vec![i; p.len()]).collect();
        for i in (1..count).rev() {
            order.swap(i, (seed.rotate_left(i as u32 * 7) % (i as u64 + 1)) as usize);
        }
        let mut places = vec![Vec::new(); parts.len()];
        let mut merged: Vec<Row> = Vec::new();
        for (at, part) in order.iter().enumerate() {
            merged.push(parts[*part][places[*part].len()].clone());
            places[*part].push(at as u32);
        }
        let indexes: Vec<Index> = parts.iter().map(|p| open(build(p, 1 << 20))).collect();
        let inputs: Vec<(&Index, &[u32])> = indexes.iter().zip(&places).map(|(i, p)| (i, p.as_slice())).collect();
        let mut file = Vec::new();
        merge(&inputs, &mut file).unwrap();
        prop_assert!(file == build(&merged, 1 << 20) || !merged.is_empty());
        let index = open(file);
        for text in merged.iter().flatten().flatten().step_by(2) {
            for words in asked(text) {
                check(&index, &merged, &words);
            }
        }
    }
}

/// Rows enough for several blocks, long lists of each layout, and words of a single row.
fn many() -> Vec<Row> {
    let row = |n: usize| {
        let kind = if n.is_multiple_of(3) { "third" } else { "other" };
        let early = if n < 2_000 { " early" } else { "" };
        let seldom = if n * n % 37 == 1 { " seldom" } else { "" };
        let raw = format!(r#"{{"id":"{:08x}-{:04x}","kind":"{kind}","all":true}}{early}{seldom}"#, n * 2_654_435_761, n);
        [Some(format!("a message {}", n % 7)), None, Some(raw)]
    };
    (0..6_000).map(row).collect()
}

#[test]
fn thousands_of_rows_in_one_part_or_many() {
    let rows = many();
    let (one, spilled) = (build(&rows, usize::MAX), build(&rows, 300_000));
    assert!(one == spilled, "what was put aside in between shows");
    let index = open(one);
    let middle = format!("{:08x}", 3_000usize * 2_654_435_761);
    for words in ["third", "all", "early", "seldom", "message", &middle, "00b8", "kind third all true", "a message 3", "nothing"] {
        check(&index, &rows, &Words::Phrase(query::words(words).collect()));
    }
    for pattern in ["*d", "00b*", "*b?8*", "?hird", "*"] {
        check(&index, &rows, &Words::Wildcard(pattern.to_owned()));
    }
    assert!(index.rows(&Words::Prefix("a".into()), "src_endpoint.ip").unwrap().is_none(), "a column that is not indexed");
}

#[test]
fn every_flipped_byte_is_noticed_or_without_effect() {
    let rows: Vec<Row> = many().into_iter().step_by(10).collect();
    let file = build(&rows, usize::MAX);
    let queries: Vec<Words> = ["third", "all", "early", "seldom", "kind other"].iter().map(|w| Words::Phrase(query::words(w).collect())).collect();
    let ask = |file: Vec<u8>| -> Result<Vec<Vec<u32>>, IndexError> {
        let index = Index::open(Box::new(file))?;
        queries.iter().map(|q| Ok(index.rows(q, "raw_data")?.map(|r| r.bitmap.iter().collect()).unwrap_or_default())).collect()
    };
    let want = ask(file.clone()).unwrap();
    let mut noticed = 0;
    for at in (0..file.len()).step_by(7).chain(file.len() - 300..file.len()) {
        let mut damaged = file.clone();
        damaged[at] ^= 0x10;
        match ask(damaged) {
            Ok(found) => assert_eq!(found, want, "byte {at}"),
            Err(_) => noticed += 1,
        }
        assert!(at % 50 != 0 || ask(file[..at].to_vec()).is_err(), "cut at {at}");
    }
    assert!(noticed > 300, "{noticed}");
}

#[test]
fn another_version_says_so() {
    let mut file = build(&many()[..5], usize::MAX);
    file[7] += 1;
    assert!(matches!(Index::open(Box::new(file)), Err(IndexError::OtherVersion { found: 2 })));
    assert!(matches!(Index::open(Box::new(b"something else, but long enough".to_vec())), Err(IndexError::Damaged(_))));
    assert!(Index::open(Box::new(Vec::new())).is_err());
}

#[test]
fn a_file_without_rows_has_an_index() {
    let index = open(build(&[], usize::MAX));
    assert!(index.rows(&Words::Prefix("a".into()), "raw_data").unwrap().expect("few words").bitmap.is_empty());
}
