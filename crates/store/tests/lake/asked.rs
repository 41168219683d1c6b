//! What searches promise beside their matches: pages, bounds, cancellation.

use super::{DAY, all, event, events, open, quiet, sorted_json};
use event::{Event, Severity, Timestamp, column};
use query::{Expr, Test, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use store::lake::{Aggregation, Cancel, Extras, Group, LakeError, Metric, Query, Tuning, Width};

fn is(name: &str, value: Value) -> Expr {
    Expr::Field(column(name).unwrap(), Test::OneOf(vec![value]))
}

fn by(expr: Expr) -> Query {
    Query { expr, limit: 1_000, ..Query::default() }
}

#[test]
fn what_cannot_be_asked_is_refused_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    lake.append(events(0..10), 10).unwrap();
    let refused = |what: Result<(), LakeError>| assert!(matches!(what, Err(LakeError::BadQuery(_))), "{what:?}");
    assert!(lake.query(&by(is("user.name", Value::Int(1)))).unwrap().events.is_empty(), "a number is no text");
    refused(lake.query(&by(Expr::Field(column("user.name").unwrap(), Test::OneOf(vec![Value::Int(1); 70_000])))).map(|_| ()));
    refused(lake.query(&by(Expr::Or(vec![is("user.name", Value::Int(1)); 5_000]))).map(|_| ()));
    let mut deep = is("user.name", Value::Int(1));
    for _ in 0..400 {
        deep = Expr::And(vec![deep]);
    }
    refused(lake.query(&by(deep)).map(|_| ()));
    refused(lake.histogram(&all(0), 0).map(|_| ()));
    let name = column("user.name").unwrap();
    refused(lake.aggregate(&all(0), &Aggregation { by: vec![], metrics: vec![Metric::Sum(name)], limit: 1 }).map(|_| ()));
    refused(lake.aggregate(&all(0), &Aggregation { by: vec![Group::Time { secs: 0 }], metrics: vec![], limit: 1 }).map(|_| ()));
    refused(lake.top_values(&all(0), &[name; 65], 1).map(|_| ()));
    for cursor in ["", "x", "1.2", "1.2.3", "1.2.3.4.5.6", "1.2.3.4.2", "1.2.3.-4.1", "9999999999999999999999.0.0.0.1"] {
        let query = Query { cursor: Some(cursor.into()), ..all(10) };
        assert!(matches!(lake.query(&query), Err(LakeError::BadCursor)), "{cursor}");
    }
    let (from, to) = (Timestamp(0), Timestamp(1));
    assert!(matches!(lake.scan(&["nothing"], from, to, &mut |_| true), Err(LakeError::BadQuery(_))));
}

#[test]
fn from_and_to_bound_a_search() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let sent = events(0..300);
    lake.append(sent.clone(), 300).unwrap();
    let cut = |secs: i64| Some(Timestamp::from_secs(DAY + 3_600 + secs));
    for place in ["tail", "table"] {
        for (from, to) in [(cut(100), cut(200)), (None, cut(50)), (cut(900), None), (cut(200), cut(100)), (cut(5_000), None)] {
            let query = Query { from, to, limit: 1_000, ..Query::default() };
            let want: Vec<Event> = sent.iter().filter(|e| from.is_none_or(|f| e.time >= f) && to.is_none_or(|t| e.time < t)).cloned().collect();
            let page = lake.query(&query).unwrap();
            assert_eq!(page.events, sorted_json(&want), "{from:?} {to:?} in the {place}");
            assert_eq!(page.total.value, want.len() as u64);
            let mut exported = Vec::new();
            lake.export(&query, &mut |event| {
                exported.push(event);
                true
            })
            .unwrap();
            assert_eq!(exported, page.events);
        }
        lake.flush().unwrap();
    }
}

#[test]
fn events_around_one_are_those_of_its_source_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let mut sent: Vec<Event> = (0..200).map(event).collect();
    for (i, e) in sent.iter_mut().enumerate() {
        // Many at the same time: the place in the log decides.
        e.time = Timestamp::from_secs(DAY + i as i64 / 20);
        e.source = if i % 3 == 0 { "other".into() } else { "web".into() };
    }
    lake.append(Arc::new(sent[..100].to_vec()), 100).unwrap();
    lake.flush().unwrap();
    lake.append(Arc::new(sent[100..].to_vec()), 200).unwrap();
    let of_web: Vec<usize> = (0..200).filter(|i| i % 3 != 0).collect();
    for (at, before, after) in [(67, 4, 5), (0, 3, 2), (132, 2, 9), (66, 300, 300), (10, 0, 0)] {
        let uid = format!("uid-{}", of_web[at]);
        let got: Vec<String> = lake.around(&uid, before, after).unwrap().iter().map(|e| e["metadata"]["uid"].as_str().unwrap().to_owned()).collect();
        let want = &of_web[at.saturating_sub(before)..(at + after + 1).min(of_web.len())];
        assert_eq!(got, want.iter().map(|i| format!("uid-{i}")).collect::<Vec<_>>());
    }
    assert!(lake.around("uid-none", 5, 5).unwrap().is_empty());
}

