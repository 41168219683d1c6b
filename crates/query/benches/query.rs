//! What a query costs before any data is read, and per event without an index.
use criterion::{Criterion, criterion_group, criterion_main};
use event::{Event, Format, Position, Timestamp};
use std::hint::black_box;

const QUERY: &str = r#"user.name:alice AND NOT source.ip:10.0.0.0/8 http_response.code:[400 TO 499] url.path:*.php "access denied""#;

fn event() -> Event {
    let raw = r#"{"eventTime":"2026-11-20T10:00:00Z","userName":"alice","sourceIPAddress":"203.0.113.7","msg":"Access denied by policy","path":"/wp/login.php","status":403,"agent":"Mozilla/5.0 (X11; Linux x86_64)"}"#;
    let mut event = Event::new("e1".into(), Position::default(), Timestamp(0), "web".into(), Format::Json, raw.into());
    event.ocsf.user_name = Some("alice".into());
    event.ocsf.src.ip = Some("203.0.113.7".into());
    event.ocsf.http.path = Some("/wp/login.php".into());
    event.ocsf.http.response_code = Some(403);
    event
}

fn bench(c: &mut Criterion) {
    c.bench_function("query/parse", |b| b.iter(|| query::parse(black_box(QUERY), Timestamp(0))));
    let (event, expr) = (event(), query::parse(QUERY, Timestamp(0)).expect("the query is right"));
    assert!(expr.matches(&event));
    c.bench_function("query/matches", |b| b.iter(|| black_box(&expr).matches(black_box(&event))));
}

criterion_group!(benches, bench);
criterion_main!(benches);
