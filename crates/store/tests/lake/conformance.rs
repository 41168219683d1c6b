//! An expression means the same on one event, in the tail, on disk, split over both, and after a merge.

use super::{DAY, open, place, text};
use event::{COLUMNS, Cell, Column, Event, Format, Issue, Position, Severity, Timestamp, column};
use proptest::prelude::*;
use query::{Bound, Expr, Test, Value, Words, words};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::lake::{Aggregation, Extras, Group, Lake, Metric, Query, Width};

const TEXTS: [&str; 12] =
    ["", "alice", "Alice", "ALICE BOB", "über", "ÜBER", "10.0.0.7", "2001:db8::7", "a*b", "İstanbul \u{212a}elvin", "access denied", "中文"];
const RAWS: [&str; 8] = [
    "", "Access DENIED for alice", "access  denied, Bob", "{\"user\":\"alice\",\"ip\":\"10.0.0.7\"}", "denied access ÜBER", "İ \u{212a} ſ ß", "a_b c-d", "中文 字",
];
const LISTS: [&str; 4] = ["rule-a", "rule-b", "Feodo 📄", ""];

/// What one event is made of: indexes into the pools, and numbers.
type Seed = (usize, usize, Option<usize>, Option<i64>, Option<f64>, Vec<usize>, i64, u8);

fn seed() -> impl Strategy<Value = Seed> {
    (
        0..TEXTS.len() + 3,
        0..RAWS.len(),
        prop::option::of(0..TEXTS.len()),
        prop::option::of(prop_oneof![-2i64..6, Just(i64::MIN), Just(i64::MAX), 200i64..600]),
        prop::option::of(prop_oneof![-2.0..2.0f64, Just(0.0), Just(f64::NAN), Just(f64::INFINITY)]),
        prop::collection::vec(0..LISTS.len(), 0..3),
        -3i64..40,
        0u8..5,
    )
}

fn event((name, raw, ip, code, lat, rules, minutes, severity): &Seed, offset: u64) -> Event {
    let position = Position { offset, index: 0 };
    let received = Timestamp::from_secs(DAY + 7_200);
    let mut event = Event::new(format!("uid-{offset}").into(), position, received, "web".into(), Format::AppLog, RAWS[*raw].into());
    event.time = Timestamp(Timestamp::from_secs(DAY + 3_600 + minutes * 60).0 + offset as i64 % 3);
    event.severity = Severity::ALL[*severity as usize];
    event.ocsf.user_name = TEXTS.get(*name).and_then(|t| text(t));
    event.ocsf.message = ip.and_then(|i| text(TEXTS[(i + 5) % TEXTS.len()]));
    event.ocsf.src.ip = ip.and_then(|i| text(TEXTS[i]));
    event.ocsf.http.response_code = *code;
    event.ocsf.src.location.lat = *lat;
    event.rules = rules.iter().map(|r| LISTS[*r].into()).collect();
    if *raw == 0 {
        event.issues = vec![Issue { code: "invalid_json", detail: "eof".into() }];
    }
    event
}

fn col(name: &str) -> &'static Column {
    column(name).unwrap()
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(TEXTS.as_slice()).prop_map(str::to_owned),
        prop::sample::select(RAWS.as_slice()).prop_map(str::to_owned),
        prop::sample::select(LISTS.as_slice()).prop_map(str::to_owned),
        "[aAbiI\u{130}ük .]{0,3}",
    ]
}

fn asked_words() -> impl Strategy<Value = Words> {
    prop_oneof![
        texts().prop_map(|t| Words::Phrase(words(&t).collect())),
        texts().prop_map(|t| Words::Prefix(words(&t).next().unwrap_or_default().chars().take(3).collect())),
        "[a-d*?İ中]{1,4}".prop_map(|p| Words::Wildcard(p.to_lowercase())),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        texts().prop_map(Value::Text),
        prop_oneof![-2i64..6, Just(i64::MIN), Just(i64::MAX), 200i64..600].prop_map(Value::Int),
        prop_oneof![-2.0..2.0f64, Just(0.0), Just(404.0), Just(f64::NAN)].prop_map(Value::Float),
        (-3i64..40).prop_map(|m| Value::Time(Timestamp::from_secs(DAY + 3_600 + m * 60))),
    ]
}

fn bound() -> impl Strategy<Value = Bound> {
    prop_oneof![Just(Bound::Open), value().prop_map(Bound::Including), value().prop_map(Bound::Excluding)]
}

