//! An attack in several steps, about an address first and then about a user: one incident, in order.

use crate::server::{Client, Server};
use serde_json::{Value, json};

fn ago(secs: i64) -> String {
    (jiff::Timestamp::now() - jiff::SignedDuration::from_secs(secs)).to_string()
}

fn call(id: &str, time: String, source: &str, name: &str, user: &str, ip: &str, more: Value) -> Value {
    let mut event = json!({
        "eventVersion": "1.08", "eventID": id, "eventTime": time, "eventName": name, "eventSource": source,
        "awsRegion": "eu-central-1", "sourceIPAddress": ip, "userAgent": "aws-cli/2.13.25", "eventType": "AwsApiCall",
        "recipientAccountId": "123456789012", "readOnly": false, "requestParameters": {}, "responseElements": null,
        "userIdentity": {"type": "IAMUser", "arn": format!("arn:aws:iam::123456789012:user/{user}"),
            "accountId": "123456789012", "userName": user},
    });
    for (key, value) in more.as_object().unwrap() {
        event[key] = value.clone();
    }
    event
}

fn login(id: &str, time: String, user: &str, ip: &str) -> Value {
    let more = json!({"eventType": "AwsConsoleSignIn", "responseElements": {"ConsoleLogin": "Success"}, "additionalEventData": {"MFAUsed": "No"}});
    call(id, time, "signin.amazonaws.com", "ConsoleLogin", user, ip, more)
}

fn send(client: &Client, event: &Value) {
    let (status, answer) = client.post("/api/v1/ingest?source=trail", &[], event.to_string().as_bytes()).unwrap();
    assert_eq!(status, 202, "{answer}");
}

#[test]
fn an_attack_in_steps_is_one_incident_with_its_tactics_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path());
    let client = server.client();
    let ip = "203.0.113.66";
    let shared = json!({"requestParameters": {"snapshotId": "snap-1", "createVolumePermission": {"add": {"items": [{"userId": "999999999999"}]}}}});
    let chain = [
        login("step-1", ago(900), "mallory", ip),
        call("step-2", ago(600), "iam.amazonaws.com", "CreateAccessKey", "mallory", ip, json!({})),
        call("step-3", ago(300), "cloudtrail.amazonaws.com", "StopLogging", "mallory", ip, json!({"requestParameters": {"name": "trail"}})),
        call("step-4", ago(60), "ec2.amazonaws.com", "ModifySnapshotAttribute", "mallory", ip, shared),
    ];
    for event in &chain {
        send(&client, event);
    }
    // Somebody else, from elsewhere: a lone medium alert stays one.
    send(&client, &login("other", ago(500), "bob", "198.51.100.4"));
    client.settle();
    let page = client.until("/api/v1/incidents?", |page| {
        page["items"].as_array().unwrap().iter().any(|i| i["tactics"].as_array().unwrap().iter().any(|t| t == "exfiltration"))
    });
    assert_eq!(page["total"], 1, "{page:#}");
    let incident = &page["items"][0];
    let tactics: Vec<&str> = incident["tactics"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    let place = |tactic: &str| tactics.iter().position(|t| *t == tactic).unwrap_or_else(|| panic!("no {tactic} in {tactics:?}"));
    let order = ["initial-access", "persistence", "defense-evasion", "exfiltration"].map(place);
    assert!(order.is_sorted(), "{tactics:?}");
    assert_eq!(incident["severity"], "critical", "high, and one up for tactics in an attack's order");
    let title = incident["title"].as_str().unwrap();
    assert!(title.starts_with("Initial access, then ") && title.ends_with(", by mallory from 203.0.113.66"), "{title}");
    assert!(incident["risk"].as_u64() > Some(0), "{incident}");

    let path = format!("/api/v1/incidents/{}", incident["id"].as_str().unwrap());
    let detail = client.get(&path);
    let alerts = detail["alerts"].as_array().unwrap();
    assert!(alerts.len() >= 4 && alerts.iter().all(|a| a["incident"] == incident["id"]), "{detail:#}");
    assert!(alerts.iter().all(|a| a["user"] == "mallory" || a["entity"]["value"] == ip || a["entity"]["value"] == "mallory"));
    assert!(alerts.is_sorted_by_key(|a| a["first_seen"].as_str().unwrap()));
    let entity = client.get("/api/v1/entities/user/mallory");
    assert_eq!(entity["incidents"][0]["id"], incident["id"]);
    assert!(entity["risk"].as_u64() > Some(50), "{}", entity["risk"]);
    let riskiest = client.get("/api/v1/entities?limit=1");
    assert_eq!(riskiest["items"][0]["entity"], json!({"kind": "user", "value": "mallory"}));
    let bob = client.get("/api/v1/alerts?q=bob");
    assert!(bob["total"].as_u64() > Some(0) && bob["items"][0]["incident"].is_null(), "{bob:#}");
    let metrics = client.agent.get(format!("{}/metrics", client.url)).call().unwrap().body_mut().read_to_string().unwrap();
    assert!(metrics.contains("erne_incidents_total{"), "incidents are counted");

    // Killed and started again: the same incident, once.
    server.kill();
    let server = Server::start(dir.path());
    let client = server.client();
    client.settle();
    assert_eq!(client.get(&path)["incident"], detail["incident"]);
    assert_eq!(client.get("/api/v1/incidents?")["total"], 1);
}
