//! Rules over the API: what they can match, what they would do, why they fire, and what runs after an edit.
use crate::door::{Answer, Door, Session};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const STOP: &str = r#"{"eventVersion":"1.08","eventID":"UID","eventTime":"TIME","eventName":"StopLogging","eventSource":"cloudtrail.amazonaws.com","awsRegion":"us-east-1","sourceIPAddress":"203.0.113.7","userAgent":"aws-cli/2.13.25","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::123456789012:user/USER","accountId":"123456789012","userName":"USER"},"requestParameters":{"name":"trail"},"responseElements":null,"eventType":"AwsApiCall","recipientAccountId":"123456789012","readOnly":false}"#;

const RULE: &str = "title: Trail stopped by mallory\nid: 5f0c0001-0000-4000-8000-000000000001\nname: stopped\nlevel: high\nlogsource: {product: aws, service: cloudtrail}\n\
    detection:\n  selection: {eventName: StopLogging}\n  other: {userIdentity.userName: mallory}\n  condition: selection and other\n";

fn event(uid: &str, time: &str, user: &str) -> String {
    STOP.replace("UID", uid).replace("TIME", time).replace("USER", user)
}

/// Sends events and waits until searches see them.
async fn sent(door: &Door, admin: &Session, lines: &[String]) {
    let (key, _) = door.make_key(admin, "sender", &["ingest"]).await;
    let body = lines.join("\n");
    door.call("POST", "/api/v1/ingest?source=trail&format=cloudtrail", &[("X-API-Key", &*key)], body.as_bytes()).await.expect(202);
    let began = Instant::now();
    loop {
        let found = door.get("/api/v1/search?limit=1000", &admin.headers()).await.expect(200).json();
        if found["items"].as_array().unwrap().len() >= lines.len() {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{found}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn post(door: &Door, admin: &Session, path: &str, body: Value) -> Answer {
    door.post_json(path, &admin.headers(), body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_says_what_it_is_and_can_match() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let rules = door.get("/api/v1/rules", &admin.headers()).await.expect(200).json();
    let list = rules["items"].as_array().unwrap();
    assert!(list.iter().any(|rule| rule["kind"] == "intel"), "threat lists are rules too");
    for kind in ["sigma", "correlation", "intel"] {
        let rule = list.iter().find(|rule| rule["kind"] == kind).unwrap();
        let id = rule["id"].as_str().unwrap().replace(':', "%3A");
        let told = door.get(&format!("/api/v1/rules/{id}"), &admin.headers()).await.expect(200).json();
        assert_eq!((&told["rule"]["id"], &told["can_match"]), (&rule["id"], &json!(true)), "{told}");
        assert_eq!(told["text"] == "", kind == "intel", "{told}");
        assert_eq!(told["correlation"].is_null(), kind != "correlation");
        assert!(!told["why"].as_str().unwrap().is_empty() && !told["fields"].as_array().unwrap().is_empty());
    }
    door.get("/api/v1/rules/nosuch", &admin.headers()).await.expect(404);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_of_rules_are_checked() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let check = async |text: &str| post(&door, &admin, "/api/v1/rules/check", json!({"text": text})).await;
    let good = check(RULE).await.expect(200).json();
    assert_eq!((good["rules"].as_array().unwrap().len(), &good["issues"]), (1, &json!([])));
    let bad = check(&RULE.replace("eventName:", "eventName|nonsense:")).await.expect(200).json();
    assert_eq!((&bad["rules"], &bad["issues"][0]["line"]), (&json!([]), &json!(7)), "{bad}");
    // A correlation over a rule of the content pack.
    let rules = door.get("/api/v1/rules", &admin.headers()).await.expect(200).json();
    let base = rules["items"].as_array().unwrap().iter().find(|rule| rule["kind"] == "sigma").unwrap()["id"].as_str().unwrap();
    let over = |base: &str| format!("title: C\nid: c\nlevel: low\ncorrelation:\n  type: event_count\n  rules: [{base}]\n  group-by: [src_endpoint.ip]\n  timespan: 5m\n  condition: {{gte: 3}}\n");
    let joined = check(&over(base)).await.expect(200).json();
    assert_eq!((&joined["issues"], &joined["rules"][0]["id"]), (&json!([]), &json!("c")), "{joined}");
    let lost = check(&over("nosuch")).await.expect(200).json();
    assert!(lost["issues"][0]["message"].as_str().unwrap().contains("nosuch"), "{lost}");
    check(&"#".repeat(300 << 10)).await.expect(413);
    post(&door, &admin, "/api/v1/rules/check", json!({"texts": ""})).await.expect(400);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_are_replayed_over_what_is_stored_without_effect() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let now = door.platform.now();
    let at = |back: i64| now.plus_secs(-back).to_string();
    let mut lines: Vec<String> = (0..6).map(|i| event(&format!("u{i}"), &at(30 + i), "mallory")).collect();
    lines.push(event("u9", &at(40), "alice"));
    sent(&door, &admin, &lines).await;
    let findings = async |query: &str| door.get(&format!("/api/v1/findings?limit=1000{query}"), &admin.headers()).await.expect(200).json()["items"].as_array().unwrap().len();
    // The content pack has its own rule about this call.
    let began = Instant::now();
    while findings("").await < lines.len() {
        assert!(began.elapsed() < Duration::from_secs(20), "the findings of the running rules do not come");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let replay = async |body: Value| {
        let mut body = body;
        body["from"] = at(3_600).into();
        body["to"] = at(-3_600).into();
        post(&door, &admin, "/api/v1/rules/replay", body).await
    };
    let told = replay(json!({"text": RULE})).await.expect(200).json();
    assert_eq!((&told["events"], &told["matches"], &told["truncated"]), (&json!(7), &json!(6), &json!(false)), "{told}");
    assert!((1..=2).contains(&told["alerts"].as_u64().unwrap()), "one user, but an hour may end between: {told}");
    assert_eq!(told["entities"], json!([{"entity": {"kind": told["entities"][0]["entity"]["kind"], "value": told["entities"][0]["entity"]["value"]}, "count": 6}]));
    assert_eq!(told["samples"].as_array().unwrap().len(), 6);
    let days: u64 = told["per_day"].as_array().unwrap().iter().map(|day| day["findings"].as_u64().unwrap()).sum();
    assert_eq!((days, &told["notes"]), (6, &json!([])));

    let burst = format!("{RULE}---\ntitle: Burst\nid: burst\nlevel: high\ncorrelation:\n  type: event_count\n  rules: [stopped]\n  group-by: [userIdentity.userName]\n  timespan: 5m\n  condition: {{gte: 5}}\n");
    let told = replay(json!({"text": burst})).await.expect(200).json();
    assert!(told["samples"].as_array().unwrap().iter().any(|finding| finding["rule"]["id"] == "burst"), "{told}");
    for rule in ["5f0c0001-0000-4000-8000-000000000001", "burst"] {
        assert_eq!(findings(&format!("&rule={rule}")).await, 0, "a replay leaves nothing behind");
    }

    let running = door.get("/api/v1/findings?limit=1", &admin.headers()).await.expect(200).json()["items"][0]["rule"]["id"].clone();
    let told = replay(json!({"rule_id": running})).await.expect(200).json();
    assert!(told["matches"].as_u64().unwrap() > 0, "{told}");
    replay(json!({"rule_id": "nosuch"})).await.expect(404);
    replay(json!({"text": "title: X"})).await.expect(400);
    replay(json!({})).await.expect(400);
    replay(json!({"rule_id": "a", "text": "b"})).await.expect(400);
    let backwards = json!({"text": RULE, "from": at(0), "to": at(60)});
    post(&door, &admin, "/api/v1/rules/replay", backwards).await.expect(400);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_match_is_explained_for_stored_and_given_events() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let now = door.platform.now().to_string();
    sent(&door, &admin, &[event("u1", &now, "alice")]).await;
    let explain = async |body: Value| post(&door, &admin, "/api/v1/explain", body).await;
    let told = explain(json!({"text": RULE, "event_uid": "u1"})).await.expect(200).json();
    assert_eq!((&told["matched"], &told["log_source_matches"], &told["excepted_by"]), (&json!(false), &json!(true), &Value::Null), "{told}");
    let steps: Vec<_> = told["steps"].as_array().unwrap().iter().map(|s| (s["field"].as_str().unwrap(), s["matched"].as_bool().unwrap())).collect();
    assert_eq!(steps, [("eventName", true), ("userIdentity.userName", false)]);
    assert_eq!(told["steps"][1]["actual"], json!(["alice"]));
    let told = explain(json!({"text": RULE, "raw": event("u2", &now, "mallory")})).await.expect(200).json();
    assert_eq!((&told["matched"], &told["rule"]["name"]), (&json!(true), &json!("Trail stopped by mallory")));
    let told = explain(json!({"text": RULE, "raw": "Nov 20 10:00:00 h sshd[1]: hello", "format": "auth_log"})).await.expect(200).json();
    assert_eq!((&told["matched"], &told["log_source_matches"]), (&json!(false), &json!(false)));
    explain(json!({"text": RULE, "event_uid": "nosuch"})).await.expect(404);
    explain(json!({"rule_id": "nosuch", "event_uid": "u1"})).await.expect(404);
    explain(json!({"text": RULE})).await.expect(400);
    explain(json!({"text": RULE, "raw": "x", "format": "nosuch"})).await.expect(400);
    explain(json!({"text": RULE, "raw": "one\ntwo"})).await.expect(400);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coverage_is_a_layer_for_the_navigator() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let answer = door.get("/api/v1/coverage/navigator", &admin.headers()).await;
    answer.expect(200);
    assert!(answer.header("content-disposition").unwrap().contains("attachment"));
    let layer = answer.json();
    let coverage = door.get("/api/v1/coverage", &admin.headers()).await.expect(200).json();
    assert_eq!(layer["techniques"].as_array().unwrap().len(), coverage["items"].as_array().unwrap().len());
    assert_eq!((&layer["versions"]["layer"], &layer["domain"]), (&json!("4.5"), &json!("enterprise-attack")));
    assert_eq!(layer["techniques"][0]["score"], coverage["items"][0]["rules"]);
    door.get("/api/v1/coverage/navigator?score=findings", &admin.headers()).await.expect(200);
    door.get("/api/v1/coverage/navigator?score=nosuch", &admin.headers()).await.expect(400);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exceptions_take_force_at_once_and_are_counted() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let exception = |id: &str, conditions: Value| engine::Exception {
        id: id.into(),
        rule_id: None,
        conditions: serde_json::from_value(conditions).unwrap(),
        expires_at: None,
    };
    let bad = exception("bad", json!({"a|nonsense": "x"}));
    assert!(door.platform.check_exception(&bad).unwrap().message.contains("nonsense"));
    let good = exception("good", json!({"userIdentity.userName": "mallory"}));
    assert_eq!(door.platform.check_exception(&good), None);
    let issues = door.platform.set_exceptions(vec![good, bad]);
    assert_eq!(issues.len(), 1);
    let ready = door.get("/readyz", &[]).await.expect(200).json();
    assert!(ready["notices"].to_string().contains("nonsense"), "{ready}");
    let now = door.platform.now().to_string();
    sent(&door, &admin, &[event("u1", &now, "mallory"), event("u2", &now, "alice")]).await;
    let marked = async |uid: &str| door.get(&format!("/api/v1/events/{uid}"), &admin.headers()).await.expect(200).json()["finding_info"]["rules"].is_array();
    assert!(!marked("u1").await && marked("u2").await);
    let hits = door.platform.exception_hits();
    assert!(hits[0].hits > 0 && &*hits[0].id == "good" && hits[0].last_hit.is_some(), "{hits:?}");
    let told = post(&door, &admin, "/api/v1/explain", json!({"text": RULE, "event_uid": "u1"})).await.expect(200).json();
    assert_eq!((&told["matched"], &told["excepted_by"]), (&json!(true), &json!("good")));
    assert_eq!(door.platform.exception_hits(), hits, "an explanation is no hit");
    assert!(door.platform.set_exceptions(Vec::new()).is_empty());
    assert_eq!(door.get("/readyz", &[]).await.expect(200).json()["notices"].to_string().contains("nonsense"), false);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exception_made_over_the_api_is_in_force_within_a_second_and_tells_its_hits() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let asked = json!({"rule_id": null, "where": {"userIdentity.userName": "mallory"}, "reason": "a drill", "expires_at": null});
    let made = post(&door, &admin, "/api/v1/exceptions", asked).await.expect(201).json();
    let began = Instant::now();
    while door.platform.exception_hits().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(20), "the exception is not in force");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let now = door.platform.now().to_string();
    sent(&door, &admin, &[event("u1", &now, "mallory"), event("u2", &now, "alice")]).await;
    let ids = door.get("/api/v1/events/u1", &admin.headers()).await.expect(200).json();
    assert!(ids["finding_info"]["rules"].is_null(), "{ids}");
    let listed = loop {
        let listed = door.get("/api/v1/exceptions", &admin.headers()).await.expect(200).json();
        if listed["items"][0]["hits"].as_u64().unwrap() > 0 {
            break listed;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{listed}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(listed["items"][0]["last_hit"].is_string() && listed["items"][0]["id"] == made["id"]);
    let gone = door.call("DELETE", &format!("/api/v1/exceptions/{}", made["id"].as_str().unwrap()), &admin.headers(), b"").await;
    gone.expect(204);
    while !door.platform.exception_hits().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(40), "the exception is still in force");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    door.close().await;
}
