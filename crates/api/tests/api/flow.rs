//! From a log line to an alert, over the API alone.
use crate::door::{Door, PASSWORD};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const ATTACK: &str = r#"{"Records":[{"eventVersion":"1.08","eventID":"6d3c0001-0000-4000-8000-000000000001","eventTime":"TIME","eventName":"StopLogging","eventSource":"cloudtrail.amazonaws.com","awsRegion":"us-east-1","sourceIPAddress":"203.0.113.7","userAgent":"aws-cli/2.13.25","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::123456789012:user/mallory","accountId":"123456789012","userName":"mallory"},"requestParameters":{"name":"trail"},"responseElements":null,"eventType":"AwsApiCall","recipientAccountId":"123456789012","readOnly":false}]}"#;

async fn eventually(door: &Door, path: &str, headers: &[(&str, &str)], wanted: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let answer = door.get(path, headers).await;
        let value = answer.expect(200).json();
        if wanted(&value) {
            return value;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{path}: {value}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attack_becomes_an_alert_that_an_analyst_closes() {
    let door = Door::open().await;
    let admin = door.admin().await;
    door.make_user(&admin, "ana", "analyst", PASSWORD).await;
    let (key, _) = door.make_key(&admin, "trail-sender", &["ingest"]).await;
    let body = ATTACK.replace("TIME", &door.platform.now().to_string());
    let headers = [("X-API-Key", &*key), ("Idempotency-Key", "batch-1")];
    let first = door.call("POST", "/api/v1/ingest?source=trail", &headers, body.as_bytes()).await;
    let first = first.expect(202).json();
    assert_eq!((&first["status"], &first["duplicate"]), (&json!("accepted"), &json!(false)));
    let again = door.call("POST", "/api/v1/ingest?source=trail", &headers, body.as_bytes()).await;
    let again = again.expect(202).json();
    assert_eq!((&again["duplicate"], &again["first_offset"]), (&json!(true), &first["first_offset"]));

    let ana = door.login("ana", PASSWORD).await;
    let ana = ana.headers();
    let alerts = eventually(&door, "/api/v1/alerts?state=open", &ana, |v| v["items"].as_array().is_some_and(|a| !a.is_empty())).await;
    let id = alerts["items"][0]["id"].as_str().unwrap().to_owned();
    let event = eventually(&door, "/api/v1/search?q=user.name:mallory", &ana, |v| v["items"].as_array().is_some_and(|a| !a.is_empty())).await;
    assert_eq!(event["items"].as_array().unwrap().len(), 1, "a retried request makes no second event");
    assert_eq!(event["items"][0]["metadata"]["log_name"], "trail", "what the sender says; the key's name where it says nothing");
    let uid = event["items"][0]["metadata"]["uid"].as_str().unwrap();
    assert_eq!(door.get(&format!("/api/v1/events/{uid}"), &ana).await.expect(200).json()["api"]["operation"], "StopLogging");
    let detail = door.get(&format!("/api/v1/alerts/{id}"), &ana).await.expect(200).json();
    assert_eq!(detail["events"][0]["metadata"]["uid"], uid);
    assert!(!detail["findings"][0]["explanation"]["conditions"].as_array().unwrap().is_empty());
    assert_eq!(door.get(&format!("/api/v1/findings?alert={id}"), &ana).await.expect(200).json()["items"][0]["user"], "mallory");

    let change = json!({"ids": [id], "state": "closed", "reason": "a drill"});
    let closed = door.post_json("/api/v1/alerts/state", &ana, change).await.expect(200).json();
    assert_eq!(closed["items"][0]["state"], "closed");
    assert_eq!(closed["items"][0]["history"][0]["actor"], "ana");
    reference_paths(&door, &ana).await;
    door.close().await;
}

async fn reference_paths(door: &Door, ana: &[(&str, &str)]) {
    let get = async |path: &str| door.get(path, ana).await.expect(200).json();
    let stats = get("/api/stats").await;
    for member in ["realtime", "severity_distribution", "database", "top_threats", "timestamp"] {
        assert!(!stats[member].is_null(), "{member}");
    }
    assert_eq!(stats["severity_distribution"].as_object().unwrap().len(), 4);
    assert_eq!(get("/api/events/recent?limit=5").await["events"][0]["event_name"], "StopLogging");
    let threat = get("/api/threats/recent").await["threats"][0].clone();
    assert!(threat["mitre_attack"].as_str().is_none_or(|m| m.contains(" - ")), "{threat}");
    assert_eq!(threat["user_name"], "mallory");
    let timeline = get("/api/analytics/timeline").await;
    let (hour, counts) = timeline["timeline"].as_object().unwrap().iter().next_back().unwrap();
    assert!(hour.ends_with("+00:00") && counts["CRITICAL"].is_u64(), "{timeline}");
    assert_eq!(get("/api/analytics/top-users").await["users"][0]["user_name"], "mallory");
    assert_eq!(get("/api/analytics/top-ips").await["ips"][0]["source_ip"], "203.0.113.7");
    assert!(get("/api/mitre-attack/coverage").await["techniques"][0]["count"].is_u64());
    assert!(get("/api/alerts/active").await["alerts"].is_array());
    let query = json!({"start_time": null, "end_time": null, "severity": null, "event_name": "StopLogging", "user_name": null, "source_ip": null, "limit": 100});
    let found = door.post_json("/api/events/query", ana, query.clone()).await.expect(200).json();
    assert_eq!(found["count"], 1);
    let mut other = query;
    other["event_name"] = "Nothing".into();
    assert_eq!(door.post_json("/api/events/query", ana, other).await.expect(200).json()["count"], 0);
    let threats = json!({"user_name": "mallory"});
    assert!(door.post_json("/api/threats/query", ana, threats).await.expect(200).json()["count"].as_u64().unwrap() >= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sentinel_generator_works_from_this_machine_and_from_no_page() {
    let door = Door::open().await;
    let log = json!({"service": "payment-gateway", "status_code": 200, "message": "Transaction verified", "timestamp": "2023-10-25T10:30:00Z"});
    let answer = door.post_json("/api/logs", &[], log.clone()).await;
    assert_eq!(answer.expect(202).json()["status"], "accepted");
    // A page in the same machine's browser, a rebound domain, a proxy in front: none of them is local.
    door.post_json("/api/logs", &[("Origin", "http://evil.example")], log.clone()).await.expect(401);
    door.post_json("/api/logs", &[("Host", "evil.example"), ("Origin", "http://evil.example")], log.clone()).await.expect(401);
    door.post_json("/api/logs", &[("X-Forwarded-For", "198.51.100.1")], log.clone()).await.expect(401);
    // The general door always asks.
    door.call("POST", "/api/v1/ingest", &[], b"x").await.expect(401);
    let admin = door.admin().await;
    let wrong = door.call("POST", "/api/v1/ingest?format=cloudtrial", &admin.headers(), b"x").await;
    assert!(wrong.expect(400).text().contains("did you mean cloudtrail?"));
    let endless = format!("/api/v1/ingest?source={}", "x".repeat(200));
    door.call("POST", &endless, &admin.headers(), b"x").await.expect(400);
    door.close().await;
}
