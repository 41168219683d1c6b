//! Searches over the API: the query language, pages, counts, what is around an event and what it led to.
use crate::door::{Door, Session};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn record(n: usize, name: &str, user: &str, ip: &str, time: event::Timestamp) -> String {
    json!({
        "eventVersion": "1.08", "eventID": format!("e{n:04}"), "eventTime": time.to_string(), "eventName": name,
        "eventSource": "cloudtrail.amazonaws.com", "awsRegion": "eu-central-1", "sourceIPAddress": ip, "userAgent": "aws-cli/2.13.25",
        "eventType": "AwsApiCall", "recipientAccountId": "123456789012", "readOnly": false,
        "userIdentity": {"type": "IAMUser", "arn": format!("arn:aws:iam::123456789012:user/{user}"), "accountId": "123456789012", "userName": user},
        "requestParameters": {"name": "trail"}, "responseElements": null,
    })
    .to_string()
}

async fn send(door: &Door, key: &str, source: &str, lines: &[String]) {
    let path = format!("/api/v1/ingest?source={source}&format=cloudtrail");
    door.call("POST", &path, &[("X-API-Key", key)], lines.join("\n").as_bytes()).await.expect(202);
}

async fn total(door: &Door, admin: &Session, wanted: u64) {
    let began = Instant::now();
    loop {
        let found = door.get("/api/v1/search?limit=0", &admin.headers()).await.expect(200).json();
        if found["total"] == json!({"value": wanted, "exact": true}) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{found}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn ids(answer: &Value) -> Vec<String> {
    answer["items"].as_array().unwrap().iter().map(|e| e["metadata"]["uid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_finds_counts_and_leads_on() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let headers = admin.headers();
    let (key, _) = door.make_key(&admin, "sender", &["ingest"]).await;
    let start = door.platform.now().plus_secs(-3_600);
    let lines: Vec<String> = (0..120)
        .map(|n| {
            let (name, user) = (["DescribeTrails", "ListBuckets", "StopLogging"][n % 3], ["alice", "bob"][n % 2]);
            record(n, name, user, &format!("10.0.0.{}", n % 4), start.plus_secs(n as i64))
        })
        .collect();
    send(&door, &key, "trail", &lines[..100]).await;
    send(&door, &key, "other", &lines[100..]).await;
    total(&door, &admin, 120).await;
    let get = async |path: &str| door.get(path, &headers).await.expect(200).json();

    let found = get("/api/v1/search?q=user.name:alice%20AND%20NOT%20event.action:StopLogging&limit=1000&histogram=60&fields=event.action,source.ip&top=3").await;
    let want: Vec<String> = (0..120).rev().filter(|n| n % 2 == 0 && n % 3 != 2).map(|n| format!("e{n:04}")).collect();
    assert_eq!(ids(&found), want);
    assert_eq!(found["total"], json!({"value": 40, "exact": true}));
    let buckets = found["histogram"]["buckets"].as_array().unwrap();
    let counted: u64 = buckets.iter().flat_map(|b| b["counts"].as_object().unwrap().values()).map(|n| n.as_u64().unwrap()).sum();
    assert_eq!((counted, &found["histogram"]["bucket_secs"]), (40, &60.into()));
    assert_eq!(found["fields"][0]["field"], "api.operation");
    assert_eq!(found["fields"][0]["values"], json!([{"value": "DescribeTrails", "count": 20}, {"value": "ListBuckets", "count": 20}]));
    assert_eq!((&found["fields"][1]["distinct"], &found["fields"][1]["present"], &found["fields"][1]["error"]), (&2.into(), &40.into(), &0.into()));
    assert!(found["took_ms"].is_u64() && found["scanned"]["rows"].as_u64() >= Some(40));
    let posted = door.post_json("/api/v1/search", &headers, json!({"q": "\"stoplogging\" AND user.name:(alice OR carol)", "limit": 5, "histogram": "auto"})).await;
    let posted = posted.expect(200).json();
    assert_eq!((&posted["total"]["value"], ids(&posted).len()), (&20.into(), 5));
    assert!(posted["next_cursor"].is_string() && posted["histogram"]["bucket_secs"].is_u64());

    let told = door
        .post_json("/api/v1/search/aggregate", &headers, json!({"q": "*", "by": [{"field": "user.name"}, {"field": "event.action"}], "metrics": [{"count": true}, {"max": "severity_id"}, {"min": "@timestamp"}]}))
        .await;
    let told = told.expect(200).json();
    assert_eq!(told["columns"], json!(["actor.user.name", "api.operation", "count", "max(severity_id)", "min(time)"]));
    assert_eq!((told["rows"].as_array().unwrap().len(), &told["groups"], &told["rows"][0][2]), (6, &6.into(), &20.into()));

    let around = get("/api/v1/events/e0050/around?before=2&after=1").await;
    assert_eq!(ids(&around), ["e0048", "e0049", "e0050", "e0051"]);
    assert_eq!(ids(&get("/api/v1/events/e0100/around?before=5&after=1").await), ["e0100", "e0101"], "of the same source only");
    door.get("/api/v1/events/e9999/around", &headers).await.expect(404);
    door.get("/api/v1/events/e9999/findings", &headers).await.expect(404);
    let began = Instant::now();
    let alerts = loop {
        assert!(began.elapsed() < Duration::from_secs(20));
        let alerts = get("/api/v1/events/e0002/findings").await;
        if !alerts["items"].as_array().unwrap().is_empty() {
            break alerts;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(alerts["items"][0]["rule"]["name"].is_string());
    assert_eq!(get("/api/v1/events/e0001/findings").await["items"], json!([]), "nothing was found in it");

    let columns = get("/api/v1/search/columns").await;
    assert!(columns["items"].as_array().unwrap().iter().any(|c| c["path"] == "raw_data" && c["prose"] == true && c["kind"] == "text"));
    assert_eq!(get("/api/v1/search/check?q=user.name:alice").await["ok"], true);
    let wrong = get("/api/v1/search/check?q=user.nmae:alice").await;
    assert_eq!((&wrong["ok"], &wrong["column"], wrong["hint"].as_str()), (&false.into(), &0.into(), Some("did you mean user.name?")));
    for body in [json!({"histogram": 0}), json!({"limit": 1001}), json!({"top": 0}), json!({"fields": ["nothing"]}), json!({"fields": vec!["status"; 65]}), json!({"from": "soon"}), json!({"filter": "x"})] {
        door.post_json("/api/v1/search", &headers, body).await.expect(400);
    }
    for body in [json!({"by": [{}]}), json!({"by": [{"time": 0}]}), json!({"metrics": [{"sum": "user.name"}]}), json!({"limit": 0})] {
        door.post_json("/api/v1/search/aggregate", &headers, body).await.expect(400);
    }
    door.call("GET", "/api/v1/search", &[], b"").await.expect(401);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_go_on_where_they_ended_while_events_come_in() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let (key, _) = door.make_key(&admin, "sender", &["ingest"]).await;
    let start = door.platform.now().plus_secs(-7_200);
    let lines: Vec<String> = (0..300).map(|n| record(n, "ListBuckets", "alice", "10.0.0.1", start.plus_secs(n as i64 / 7))).collect();
    send(&door, &key, "trail", &lines).await;
    total(&door, &admin, 300).await;
    let (mut got, mut cursor, mut sent) = (Vec::new(), String::new(), 300);
    loop {
        let page = door.get(&format!("/api/v1/search?q=user.name:alice&limit=17{cursor}"), &admin.headers()).await.expect(200).json();
        got.extend(ids(&page));
        let later: Vec<String> = (sent..sent + 5).map(|n| record(n, "ListBuckets", "alice", "10.0.0.1", start.plus_secs(3_600 + n as i64))).collect();
        send(&door, &key, "trail", &later).await;
        sent += 5;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let old: Vec<&String> = got.iter().filter(|id| id.as_str() < "e0300").collect();
    // Events of one second lie in the order of the log.
    assert_eq!(old, (0..300).rev().map(|n| format!("e{n:04}")).collect::<Vec<_>>().iter().collect::<Vec<_>>());
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_ends_with_the_caller_that_waits_for_it() {
    let door = Door::open().await;
    let (said, ended) = std::sync::mpsc::channel();
    let endless = door.platform.ask(move |reading| {
        let error = loop {
            if let Err(error) = reading.query(&engine::lake::Query { limit: 1, ..Default::default() }) {
                break error;
            }
        };
        said.send(matches!(error, engine::lake::LakeError::Cancelled)).unwrap();
        Ok(())
    });
    assert!(tokio::time::timeout(Duration::from_millis(200), endless).await.is_err(), "it is still at work");
    // The future is dropped by now; the thread that worked for it notices.
    let cancelled = tokio::task::spawn_blocking(move || ended.recv_timeout(Duration::from_secs(20))).await.unwrap();
    assert_eq!(cancelled, Ok(true));
    door.close().await;
}