fn test() -> impl Strategy<Value = Test> {
    prop_oneof![
        Just(Test::Exists),
        prop::collection::vec(value(), 0..4).prop_map(Test::OneOf),
        (bound(), bound()).prop_map(|(low, high)| Test::Range(low, high)),
        "[aAlice*?\\\\.0-9]{0,6}".prop_map(Test::Wildcard),
        prop::sample::select(["a.*", "(?i)alice", "[0-9.]+", ".*", "rule-[ab]", ""].as_slice()).prop_map(|r| Test::regex(r).unwrap()),
        texts().prop_map(Test::Contains),
        prop::sample::select(["10.0.0.0/8", "2001:db8::/32", "0.0.0.0/0"].as_slice()).prop_map(|n| Test::Cidr(vec![n.parse().unwrap()])),
        asked_words().prop_map(Test::Words),
    ]
}

fn field() -> impl Strategy<Value = &'static Column> {
    let names = [
        "time", "actor.user.name", "src_endpoint.ip", "message", "raw_data", "http_response.code", "severity_id", "severity", "metadata.uid",
        "src_endpoint.location.lat", "finding_info.rules", "metadata.issues", "dst_endpoint.ip", "dst_endpoint.port", "metadata.log_name",
    ];
    prop::sample::select(names.to_vec()).prop_map(col)
}

fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        1 => Just(Expr::All),
        8 => (field(), test()).prop_map(|(c, t)| Expr::Field(c, t)),
        2 => asked_words().prop_map(Expr::Text),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Expr::And),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Expr::Or),
            inner.prop_map(|e| Expr::Not(Box::new(e))),
        ]
    })
}

fn uid(event: &serde_json::Value) -> String {
    event["metadata"]["uid"].as_str().unwrap().to_owned()
}

/// All answers about an expression against what single events say.
fn check(lake: &Lake, sent: &[Event], expr: &Expr, place: &str) {
    let mut want: Vec<&Event> = sent.iter().filter(|e| expr.matches(e)).collect();
    want.sort_by_key(|e| std::cmp::Reverse((e.time, e.position)));
    let query = Query { expr: expr.clone(), limit: 1_000, ..Query::default() };
    let fields = [col("user.name"), col("rule.id"), col("http_response.code"), col("src_endpoint.location.lat"), col("time")];
    let extras = Extras { histogram: Some(Width::Secs(600)), fields: fields.to_vec(), top: 1_000 };
    let answer = lake.search(&query, &extras).unwrap_or_else(|e| panic!("{e}: {expr:?} {place}"));
    let got: Vec<String> = answer.page.events.iter().map(uid).collect();
    assert_eq!(got, want.iter().map(|e| e.uid.to_string()).collect::<Vec<_>>(), "{expr:?} in the {place}");
    assert_eq!((answer.page.total.value, answer.page.total.exact), (want.len() as u64, true), "{expr:?} in the {place}");

    let mut counts: BTreeMap<(Timestamp, Severity), u64> = BTreeMap::new();
    for e in &want {
        *counts.entry((Timestamp(e.time.0.div_euclid(600_000_000) * 600_000_000), e.severity)).or_default() += 1;
    }
    let told = answer.histogram.unwrap().buckets.into_iter().flat_map(|(t, by)| by.into_iter().map(move |(s, n)| ((t, s), n)));
    assert_eq!(told.collect::<BTreeMap<_, _>>(), counts, "histogram of {expr:?} in the {place}");
    for (column, told) in fields.into_iter().zip(answer.fields) {
        check_values(column, &want, &told, place);
    }
    check_aggregate(lake, &query, &want, place);
    check_pages(lake, query, &got);
}

fn cells(column: &Column, event: &Event) -> Vec<String> {
    match (column.get)(event) {
        Cell::Null => Vec::new(),
        Cell::Text(t) => vec![format!("{t:?}")],
        Cell::Texts(list) => list.iter().map(|t| format!("{t:?}")).collect(),
        Cell::Int(n) => vec![n.to_string()],
        Cell::Float(n) => vec![serde_json::Value::from(n).to_string()],
        Cell::Time(t) => vec![format!("\"{t}\"")],
    }
}

