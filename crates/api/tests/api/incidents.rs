//! Incidents, entities and exceptions over the API: what they answer, and what they refuse.
use crate::door::{Door, PASSWORD};
use event::{Entity, EntityKind, Explanation, Finding, FindingStatus, Handling, Id, Rule, RuleKind, Severity, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;

fn rule(id: &str, level: Severity, tactic: &str, signal: bool) -> Arc<Rule> {
    Arc::new(Rule {
        id: id.into(),
        name: format!("Rule {id}").into(),
        kind: RuleKind::Sigma,
        level,
        description: String::new(),
        techniques: vec!["T1110".into()],
        tactics: vec![tactic.into()],
        false_positives: vec![],
        references: vec![],
        author: String::new(),
        file: String::new(),
        handling: Handling { signal, ..Handling::default() },
    })
}

fn finding(rule: &Arc<Rule>, user: &str, time: Timestamp) -> Finding {
    Finding {
        id: Id::of(&[rule.id.as_bytes(), user.as_bytes()]),
        time,
        rule: rule.clone(),
        level: rule.level,
        entity: Entity::new(EntityKind::User, user),
        event_ids: vec!["e1".into()],
        positions: vec![],
        event_count: 3,
        window: None,
        explanation: Explanation { summary: format!("{user} did it"), conditions: vec![] },
        status: FindingStatus::Final,
        revision: 0,
        replaces: None,
        user: Some(user.into()),
        source_ip: Some("203.0.113.7".into()),
        event_name: None,
        place: None,
    }
}

/// A signal, then an alert, of two tactics, about a user; and a lone signal about another.
async fn attacked(door: &Door) {
    let now = door.platform.now();
    let (quiet, loud) = (rule("quiet", Severity::Low, "discovery", true), rule("loud", Severity::Medium, "impact", false));
    let findings = [finding(&quiet, "mallory", now.plus_secs(-60)), finding(&loud, "mallory", now), Finding { source_ip: None, ..finding(&quiet, "bob", now) }];
    door.platform.control().project(&findings, 0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_is_listed_shown_triaged_and_assigned() {
    let door = Door::open().await;
    attacked(&door).await;
    let admin = door.admin().await;
    door.make_user(&admin, "ana", "analyst", PASSWORD).await;
    let ana = door.login("ana", PASSWORD).await;
    let ana = ana.headers();
    let get = async |path: &str| door.get(path, &ana).await.expect(200).json();
    let page = get("/api/v1/incidents?state=open&severity_min=low&q=mallory&limit=5").await;
    assert_eq!((&page["total"], &page["next_cursor"]), (&json!(1), &Value::Null));
    let incident = &page["items"][0];
    assert_eq!(incident["title"], "Discovery, then impact, by mallory from 203.0.113.7");
    assert_eq!((&incident["alert_count"], &incident["signal_count"], &incident["event_count"]), (&json!(1), &json!(1), &json!(6)));
    let id = incident["id"].as_str().unwrap();
    let detail = get(&format!("/api/v1/incidents/{id}")).await;
    assert_eq!(detail["alerts"][0]["rule"]["handling"]["signal"], true, "signals among them, oldest first");
    assert_eq!(detail["alerts"][1]["incident"], id);
    let alert = detail["alerts"][1]["id"].as_str().unwrap();
    assert_eq!(get(&format!("/api/v1/alerts/{alert}")).await["alert"]["incident"], id);

    let closed = door.post_json("/api/v1/incidents/state", &ana, json!({"ids": [id], "state": "closed", "reason": " a drill "})).await.expect(200).json();
    assert_eq!((&closed["items"][0]["state"], &closed["items"][0]["history"][0]["reason"]), (&json!("closed"), &json!("a drill")));
    assert_eq!(get("/api/v1/incidents?state=open").await["total"], 0);
    let path = format!("/api/v1/incidents/{id}/assignee");
    let assigned = door.post_json(&path, &ana, json!({"assignee": "ana"})).await.expect(200).json();
    assert_eq!((&assigned["assignee"], &assigned["history"][1]["reason"]), (&json!("ana"), &json!("assigned to ana")));
    let nobody = door.post_json(&path, &ana, json!({"assignee": null})).await.expect(200).json();
    assert!(nobody["assignee"].is_null());
    let log = door.platform.control().audit_entries(10, None).await.unwrap().items;
    let said: Vec<_> = log.iter().map(|e| (e.actor.as_str(), e.action.as_str())).take(3).collect();
    assert_eq!(said, [("ana", "incident.assign"), ("ana", "incident.assign"), ("ana", "incident.state")]);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_incidents_refuse_says_why() {
    let door = Door::open().await;
    attacked(&door).await;
    let admin = door.admin().await;
    let admin = admin.headers();
    let unknown = "00000000-0000-0000-0000-000000000000";
    for path in [format!("/api/v1/incidents/{unknown}"), "/api/v1/incidents/nonsense".into(), "/api/v1/entities/user/nobody".into()] {
        door.get(&path, &admin).await.expect(404);
    }
    let kind = door.get("/api/v1/entities/usr/mallory", &admin).await;
    assert!(kind.expect(404).text().contains("did you mean user?"));
    let wrong = door.get("/api/v1/incidents?stat=open", &admin).await;
    assert!(wrong.expect(400).text().contains("did you mean state?"));
    for path in ["/api/v1/incidents?state=opne", "/api/v1/incidents?cursor=x", "/api/v1/incidents?severity_min=bad", "/api/v1/incidents?limit=0", "/api/v1/alerts?signals=maybe", "/api/v1/entities?limit=x"] {
        door.get(path, &admin).await.expect(400);
    }
    for (body, status) in [
        (json!({"ids": [], "state": "closed"}), 400),
        (json!({"ids": ["x"], "state": "closed"}), 400),
        (json!({"ids": [unknown], "state": "shut"}), 400),
        (json!({"ids": [unknown], "state": "closed", "reason": "x".repeat(2_000)}), 400),
        (json!({"ids": [unknown], "state": "closed", "colour": "red"}), 400),
        (json!({"ids": [unknown], "state": "closed"}), 404),
    ] {
        door.post_json("/api/v1/incidents/state", &admin, body).await.expect(status);
    }
    let id = door.get("/api/v1/incidents", &admin).await.expect(200).json()["items"][0]["id"].as_str().unwrap().to_owned();
    let who = door.post_json(&format!("/api/v1/incidents/{id}/assignee"), &admin, json!({"assignee": "admni"})).await;
    assert!(who.expect(404).text().contains("did you mean admin?"), "{}", who.text());
    door.post_json(&format!("/api/v1/incidents/{unknown}/assignee"), &admin, json!({"assignee": "admin"})).await.expect(404);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entities_are_ranked_and_signals_shown_only_when_asked_for() {
    let door = Door::open().await;
    attacked(&door).await;
    let admin = door.admin().await;
    let admin = admin.headers();
    let get = async |path: &str| door.get(path, &admin).await.expect(200).json();
    let entities = get("/api/v1/entities").await;
    let names: Vec<&str> = entities["items"].as_array().unwrap().iter().map(|e| e["entity"]["value"].as_str().unwrap()).collect();
    assert_eq!(names, ["mallory", "bob"]);
    assert_eq!((&entities["items"][0]["risk"], &entities["items"][0]["alerts"]), (&json!(35), &json!(2)));
    assert_eq!(entities["items"][0]["tactics"], json!(["discovery", "impact"]));
    let one = get("/api/v1/entities/user/mallory").await;
    assert_eq!((one["alerts"].as_array().unwrap().len(), one["incidents"].as_array().unwrap().len()), (2, 1));
    assert_eq!(one["history"].as_array().unwrap().last().unwrap()["risk"], 35);
    let ip = get("/api/v1/entities/ip/203.0.113.7").await;
    assert_eq!((&ip["risk"], ip["alerts"].as_array().unwrap().len()), (&json!(0), 2), "named, though no alert is about it");
    assert_eq!(get("/api/v1/alerts").await["total"], 1);
    assert_eq!(get("/api/v1/alerts?signals=true").await["total"], 3);
    assert_eq!(get("/api/alerts/active").await["count"], 1, "CloudHawk never sees signals");
    assert_eq!(get("/api/threats/recent").await["count"], 1);
    assert_eq!(door.post_json("/api/threats/query", &admin, json!({"user_name": "mallory"})).await.expect(200).json()["count"], 1);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exceptions_are_made_listed_deleted_and_bad_ones_refused() {
    let door = Door::open().await;
    let admin = door.admin().await;
    door.make_user(&admin, "vic", "viewer", PASSWORD).await;
    let vic = door.token("vic", PASSWORD).await;
    let admin = admin.headers();
    let rules = door.get("/api/v1/rules", &admin).await.expect(200).json();
    let rule = &rules["items"][0];
    let id = rule["id"].as_str().unwrap();
    let generation = door.platform.exceptions_generation();
    let asked = json!({"rule_id": id, "where": {"user.name|startswith": ["svc-", "bot-"], "src_endpoint.ip|cidr": "192.0.2.0/24"}, "reason": "our scanner", "expires_at": null});
    let made = door.post_json("/api/v1/exceptions", &admin, asked.clone()).await.expect(201).json();
    assert_eq!((&made["rule_name"], &made["author"], &made["hits"]), (&rule["name"], &json!("admin"), &json!(0)));
    assert_eq!(made["where"], asked["where"]);
    assert!(door.platform.exceptions_generation() > generation, "the rules are to be built again");
    let whole = json!({"rule_id": id, "where": {}, "reason": "not here", "expires_at": "2999-01-01T00:00:00Z"});
    door.post_json("/api/v1/exceptions", &admin, whole).await.expect(201);
    assert_eq!(door.get("/api/v1/exceptions", &[("Authorization", &vic)]).await.expect(200).json()["items"].as_array().unwrap().len(), 2);
    door.post_json("/api/v1/exceptions", &[("Authorization", &vic)], asked.clone()).await.expect(403);

    let with = |member: &str, value: Value| {
        let mut body = asked.clone();
        body[member] = value;
        body
    };
    let close = format!("{}x", &id[..id.len() - 1]);
    for (body, status, says) in [
        (with("rule_id", json!(close)), 404, "did you mean"),
        (with("rule_id", rule["name"].clone()), 404, id),
        (with("rule_id", json!("nonsense")), 404, "there is no rule"),
        (json!({"rule_id": null, "where": {}, "reason": "r", "expires_at": null}), 400, "except everything"),
        (with("reason", json!("  ")), 400, "say why"),
        (with("reason", json!("x".repeat(2_000))), 400, "at most"),
        (with("expires_at", json!("2020-01-01T00:00:00Z")), 400, "over already"),
        (with("expires_at", json!("tomorrow")), 400, "give a time"),
        (with("where", json!({"user.name|beginswith": "svc"})), 400, "where"),
        (with("where", json!({"user.name|re": "(("})), 400, "where"),
        (with("where", json!({"src_endpoint.ip|cidr": "not a block"})), 400, "where"),
        (with("where", json!({"user.name": {"a": 1}})), 400, "plain"),
        (with("where", json!("x")), 400, ""),
        (with("colour", json!("red")), 400, ""),
    ] {
        let answer = door.post_json("/api/v1/exceptions", &admin, body.clone()).await;
        assert!(answer.expect(status).text().contains(says), "{body}: {}", answer.text());
    }
    let path = format!("/api/v1/exceptions/{}", made["id"].as_str().unwrap());
    door.call("DELETE", &path, &admin, b"").await.expect(204);
    door.call("DELETE", &path, &admin, b"").await.expect(404);
    door.call("DELETE", "/api/v1/exceptions/x", &admin, b"").await.expect(404);
    assert_eq!(door.get("/api/v1/exceptions", &admin).await.expect(200).json()["items"].as_array().unwrap().len(), 1);
    let log = door.platform.control().audit_entries(10, None).await.unwrap().items;
    let actions: Vec<_> = log.iter().map(|e| e.action.as_str()).filter(|a| a.starts_with("exception")).collect();
    assert_eq!(actions, ["exception.delete", "exception.create", "exception.create"]);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_a_last_exception() {
    let door = Door::open().await;
    let control = door.platform.control();
    let now = door.platform.now();
    for n in 0..engine::control::EXCEPTIONS_MAX {
        let one = engine::control::Exception {
            id: Id::of(&[&n.to_le_bytes()]),
            rule_id: None,
            rule_name: None,
            r#where: serde_json::from_str("{\"user.name\": \"a\"}").unwrap(),
            reason: "r".into(),
            author: "a".into(),
            created_at: now,
            expires_at: None,
            hits: 0,
            last_hit: None,
        };
        control.put_exception(&one, now).await.unwrap();
    }
    let admin = door.admin().await;
    let one_more = json!({"rule_id": null, "where": {"user.name": "x"}, "reason": "r", "expires_at": null});
    let answer = door.post_json("/api/v1/exceptions", &admin.headers(), one_more).await;
    assert!(answer.expect(409).text().contains("delete one first"));
    door.close().await;
}
