//! Saved searches over the API: whose they are, and what is refused. What scheduled ones find, `erne`'s tests show.
use crate::door::{Door, PASSWORD};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_see_shared_searches_and_change_their_own() {
    let door = Door::open().await;
    let admin = door.admin().await;
    for (name, role) in [("vic", "viewer"), ("ana", "analyst"), ("bob", "analyst")] {
        door.make_user(&admin, name, role, PASSWORD).await;
    }
    let (vic, ana, bob) = (door.token("vic", PASSWORD).await, door.token("ana", PASSWORD).await, door.token("bob", PASSWORD).await);
    let root = door.token("admin", &door.password).await;
    let mine = json!({"name": "mine", "q": "user.name:alice", "columns": ["user.name"], "range": "24h"});
    let made = door.post_json("/api/v1/searches", &[("Authorization", &ana)], mine.clone()).await;
    made.expect(201);
    let made = made.json();
    assert_eq!((&made["owner"], &made["columns"][0], &made["shared"]), (&json!("ana"), &json!("actor.user.name"), &json!(false)));
    assert!(made["schedule"].is_null() && made["last_run"].is_null() && made["created_at"].is_string(), "{made}");
    let path = format!("/api/v1/searches/{}", made["id"].as_str().unwrap());
    door.post_json("/api/v1/searches", &[("Authorization", &ana)], mine.clone()).await.expect(409);
    door.post_json("/api/v1/searches", &[("Authorization", &vic)], mine.clone()).await.expect(403);

    // A private one is not there for others, and is for an admin.
    for who in [&vic, &bob] {
        door.get(&path, &[("Authorization", who)]).await.expect(404);
        assert_eq!(door.get("/api/v1/searches", &[("Authorization", who)]).await.json()["items"], json!([]));
    }
    door.get(&path, &[("Authorization", &root)]).await.expect(200);
    let put = async |who: &str, body: serde_json::Value| {
        door.call("PUT", &path, &[("Authorization", who), ("Content-Type", "application/json")], body.to_string().as_bytes()).await
    };
    put(&bob, mine.clone()).await.expect(404);
    let mut shared = mine.clone();
    shared["shared"] = json!(true);
    let after = put(&ana, shared.clone()).await;
    after.expect(200);
    assert_eq!(after.json()["created_at"], made["created_at"]);
    door.get(&path, &[("Authorization", &vic)]).await.expect(200);
    assert_eq!(door.get("/api/v1/searches", &[("Authorization", &bob)]).await.json()["items"][0]["name"], "mine");
    let refused = put(&bob, shared.clone()).await;
    assert!(refused.expect(403).json()["detail"].as_str().unwrap().contains("belongs to ana"));
    door.call("DELETE", &path, &[("Authorization", &bob)], b"").await.expect(403);
    let by_admin = put(&root, shared).await;
    assert_eq!(by_admin.expect(200).json()["owner"], "ana", "it stays whose it was");
    door.call("DELETE", &path, &[("Authorization", &ana)], b"").await.expect(204);
    door.get(&path, &[("Authorization", &ana)]).await.expect(404);
    let log = door.platform.control().audit_entries(20, None).await.unwrap().items;
    let of_searches: Vec<_> = log.iter().filter(|e| e.action.starts_with("search.")).map(|e| e.actor.as_str()).collect();
    assert_eq!(of_searches, ["ana", "admin", "ana", "ana"], "newest first");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_is_not_understood_is_refused_with_its_place() {
    let door = Door::open().await;
    let root = door.token("admin", &door.password).await;
    let post = async |body: serde_json::Value| door.post_json("/api/v1/searches", &[("Authorization", &root)], body).await;
    let wrong = post(json!({"name": "x", "q": "user.nam:alice"})).await;
    let problem = wrong.expect(400).json();
    assert_eq!(problem["column"], 0, "{problem}");
    assert!(problem["hint"].as_str().unwrap().contains("user.name"), "{problem}");
    for bad in [
        json!({"name": "x", "q": "", "schedule": {"every_secs": 1, "window_secs": 60, "at_least": 1, "severity": "high"}}),
        json!({"name": "x", "q": "", "schedule": {"every_secs": 60, "window_secs": 60, "at_least": 1, "severity": "high", "group_by": "raw_data"}}),
        json!({"name": "x", "q": "", "more": 1}),
        json!({"q": ""}),
    ] {
        let answer = post(bad.clone()).await;
        assert!(matches!(answer.status, 400 | 422), "{bad}: {} {}", answer.status, answer.text());
    }
    door.get("/api/v1/searches/nonsense", &[("Authorization", &root)]).await.expect(404);
    door.close().await;
}