fn check_values(column: &'static Column, want: &[&Event], told: &store::lake::FieldValues, place: &str) {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    want.iter().flat_map(|e| cells(column, e)).for_each(|cell| *counts.entry(cell).or_default() += 1);
    let mut got: BTreeMap<String, u64> = BTreeMap::new();
    for value in &told.values {
        // JSON has no NaN and no infinity: both are null, and so are they here.
        let text = match &value.value {
            serde_json::Value::String(text) => format!("{text:?}"),
            other => other.to_string(),
        };
        *got.entry(text).or_default() += value.count;
    }
    assert_eq!(got, counts, "values of {} in the {place}", column.path);
    let present = want.iter().filter(|e| (column.get)(e) != Cell::Null).count() as u64;
    assert_eq!((told.field, told.present, told.error), (column.path, present, 0));
    assert!(told.values.windows(2).all(|w| w[0].count >= w[1].count), "most frequent first");
}

fn check_aggregate(lake: &Lake, query: &Query, want: &[&Event], place: &str) {
    let code = col("http_response.code");
    let by = vec![Group::Time { secs: 600 }, Group::Column(col("user.name")), Group::Column(col("rule.id"))];
    let metrics = vec![Metric::Count, Metric::Min(code), Metric::Max(code), Metric::Sum(col("severity_id")), Metric::Avg(col("severity_id"))];
    let told = lake.aggregate(query, &Aggregation { by, metrics, limit: 100_000 }).unwrap();
    let mut counts: BTreeMap<(String, String, String), (u64, Option<i64>, Option<i64>, i64)> = BTreeMap::new();
    for e in want {
        let time = format!("\"{}\"", Timestamp(e.time.0.div_euclid(600_000_000) * 600_000_000));
        let or_null = |list: Vec<String>| if list.is_empty() { vec!["null".to_owned()] } else { list };
        for user in or_null(cells(col("user.name"), e)) {
            for rule in or_null(cells(col("rule.id"), e)) {
                let sums = counts.entry((time.clone(), user.clone(), rule)).or_default();
                let code = e.ocsf.http.response_code;
                *sums = (
                    sums.0 + 1,
                    sums.1.into_iter().chain(code).min(),
                    sums.2.into_iter().chain(code).max(),
                    sums.3 + e.severity.ocsf_id(),
                );
            }
        }
    }
    let cell = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), |t| format!("{t:?}"));
    let got = told.rows.iter().map(|r| ((cell(&r[0]), cell(&r[1]), cell(&r[2])), (r[3].as_u64().unwrap(), r[4].as_i64(), r[5].as_i64(), r[6].as_i64().unwrap())));
    assert_eq!(got.collect::<BTreeMap<_, _>>(), counts, "groups in the {place}");
    for row in &told.rows {
        assert_eq!(row[7].as_f64().unwrap(), row[6].as_f64().unwrap() / row[3].as_f64().unwrap());
    }
    assert_eq!(told.groups, counts.len() as u64);
}

/// Small pages, which only look for what they show, come to the same.
fn check_pages(lake: &Lake, query: Query, want: &[String]) {
    let mut query = Query { limit: want.len() / 3 + 1, ..query };
    let mut got = Vec::new();
    loop {
        let page = lake.query(&query).unwrap();
        got.extend(page.events.iter().map(uid));
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    assert_eq!(got, want, "in pages: {:?}", query.expr);
}

/// Calls `check` with the events in the tail, on disk, on both, and merged; with and without text indexes.
fn everywhere(sent: &[Event], check: impl Fn(&Lake, &str)) {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let half = sent.len() / 2;
    let count = sent.len() as u64;
    lake.append(Arc::new(sent.to_vec()), count).unwrap();
    check(&lake, "tail");
    lake.flush().unwrap();
    check(&lake, "table");
    assert!(lake.index_texts().unwrap() > 0);
    check(&lake, "indexed table");
    drop(lake);
    if place::ON_S3 {
        // What was written is still in the cache: now it comes from the store.
        place::forget(dir.path());
        check(&open(dir.path()), "indexed table, read from the store");
    }
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    lake.append(Arc::new(sent[..half].to_vec()), half as u64).unwrap();
    lake.flush().unwrap();
    lake.append(Arc::new(sent[half..].to_vec()), count).unwrap();
    check(&lake, "tail and table");
    drop(lake);
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    // Twelve files, or as many as there are events.
    let parts = sent.len().min(12);
    for i in 0..parts {
        let (from, to) = (sent.len() * i / parts, sent.len() * (i + 1) / parts);
        lake.append(Arc::new(sent[from..to].to_vec()), to as u64).unwrap();
        lake.flush().unwrap();
    }
    let merged = lake.maintain(Timestamp::from_secs(DAY + 7_200)).unwrap().merged;
    assert!(merged > 8 || parts < 12, "{merged} files were merged");
    check(&lake, "merged table");
    lake.index_texts().unwrap();
    check(&lake, "merged and indexed table");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: place::cases(12), ..ProptestConfig::default() })]

    #[test]
    fn an_expression_means_the_same_everywhere(
        seeds in prop::collection::vec(seed(), 1..120),
        exprs in prop::collection::vec(expr(), 40),
    ) {
        let sent: Vec<Event> = seeds.iter().enumerate().map(|(i, s)| event(s, i as u64)).collect();
        everywhere(&sent, |lake, place| exprs.iter().for_each(|e| check(lake, &sent, e, place)));
    }
}

