use super::*;
use serde_json::json;

fn now() -> Timestamp {
    Timestamp::parse("2026-11-20T10:00:00Z").unwrap()
}

fn read(query: Value) -> String {
    match search(&json!({"query": query}), now()) {
        Ok(search) => search.expr.to_string(),
        Err(e) => format!("{}: {}", e.kind, e.reason),
    }
}

#[test]
fn clauses_become_expressions() {
    let mut wrong = Vec::new();
    for (query, want) in [
        (json!({"match_all": {"boost": 1.2}}), "*:*"),
        (json!({"match_none": {}}), "NOT *:*"),
        (json!({"term": {"user.name": "alice"}}), "actor.user.name:alice"),
        (json!({"term": {"user.name.keyword": {"value": "alice", "boost": 2}}}), "actor.user.name:alice"),
        (json!({"term": {"user.name": {"value": "a.b", "case_insensitive": true}}}), r"actor.user.name:/(?i)a\.b/"),
        (json!({"term": {"http.response.status_code": 404}}), "http_response.code:404"),
        (json!({"term": {"http_response.code": 404.0}}), "http_response.code:404"),
        (json!({"term": {"source.ip": "10.0.0.0/8"}}), "src_endpoint.ip:10.0.0.0/8"),
        (json!({"terms": {"status": ["failure", "Unknown"], "boost": 1}}), "status:(Failure OR Unknown)"),
        (json!({"terms": {"source.ip": ["192.0.2.1", "10.0.0.0/8", "2001:DB8::1"]}}), r#"src_endpoint.ip:10.0.0.0/8 OR src_endpoint.ip:("2001:db8::1" OR 192.0.2.1)"#),
        (json!({"terms": {"status": []}}), "NOT *:*"),
        (json!({"match": {"message": "Access Denied"}}), "message:access OR message:denied"),
        (json!({"match": {"message": {"query": "Access Denied", "operator": "and"}}}), "message:access AND message:denied"),
        (json!({"match": {"user.name": "alice b"}}), r#"actor.user.name:"alice b""#),
        (json!({"match_phrase": {"message": "Access Denied"}}), r#"message:"access denied""#),
        (json!({"match_phrase": {"user.name": {"query": "alice"}}}), "actor.user.name:alice"),
        (json!({"exists": {"field": "user.name"}}), "actor.user.name:*"),
        (json!({"wildcard": {"url.path": {"value": "/a*?"}}}), r"http_request.url.path:\/a*?"),
        (json!({"wildcard": {"url.path": {"wildcard": "a*", "case_insensitive": true}}}), "http_request.url.path:/(?i)a.*/"),
        (json!({"prefix": {"url.path": "/a*"}}), r"http_request.url.path:\/a\**"),
        (json!({"prefix": {"message": {"value": "Den"}}}), "message:den*"),
        (json!({"regexp": {"url.path": "/api/v[0-9]+"}}), r"http_request.url.path:/\/api\/v[0-9]+/"),
        (json!({"regexp": {"url.path": {"value": "a.c", "case_insensitive": true, "flags": "NONE"}}}), "http_request.url.path:/(?i)a.c/"),
        (json!({"regexp": {"user.name": "alice"}}), "actor.user.name:alice"),
        (json!({"ids": {"values": ["a", "b", "a"]}}), "metadata.uid:(a OR b)"),
        (json!({"range": {"http_response.code": {"gte": 400, "lt": 500}}}), "http_response.code:[400 TO 500}"),
        (json!({"range": {"http_response.code": {"gt": 399.5}}}), "http_response.code:>=400"),
        (json!({"range": {"severity": {"gte": "high"}}}), "severity_id:>=4"),
        (json!({"range": {"@timestamp": {"gte": 1763632800000i64, "lte": 1763632860000i64, "format": "epoch_millis"}}}), "time:[2025-11-20T10:00:00.000000Z TO 2025-11-20T10:01:00.001000Z}"),
        (json!({"range": {"@timestamp": {"gte": "1763632800000", "lte": "1763632860000", "format": "epoch_millis"}}}), "time:[2025-11-20T10:00:00.000000Z TO 2025-11-20T10:01:00.001000Z}"),
        (json!({"range": {"@timestamp": {"gte": "now-1h/h", "lt": "now/h"}}}), "time:[2026-11-20T09:00:00.000000Z TO 2026-11-20T10:00:00.000000Z}"),
        (json!({"range": {"@timestamp": {"gt": "2026-11-19", "lte": "2026-11-20", "format": "strict_date_optional_time"}}}), "time:[2026-11-20T00:00:00.000000Z TO 2026-11-21T00:00:00.000000Z}"),
        (json!({"range": {"@timestamp": {"gte": "now-1d", "format": "epoch_millis"}}}), "time:>=2026-11-19T10:00:00.000000Z"),
        (json!({"bool": {"must": {"term": {"user.name": "a"}}, "filter": [{"exists": {"field": "user.id"}}], "must_not": [{"term": {"status": "Success"}}]}}),
            "actor.user.name:a AND actor.user.uid:* AND NOT status:Success"),
        (json!({"bool": {"should": [{"term": {"user.name": "a"}}, {"term": {"user.id": "b"}}]}}), "actor.user.name:a OR actor.user.uid:b"),
        (json!({"bool": {"filter": [{"exists": {"field": "user.id"}}], "should": [{"term": {"user.name": "a"}}]}}), "actor.user.uid:*"),
        (json!({"bool": {"filter": [{"exists": {"field": "user.id"}}], "should": [{"term": {"user.name": "a"}}], "minimum_should_match": 1}}), "actor.user.uid:* AND actor.user.name:a"),
        (json!({"bool": {"should": [{"term": {"user.name": "a"}}, {"term": {"user.id": "b"}}, {"term": {"status": "Success"}}], "minimum_should_match": "-1"}}),
            "actor.user.name:a AND actor.user.uid:b OR actor.user.name:a AND status:Success OR actor.user.uid:b AND status:Success"),
        (json!({"bool": {}}), "*:*"),
        (json!({"constant_score": {"filter": {"term": {"user.name": "a"}}}}), "actor.user.name:a"),
        (json!({"query_string": {"query": "user.name:alice denied", "analyze_wildcard": true}}), "actor.user.name:alice OR denied"),
        (json!({"query_string": {"query": "alice bob", "default_operator": "AND", "default_field": "user.name"}}), "actor.user.name:alice AND actor.user.name:bob"),
        (json!({"query_string": {"query": "a", "fields": ["*"]}}), "a"),
        (json!({"simple_query_string": {"query": "a b -c"}}), "a OR b OR NOT c"),
        (json!({"simple_query_string": {"query": "a + \"b c\" | (d* + -e", "default_operator": "and"}}), r#"a AND "b c" OR d* AND NOT e"#),
        (json!({"simple_query_string": {"query": "alice", "fields": ["user.name^2", "http_response.code"]}}), "actor.user.name:alice"),
    ] {
        let answer = read(query.clone());
        if answer != want {
            wrong.push(format!("{query}\n   is: {answer}\n want: {want}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_not_understood_is_an_error_and_never_left_out() {
    let mut wrong = Vec::new();
    for (query, want) in [
        (json!({"fuzzy": {"user.name": "a"}}), "parsing_exception: unknown query [fuzzy]"),
        (json!({}), "illegal_argument_exception: [query] malformed query, empty clause found"),
        (json!({"term": {"a": 1}, "terms": {}}), "parsing_exception: [query] malformed query"),
        (json!({"term": {"user.nmae": "x"}}), "query_shard_exception: there is no field \"user.nmae\"; did you mean user.name?"),
        (json!({"term": {"user.name": {"value": "x", "fuzziness": 1}}}), "parsing_exception: [term] does not support [fuzziness]"),
        (json!({"term": {"http_response.code": "abc"}}), "query_shard_exception: \"abc\" is no whole number"),
        (json!({"range": {"@timestamp": {"gte": "yesterday"}}}), "query_shard_exception: failed to parse date field [yesterday]"),
        (json!({"range": {"@timestamp": {"gte": 1, "time_zone": "+02:00"}}}), "illegal_argument_exception: [time_zone] +02:00"),
        (json!({"range": {"@timestamp": {"gte": "x", "format": "dd/MM"}}}), "query_shard_exception: [format] dd/MM is not supported"),
        (json!({"range": {"http_response.code": {"gte": 1, "gt": 2}}}), "parsing_exception: [range] has two bounds"),
        (json!({"range": {"user.name": {"gte": "m"}}}), "query_shard_exception: actor.user.name holds text"),
        (json!({"regexp": {"user.name": "a&b"}}), "illegal_argument_exception: [regexp] the operators"),
        (json!({"match_phrase": {"message": {"query": "a b", "slop": 2}}}), "illegal_argument_exception: [slop]"),
        (json!({"match": {"message": {"query": "a", "fuzziness": "AUTO"}}}), "parsing_exception: [match] does not support [fuzziness]"),
        (json!({"query_string": {"query": "user.name:("}}), "query_shard_exception: this ( is never closed (at character 10)"),
        (json!({"query_string": {"query": "a", "boots": 1}}), "parsing_exception: [query_string] does not support [boots]"),
        (json!({"simple_query_string": {"query": "a~2"}}), "illegal_argument_exception: [simple_query_string] similar"),
        (json!({"bool": {"must": [], "minimum": 1}}), "parsing_exception: [bool] does not support [minimum]"),
    ] {
        let answer = read(query.clone());
        if !answer.starts_with(want) {
            wrong.push(format!("{query}\n   is: {answer}\n want: {want}"));
        }
    }
    for body in [
        json!({"querry": {}}), json!({"size": 10_001}), json!({"from": 9_999, "size": 2}), json!({"size": -1}), json!({"sort": ["user.name"]}),
        json!({"sort": [{"@timestamp": {"order": "up"}}]}), json!({"search_after": []}), json!({"search_after": [1], "from": 1}), json!({"script_fields": {"a": {}}}),
        json!({"aggs": {"a": {}}}), json!({"aggs": {"a": {"percentiles": {"field": "http_response.length"}}}}), json!({"aggs": {"a": {"terms": {"field": "message"}}}}),
        json!({"aggs": {"a": {"sum": {"field": "user.name"}}}}), json!({"aggs": {"a": {"sum": {"field": "http_response.length"}, "aggs": {"b": {"sum": {"field": "http_response.length"}}}}}}),
        json!({"aggs": {"a": {"date_histogram": {"field": "@timestamp"}}}}), json!({"aggs": {"a": {"date_histogram": {"field": "@timestamp", "fixed_interval": "100ms"}}}}),
        json!({"aggs": {"a": {"terms": {"field": "status", "order": {"x": "asc"}}}}}), json!({"aggs": {"a": {"terms": {"field": "status", "include": "a"}}}}),
        json!({"knn": {}}), json!([1]), json!({"_source": 5}), json!({"track_total_hits": "x"}),
    ] {
        match search(&body, now()) {
            Err(e) if e.to_json()["error"]["root_cause"][0]["type"] == e.kind && e.to_json()["status"] == 400 => {}
            other => wrong.push(format!("{body}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_rest_of_the_body() {
    let body = json!({
        "from": 5, "size": "20", "track_total_hits": true, "_source": {"includes": ["user.*"], "excludes": "raw_data"},
        "fields": ["user.name", {"field": "@timestamp", "format": "epoch_millis"}], "docvalue_fields": [{"field": "time"}],
        "sort": [{"@timestamp": {"order": "desc", "unmapped_type": "boolean"}}, {"_doc": {"order": "desc"}}],
        "highlight": {"fields": {"*": {}}}, "script_fields": {},
    });
    let found = search(&body, now()).unwrap();
    assert_eq!((found.from, found.size, found.tracked, found.oldest_first), (5, 20, Tracked::All, false));
    assert_eq!(found.source, Source { left_out: false, includes: vec!["user.*".into()], excludes: vec!["raw_data".into()] });
    assert_eq!(found.fields.len(), 3);
    assert_eq!(found.fields[1].format, Some(TimeFormat::EpochMillis));
    let found = search(&Value::Null, now()).unwrap();
    assert_eq!((found.size, found.tracked, &found.sorted), (SIZE_DEFAULT, Tracked::UpTo(TRACKED_DEFAULT), &None));
    let sorted = |sort: Value| search(&json!({ "sort": sort }), now()).map(|s| s.oldest_first).unwrap();
    assert!(sorted(json!("@timestamp")) && sorted(json!(["time"])) && sorted(json!({"@timestamp": "asc"})));
    assert!(!sorted(json!({"@timestamp": "desc"})) && !sorted(json!("_doc")));
    assert!(search(&json!({"_source": false}), now()).unwrap().source.left_out);
    assert_eq!(source_of_params(Some("a,b"), None, Some("c")), Some(Source { left_out: false, includes: vec!["a".into(), "b".into()], excludes: vec!["c".into()] }));
    assert_eq!(source_of_params(None, None, None), None);
}

#[test]
fn grafanas_histogram_with_terms_and_a_metric() {
    let aggs = json!({
        "2": {"date_histogram": {"field": "@timestamp", "fixed_interval": "30s", "min_doc_count": 0, "extended_bounds": {"min": 1763632800000i64, "max": "1763636400000"}, "format": "epoch_millis"},
            "aggs": {"3": {"terms": {"field": "source.ip", "size": 5, "order": {"1": "desc"}, "min_doc_count": 1}, "aggs": {"1": {"avg": {"field": "http_response.length"}}}}}},
        "f": {"filters": {"filters": {"bad": {"query_string": {"query": "status:Failure"}}, "all": {"match_all": {}}}}, "meta": {"x": 1}},
    });
    let found = search(&json!({"size": 0, "aggs": aggs}), now()).unwrap();
    let (name, outer) = &found.aggs[0];
    assert_eq!(name, "2");
    let Kind::DateHistogram { interval, bounds, format, min_doc_count: 0, .. } = &outer.kind else { panic!("{outer:?}") };
    assert_eq!((*interval, *format), (Interval::Secs(30), TimeFormat::EpochMillis));
    assert_eq!(*bounds, Some((Timestamp::from_millis(1763632800000), Timestamp::from_millis(1763636400000))));
    let Kind::Terms { column, size: 5, order, .. } = &outer.subs[0].1.kind else { panic!("{outer:?}") };
    assert_eq!((column.path, order.as_slice()), ("src_endpoint.ip", &[(Order::Metric("1".into()), false)][..]));
    let Kind::Filters { filters, keyed: true, other: None } = &found.aggs[1].1.kind else { panic!("{found:?}") };
    assert_eq!(filters.len(), 2);
    assert_eq!(found.aggs[1].1.meta, Some(json!({"x": 1})));
}

#[test]
fn intervals_of_the_calendar_begin_where_people_expect() {
    let at = |text: &str| Timestamp::parse(text).unwrap();
    let t = at("2026-11-20T10:31:07Z");
    for (interval, start, next) in [
        (Interval::Secs(1_800), "2026-11-20T10:30:00Z", "2026-11-20T11:00:00Z"),
        (Interval::Calendar('w'), "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
        (Interval::Calendar('M'), "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        (Interval::Calendar('q'), "2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        (Interval::Calendar('y'), "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
    ] {
        assert_eq!((interval.floor(t), interval.next(at(start))), (Some(at(start)), Some(at(next))), "{interval:?}");
    }
    assert_eq!(TimeFormat::Iso.text(t), "2026-11-20T10:31:07.000Z");
    assert_eq!(TimeFormat::EpochMillis.text(t), t.millis().to_string());
}

#[test]
fn deep_and_wide_bodies_are_refused() {
    let mut deep = json!({"match_all": {}});
    for _ in 0..100 {
        deep = json!({"bool": {"must": [deep]}});
    }
    assert!(read(deep).starts_with("illegal_argument_exception"));
    let wide = vec![json!({"match_all": {}}); crate::CLAUSES_MAX + 1];
    assert!(read(json!({"bool": {"should": wide}})).starts_with("illegal_argument_exception"));
    let many: Map<String, Value> = (0..=AGGS_MAX).map(|i| (i.to_string(), json!({"sum": {"field": "http_response.length"}}))).collect();
    assert!(search(&json!({"aggs": many}), now()).is_err());
    let should = vec![json!({"term": {"user.name": "a"}}); 30];
    assert!(read(json!({"bool": {"should": should, "minimum_should_match": 15}})).contains("combinations"));
}