#[test]
fn a_search_ends_when_it_is_cancelled_or_too_late() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    lake.append(events(0..1_000), 1_000).unwrap();
    lake.flush().unwrap();
    let cancel = Cancel::default();
    let reading = lake.read().cancelled_by(cancel.clone());
    assert_eq!(reading.query(&all(10)).unwrap().events.len(), 10);
    cancel.cancel();
    assert!(matches!(reading.query(&all(10)), Err(LakeError::Cancelled)));
    assert!(matches!(reading.aggregate(&all(0), &Aggregation::default()), Err(LakeError::Cancelled)));
    let late = super::open_with(tempfile::tempdir().unwrap().path(), Tuning { query_secs_max: 0, ..quiet() }).unwrap();
    assert!(matches!(late.query(&all(1)), Err(LakeError::Timeout { secs: 0 })));
}

#[test]
fn one_reading_sees_one_moment() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    for i in 0..12u64 {
        lake.append(events(i * 10..i * 10 + 10), i * 10 + 10).unwrap();
        lake.flush().unwrap();
    }
    lake.append(events(120..130), 130).unwrap();
    let reading = lake.read();
    lake.append(events(130..200), 200).unwrap();
    lake.flush().unwrap();
    // Merges take its files out of the table; they stay on disk while the reading lives.
    lake.maintain(Timestamp::from_secs(DAY + 7_200)).unwrap();
    lake.maintain(Timestamp::from_secs(DAY + 10 * 86_400)).unwrap();
    let page = reading.query(&all(1_000)).unwrap();
    assert_eq!(page.events, sorted_json(&events(0..130)));
    let counted: u64 = reading.histogram(&all(0), 3_600).unwrap().iter().flat_map(|(_, by)| by.values()).sum();
    assert_eq!(counted, 130);
    drop(reading);
    assert_eq!(lake.query(&all(0)).unwrap().total.value, 200);
}

#[test]
fn pages_have_no_gap_while_events_come_in() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    lake.append(events(0..2_000), 2_000).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut next = 2_000;
            while !stop.load(Ordering::SeqCst) {
                let mut new: Vec<Event> = (next..next + 50).map(event).collect();
                new.iter_mut().for_each(|e| e.time = Timestamp::from_secs(DAY + 80_000 + (next / 50) as i64));
                lake.append(Arc::new(new), next + 50).unwrap();
                lake.flush().unwrap();
                lake.maintain(Timestamp::from_secs(DAY + 7_200)).unwrap();
                next += 50;
            }
        });
        let mut query = Query { to: Some(Timestamp::from_secs(DAY + 70_000)), ..by(is("user.name", Value::Text("user3".into()))) };
        query.limit = 7;
        let mut got = Vec::new();
        loop {
            let page = lake.query(&query).unwrap();
            got.extend(page.events);
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        stop.store(true, Ordering::SeqCst);
        let want: Vec<Event> = (0..2_000).map(event).filter(|e| e.ocsf.user_name.as_deref() == Some("user3")).collect();
        assert_eq!(got, sorted_json(&want));
    });
}

#[test]
fn a_total_beyond_what_counting_may_cost_is_a_lower_bound() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    // Several row groups of a common value: the page needs only the newest.
    const ROWS: u64 = 400_000;
    for from in (0..ROWS).step_by(50_000) {
        let rows = (from..from + 50_000).map(|i| {
            let mut e = event(i);
            e.time = Timestamp(Timestamp::from_secs(DAY).0 + i as i64 * 1_000);
            e
        });
        lake.append(Arc::new(rows.collect()), from + 50_000).unwrap();
        lake.flush().unwrap();
    }
    let query = Query { limit: 10, ..by(Expr::Not(Box::new(is("user.name", Value::Text("user3".into()))))) };
    let page = lake.query(&query).unwrap();
    assert!(!page.total.exact && page.total.value > 100_000 && page.total.value < ROWS, "{:?}", page.total);
    let second = lake.query(&Query { cursor: page.next_cursor.clone(), ..query.clone() }).unwrap();
    assert_eq!(second.total, page.total, "later pages repeat it");
    let exact = lake.search(&query, &Extras { histogram: Some(Width::Auto), ..Extras::default() }).unwrap();
    assert_eq!((exact.page.total.value, exact.page.total.exact), (ROWS / 5 * 4, true));
    let by_level = Aggregation { by: vec![Group::Column(column("severity").unwrap())], metrics: vec![Metric::Count], limit: 2 };
    let told = lake.aggregate(&all(0), &by_level).unwrap();
    assert_eq!((told.rows.len(), told.groups), (2, Severity::ALL.len() as u64));
    assert_eq!(told.rows[0][1], ROWS / 5);
}