/// What must not depend on luck.
fn table() -> Vec<Expr> {
    let is = |name: &str, test: Test| Expr::Field(col(name), test);
    let not = |e: Expr| Expr::Not(Box::new(e));
    let one = |text: &str| Test::OneOf(vec![Value::Text(text.into())]);
    let phrase = |text: &str| Expr::Text(Words::Phrase(words(text).collect()));
    let secs = |s: i64| Value::Time(Timestamp::from_secs(DAY + 3_600 + s));
    let mut all = vec![
        Expr::All,
        not(Expr::All),
        Expr::And(vec![]),
        Expr::Or(vec![]),
        is("user.name", one("alice")),
        not(is("user.name", one("alice"))),
        is("user.name", one("")),
        is("user.name", Test::Exists),
        not(is("user.name", Test::Exists)),
        is("destination.ip", Test::Exists),
        not(is("destination.ip", one("192.0.2.1"))),
        not(is("destination.port", Test::Range(Bound::Open, Bound::Open))),
        is("rule.id", one("rule-a")),
        not(is("rule.id", one("rule-a"))),
        is("rule.id", Test::Exists),
        is("rule.id", Test::Wildcard("rule-?".into())),
        is("event.id", one("uid-7")),
        is("event.id", one("uid-none")),
        not(is("event.id", one("uid-none"))),
        is("http_response.code", Test::Range(Bound::Including(Value::Int(400)), Bound::Open)),
        is("http_response.code", Test::Range(Bound::Excluding(Value::Int(i64::MAX)), Bound::Open)),
        is("http_response.code", Test::Range(Bound::Including(Value::Float(0.5)), Bound::Excluding(Value::Float(3.5)))),
        is("http_response.code", Test::Range(Bound::Including(Value::Text("2".into())), Bound::Open)),
        is("severity_id", Test::Range(Bound::Including(Value::Int(1)), Bound::Including(Value::Int(5)))),
        not(is("severity_id", Test::Range(Bound::Including(Value::Int(1)), Bound::Including(Value::Int(5))))),
        is("time", Test::Range(Bound::Including(secs(300)), Bound::Excluding(secs(900)))),
        not(is("time", Test::Range(Bound::Including(secs(300)), Bound::Excluding(secs(900))))),
        is("time", Test::OneOf(vec![secs(0), secs(600)])),
        is("src_endpoint.location.lat", Test::Range(Bound::Including(Value::Int(0)), Bound::Open)),
        is("src_endpoint.location.lat", Test::OneOf(vec![Value::Float(f64::NAN), Value::Int(0)])),
        is("source.ip", Test::Cidr(vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()])),
        is("message", Test::Words(Words::Phrase(vec!["access".into(), "denied".into()]))),
        is("message", Test::Contains("ÜB".into())),
        phrase("access denied"),
        not(phrase("access denied")),
        Expr::Text(Words::Prefix("den".into())),
        Expr::Text(Words::Wildcard("al*e".into())),
        is("raw_data", Test::Contains("DENIED".into())),
    ];
    let (a, b) = (is("time", Test::Range(Bound::Including(secs(600)), Bound::Open)), is("user.name", one("alice")));
    all.push(Expr::And(vec![a.clone(), b.clone(), phrase("alice")]));
    all.push(Expr::Or(vec![a.clone(), not(b.clone()), phrase("alice")]));
    all.push(not(Expr::Or(vec![not(a), Expr::And(vec![b, not(phrase("denied"))])])));
    all
}

