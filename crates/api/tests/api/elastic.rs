//! Elasticsearch's API: what its clients and Grafana's data source send, and the form of every refusal.
use crate::door::{Door, Session};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn record(n: usize, time: event::Timestamp) -> String {
    json!({
        "eventVersion": "1.08", "eventID": format!("e{n:04}"), "eventTime": time.to_string(), "eventName": (["DescribeTrails", "ListBuckets", "StopLogging"][n % 3]),
        "eventSource": "cloudtrail.amazonaws.com", "awsRegion": "eu-central-1", "sourceIPAddress": format!("10.0.0.{}", n % 4), "userAgent": "aws-cli/2.13.25",
        "eventType": "AwsApiCall", "recipientAccountId": "123456789012", "readOnly": false,
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/x", "accountId": "123456789012", "userName": (["alice", "bob"][n % 2])},
    })
    .to_string()
}

/// A door behind which are 120 events, one a second, and a key that may read.
async fn filled() -> (Door, Session, String, event::Timestamp) {
    let door = Door::open().await;
    let admin = door.admin().await;
    let (key, _) = door.make_key(&admin, "reader", &["ingest", "read"]).await;
    let start = door.platform.now().plus_secs(-3_600).floor(60);
    let lines: Vec<String> = (0..120).map(|n| record(n, start.plus_secs(n as i64))).collect();
    door.call("POST", "/api/v1/ingest?source=trail&format=cloudtrail", &[("X-API-Key", &key)], lines.join("\n").as_bytes()).await.expect(202);
    let began = Instant::now();
    while door.get("/api/v1/search?limit=0", &admin.headers()).await.expect(200).json()["total"]["value"] != 120 {
        assert!(began.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (door, admin, key, start)
}

struct Client<'a>(&'a Door, String);

impl Client<'_> {
    async fn call(&self, verb: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.text(verb, path, &body).await
    }
    async fn text(&self, verb: &str, path: &str, body: &str) -> (u16, Value) {
        let accept = "application/vnd.elasticsearch+json; compatible-with=8";
        let headers = [("Authorization", self.1.as_str()), ("Accept", accept), ("Content-Type", accept)];
        let answer = self.0.call(verb, &format!("/elastic{path}"), &headers, body.as_bytes()).await;
        assert_eq!(answer.header("x-elastic-product"), Some("Elasticsearch"), "{path}");
        if path.contains("_cat") {
            return (answer.status, Value::String(answer.text()));
        }
        assert_eq!(answer.header("content-type"), Some("application/vnd.elasticsearch+json;compatible-with=8"), "{path}");
        (answer.status, answer.json())
    }
    #[track_caller]
    fn ok(&self, verb: &str, path: &str, body: Value) -> impl Future<Output = Value> {
        let at = format!("{verb} {path}");
        async move {
            let (status, answer) = self.call(verb, path, body).await;
            assert_eq!(status, 200, "{at}: {answer}");
            answer
        }
    }
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["hits"]["hits"].as_array().unwrap().iter().map(|h| h["_id"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_pages_and_aggregations() {
    let (door, _, key, start) = filled().await;
    let client = Client(&door, format!("ApiKey {key}"));
    let post = async |path: &str, body: Value| client.ok("POST", path, body).await;

    assert_eq!(client.ok("GET", "/", Value::Null).await["version"]["number"], "8.17.0");
    let found = post("/erne-events/_search", json!({"query": {"bool": {"filter": [{"term": {"user.name": "alice"}}, {"query_string": {"query": "NOT event.action:StopLogging"}}]}}, "size": 5})).await;
    assert_eq!(found["hits"]["total"], json!({"value": 40, "relation": "eq"}));
    assert_eq!(ids(&found), ["e0118", "e0114", "e0112", "e0108", "e0106"]);
    let hit = &found["hits"]["hits"][0];
    assert_eq!((&hit["_index"], &hit["_source"]["actor"]["user"]["name"], &hit["_score"]), (&"erne-events".into(), &"alice".into(), &1.0.into()));
    assert_eq!(hit["_source"]["@timestamp"], hit["_source"]["time"]);
    let second = post("/_search?from=5&size=2&q=user.name:alice", json!({"_source": ["user.name"], "fields": ["@timestamp"]})).await;
    assert_eq!(ids(&second), ["e0108", "e0106"]);
    assert_eq!(second["hits"]["hits"][0]["_source"], json!({"actor": {"user": {"name": "alice"}}}));
    assert!(second["hits"]["hits"][0]["fields"]["@timestamp"][0].is_string());
    let oldest = post("/_search", json!({"sort": [{"@timestamp": "asc"}], "size": 2, "from": 1})).await;
    assert_eq!(ids(&oldest), ["e0001", "e0002"]);
    assert_eq!(client.ok("GET", "/erne/_count", json!({"query": {"terms": {"event.action": ["ListBuckets"]}}})).await["count"], 40);
    assert_eq!(post("/_search", json!({"size": 0, "track_total_hits": 10})).await["hits"]["total"], json!({"value": 10, "relation": "gte"}));

    // search_after, with a point in time, and a scroll: every event once, newest first.
    let all: Vec<String> = (0..120).rev().map(|n| format!("e{n:04}")).collect();
    let pit = post("/erne-events/_pit?keep_alive=1m", Value::Null).await["id"].clone();
    let (mut seen, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = post("/_search", json!({"size": 50, "sort": [{"@timestamp": "desc"}, "_shard_doc"], "search_after": after, "pit": {"id": pit, "keep_alive": "1m"}})).await;
        let hits = page["hits"]["hits"].as_array().unwrap();
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        if hits.len() < 50 {
            break;
        }
        after = hits.last().unwrap()["sort"].clone();
    }
    assert_eq!(seen, all);
    assert_eq!(client.ok("DELETE", "/_pit", json!({"id": pit})).await["succeeded"], true);
    let mut page = post("/erne-events/_search?scroll=1m&size=50&sort=_doc", json!({"query": {"range": {"@timestamp": {"lte": "now"}}}})).await;
    let mut seen = Vec::new();
    while !ids(&page).is_empty() {
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        page = post("/_search/scroll", json!({"scroll_id": page["_scroll_id"], "scroll": "1m"})).await;
    }
    assert_eq!(seen, all);

    // What Grafana asks for: a histogram with empty buckets, terms within it, a metric within these.
    let (min, max) = (start.millis() - 60_000, start.millis() + 179_999);
    let header = json!({"search_type": "query_then_fetch", "ignore_unavailable": true, "index": "erne-events"});
    let body = json!({
        "size": 0, "query": {"bool": {"filter": [
            {"range": {"@timestamp": {"gte": min, "lte": max, "format": "epoch_millis"}}}, {"query_string": {"analyze_wildcard": true, "query": "*"}},
        ]}},
        "aggs": {"2": {
            "date_histogram": {"field": "@timestamp", "fixed_interval": "60s", "min_doc_count": 0, "extended_bounds": {"min": min, "max": max}, "format": "epoch_millis"},
            "aggs": {"3": {
                "terms": {"field": "source.ip", "size": 2, "order": {"_key": "desc"}, "min_doc_count": 1},
                "aggs": {"1": {"max": {"field": "severity_id"}}, "4": {"cardinality": {"field": "user.name"}}, "5": {"min": {"field": "@timestamp"}}},
            }},
        }},
    });
    let bad = json!({"aggs": {"1": {"percentiles": {"field": "http_response.length"}}}});
    let (status, answer) = client.text("POST", "/_msearch?max_concurrent_shard_requests=5", &format!("{header}\n{body}\n{{}}\n{bad}\n")).await;
    assert_eq!(status, 200, "{answer}");
    let buckets = answer["responses"][0]["aggregations"]["2"]["buckets"].as_array().unwrap();
    let shape: Vec<_> = buckets.iter().map(|b| (b["key"].as_i64().unwrap() - start.millis(), b["doc_count"].as_u64().unwrap())).collect();
    assert_eq!(shape, [(-60_000, 0), (0, 60), (60_000, 60), (120_000, 0)]);
    assert_eq!(buckets[0]["3"], json!({"doc_count_error_upper_bound": 0, "sum_other_doc_count": 0, "buckets": []}));
    let terms = &buckets[1]["3"];
    assert_eq!((&terms["buckets"][0]["key"], &terms["buckets"][0]["doc_count"], &terms["sum_other_doc_count"]), (&"10.0.0.3".into(), &15.into(), &30.into()));
    assert_eq!(terms["buckets"][0]["4"]["value"], 1);
    assert_eq!(terms["buckets"][0]["5"]["value"], (start.millis() + 3_000) as f64);
    assert_eq!(answer["responses"][1]["status"], 400);
    assert_eq!(answer["responses"][1]["error"]["type"], "parsing_exception");

    let aggs = json!({
        "who": {"terms": {"field": "user.name", "order": {"last": "desc"}}, "aggs": {"last": {"max": {"field": "@timestamp"}}}},
        "stop": {"filter": {"term": {"event.action": "StopLogging"}}, "aggs": {"who": {"terms": {"field": "user.name"}}}},
        "parts": {"filters": {"filters": {"stop": {"term": {"event.action": "StopLogging"}}}, "other_bucket_key": "rest"}},
        "users": {"cardinality": {"field": "user.name"}}, "named": {"value_count": {"field": "user.name"}}, "bytes": {"sum": {"field": "http_response.length"}}, "mean": {"avg": {"field": "severity_id"}},
        "months": {"date_histogram": {"field": "@timestamp", "calendar_interval": "month", "min_doc_count": 1}, "aggs": {"mean": {"avg": {"field": "severity_id"}}}, "meta": {"a": 1}},
    });
    let told = post("/_search", json!({"size": 0, "aggs": aggs})).await["aggregations"].clone();
    assert_eq!((&told["who"]["buckets"][0]["key"], &told["who"]["buckets"][0]["doc_count"]), (&"bob".into(), &60.into()));
    assert_eq!((&told["stop"]["doc_count"], &told["stop"]["who"]["buckets"][0]["doc_count"]), (&40.into(), &20.into()));
    assert_eq!((&told["parts"]["buckets"]["stop"]["doc_count"], &told["parts"]["buckets"]["rest"]["doc_count"]), (&40.into(), &80.into()));
    assert_eq!((&told["users"]["value"], &told["named"]["value"], &told["bytes"]["value"]), (&2.into(), &120.into(), &0.0.into()));
    let months: u64 = told["months"]["buckets"].as_array().unwrap().iter().map(|b| b["doc_count"].as_u64().unwrap()).sum();
    assert_eq!((months, &told["months"]["meta"]["a"]), (120, &1.into()));
    assert!(told["mean"]["value"].as_f64() >= Some(1.0) && told["months"]["buckets"][0]["mean"]["value"].as_f64() >= Some(1.0), "{told}");

    assert_eq!(client.ok("GET", "/erne-events/_field_caps?fields=source.ip", Value::Null).await["fields"]["source.ip"]["ip"]["type"], "ip");
    assert_eq!(client.ok("GET", "/erne*/_mapping", Value::Null).await["erne-events"]["mappings"]["properties"]["message"]["type"], "text");
    assert_eq!(client.ok("GET", "/_cluster/health?wait_for_status=yellow&timeout=5s", Value::Null).await["status"], "green");
    assert!(client.text("GET", "/_cat/indices?v=true", "").await.1.as_str().unwrap().contains("erne-events erne 1 0 120"));
    assert_eq!(client.ok("GET", "/erne-events/_doc/e0007", Value::Null).await["_source"]["metadata"]["uid"], "e0007");
    assert_eq!(client.call("GET", "/erne-events/_doc/e9999", Value::Null).await.1["found"], false);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_ask_and_what_is_refused() {
    use base64::Engine;
    let encode = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
    let (door, admin, key, _) = filled().await;
    for authorization in [
        format!("Bearer {key}"),
        format!("ApiKey {key}"),
        format!("ApiKey {}", encode(format!("id:{key}"))),
        format!("Basic {}", encode(format!("anybody:{key}"))),
        format!("Basic {}", encode(format!("admin:{}", door.password))),
    ] {
        let (status, answer) = Client(&door, authorization.clone()).call("GET", "/_count", Value::Null).await;
        assert_eq!((status, &answer["count"]), (200, &120.into()), "{authorization}");
    }
    let (sender, _) = door.make_key(&admin, "sender", &["ingest"]).await;
    for (authorization, wanted) in [
        (format!("Bearer {sender}"), 403),
        (format!("Basic {}", encode("admin:wrong password here".into())), 401),
        ("Basic ?".into(), 401),
        (format!("ApiKey {}", encode("no colon".into())), 401),
        ("Negotiate x".into(), 401),
    ] {
        let (status, answer) = Client(&door, authorization.clone()).call("GET", "/_count", Value::Null).await;
        assert_eq!((status, &answer["error"]["type"]), (wanted, &"security_exception".into()), "{authorization}: {answer}");
    }
    // Elsewhere these schemes are none.
    door.get("/api/v1/overview", &[("Authorization", &format!("ApiKey {key}"))]).await.expect(401);

    let client = Client(&door, format!("Bearer {key}"));
    for (verb, path, body, wanted, kind) in [
        ("POST", "/_search", json!({"query": {"fuzzy": {}}}), 400, "parsing_exception"),
        ("POST", "/_search", json!({"query": {"term": {"user.nmae": "x"}}}), 400, "query_shard_exception"),
        ("POST", "/_search", json!({"size": 10_001}), 400, "illegal_argument_exception"),
        ("POST", "/_search?sizee=1", Value::Null, 400, "illegal_argument_exception"),
        ("POST", "/_search", json!({"search_after": [1, "e0001"], "sort": [{"@timestamp": "desc"}]}), 400, "illegal_argument_exception"),
        ("POST", "/_search", json!({"pit": {"id": "x"}}), 404, "search_context_missing_exception"),
        ("POST", "/_search/scroll", json!({"scroll_id": "x"}), 404, "search_context_missing_exception"),
        ("POST", "/logs/_search", Value::Null, 404, "index_not_found_exception"),
        ("POST", "/_search", json!({"size": 0, "aggs": {"a": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1s", "extended_bounds": {"min": 0, "max": "now"}}}}}), 400, "too_many_buckets_exception"),
        ("POST", "/_bulk", json!({}), 405, "illegal_argument_exception"),
        ("PUT", "/_search", json!({}), 405, "illegal_argument_exception"),
        ("GET", "/_nodes/http", Value::Null, 404, "resource_not_found_exception"),
    ] {
        let (status, answer) = client.call(verb, path, body.clone()).await;
        assert_eq!((status, &answer["error"]["type"], &answer["status"]), (wanted, &kind.into(), &wanted.into()), "{verb} {path} {body}: {answer}");
        assert!(!answer["error"]["reason"].as_str().unwrap_or_default().is_empty());
    }
    let form = [("Authorization", format!("Bearer {key}")), ("Content-Type", "text/plain".into())];
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (*n, v.as_str())).collect();
    assert_eq!(door.call("POST", "/elastic/_search", &form, b"{}").await.status, 415);
    door.close().await;
}