#[test]
fn every_kind_of_condition_means_the_same_everywhere() {
    let sent: Vec<Event> = (0..150usize)
        .map(|i| {
            let ip = (i % 3 > 0).then_some(i % TEXTS.len());
            let code = (i % 4 > 0).then_some([200, 404, i64::MAX, 3][i % 4]);
            let lat = (i % 5 > 0).then_some([0.0, -1.5, f64::NAN, 2.0, 1.0][i % 5]);
            let rules = (0..i % 3).map(|r| (i + r) % LISTS.len()).collect();
            event(&(i % (TEXTS.len() + 3), i % RAWS.len(), ip, code, lat, rules, (i % 40) as i64, (i % 5) as u8), i as u64)
        })
        .collect();
    let table = table();
    let matching: BTreeSet<usize> = table.iter().map(|e| sent.iter().filter(|s| e.matches(s)).count()).collect();
    assert!(matching.len() > 15, "the table tells events apart: {matching:?}");
    assert!(COLUMNS.len() > 40);
    everywhere(&sent, |lake, place| table.iter().for_each(|e| check(lake, &sent, e, place)));
}

/// More rows than a page of a column has, and than a row group: what statistics and page indexes leave out.
#[test]
fn pruning_by_page_and_row_group_leaves_no_match_out() {
    const ROWS: usize = 150_000;
    let sent: Vec<Event> = (0..ROWS)
        .map(|i| {
            let mut e = event(&(i / 40_000, i % RAWS.len(), None, Some(i as i64 / 1_000), None, vec![], 0, (i / 50_000) as u8), i as u64);
            e.time = Timestamp(Timestamp::from_secs(DAY).0 + i as i64 * 100_000);
            e
        })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    lake.append(Arc::new(sent.clone()), ROWS as u64).unwrap();
    lake.flush().unwrap();
    let time = |from: usize, to: usize| {
        let at = |i: usize| Value::Time(sent[i].time);
        Expr::Field(col("time"), Test::Range(Bound::Including(at(from)), Bound::Excluding(at(to))))
    };
    let code = |from: i64, to: i64| Expr::Field(col("http_response.code"), Test::Range(Bound::Including(Value::Int(from)), Bound::Including(Value::Int(to))));
    let not = |e: Expr| Expr::Not(Box::new(e));
    let words = |text: &str| Expr::Text(Words::Phrase(query::words(text).collect()));
    let id = |i: usize| Expr::Field(col("metadata.uid"), Test::OneOf(vec![Value::Text(format!("uid-{i}"))]));
    let whole = ROWS as u64;
    // With the rows that may be read of it.
    for (expr, rows_max) in [
        (time(20_000, 20_010), 16_384),
        (Expr::And(vec![time(20_000, 140_000), code(100, 101)]), 32_768),
        (Expr::Or(vec![time(0, 3), time(149_000, 149_003), code(66, 66)]), 4 * 16_384),
        (Expr::And(vec![not(time(100, 149_900)), words("denied")]), 40_000),
        (Expr::And(vec![Expr::Or(vec![code(16, 17), code(140, 141)]), words("access denied")]), 3 * 16_384),
        (Expr::And(vec![words("alice"), not(code(1, 148))]), whole),
        (id(131_071), 131_072),
        (id(131_072), 20_000),
        (Expr::And(vec![id(5), time(6, 9)]), 16_384),
        (Expr::Or(vec![id(5), id(149_999), time(70_000, 70_001)]), whole),
    ] {
        let mut want: Vec<&Event> = sent.iter().filter(|e| expr.matches(e)).collect();
        want.reverse();
        let query = Query { expr: expr.clone(), limit: 10_000, ..Query::default() };
        let answer = lake.search(&query, &Extras { histogram: Some(Width::Auto), fields: vec![col("user.name")], top: 10 }).unwrap();
        let got: Vec<String> = answer.page.events.iter().map(uid).collect();
        assert_eq!(got, want.iter().take(10_000).map(|e| e.uid.to_string()).collect::<Vec<_>>(), "{expr:?}");
        assert_eq!(answer.page.total.value, want.len() as u64, "{expr:?}");
        check_values(col("user.name"), &want, &answer.fields[0], "pruned table");
        let counted: u64 = answer.histogram.unwrap().buckets.iter().flat_map(|(_, by)| by.values()).sum();
        assert_eq!(counted, want.len() as u64);
        assert!(answer.page.scanned.rows <= rows_max, "{:?} for {expr:?}", answer.page.scanned);
        check_pages(&lake, query, &want.iter().map(|e| e.uid.to_string()).collect::<Vec<_>>());
    }
}
