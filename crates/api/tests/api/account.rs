use crate::door::{Door, PASSWORD};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn login_logout_and_what_a_session_may() {
    let door = Door::open().await;
    door.get("/api/v1/me", &[]).await.expect(401);
    door.get("/api/v1/me", &[("Cookie", "erne_session=forged")]).await.expect(401);
    let session = door.admin().await;
    let me = door.get("/api/v1/me", &[("Cookie", &session.cookie)]).await;
    assert_eq!(me.expect(200).json(), json!({"name": "admin", "role": "admin", "csrf": session.csrf}));
    assert_eq!(me.header("cache-control"), Some("no-store"));
    door.post_json("/api/v1/logout", &session.headers(), json!({})).await.expect(204);
    door.get("/api/v1/me", &[("Cookie", &session.cookie)]).await.expect(401);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_and_empty_passwords_are_refused_alike_and_then_throttled() {
    let door = Door::open().await;
    let mut answers = Vec::new();
    for (user, password) in [("admin", "wrong"), ("admin", ""), ("nobody", "wrong"), ("nobody", ""), ("", "")] {
        let answer = door.post_json("/api/v1/login", &[], json!({"user": user, "password": password})).await;
        answers.push(answer.expect(401).text());
        assert!(answer.header("set-cookie").is_none());
    }
    assert!(answers.iter().all(|a| *a == answers[0]), "the answer must not tell which users exist");
    for _ in 0..8 {
        door.post_json("/api/v1/login", &[], json!({"user": "admin", "password": "wrong"})).await.expect(401);
    }
    let answer = door.post_json("/api/v1/login", &[], json!({"user": "admin", "password": door.password})).await;
    assert!(answer.expect(429).header("retry-after").unwrap().parse::<u64>().unwrap() > 200);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changing_requests_by_cookie_need_the_csrf_token_and_our_origin() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let body = json!({"name": "k", "scopes": ["read"]});
    let cookie = ("Cookie", &*admin.cookie);
    door.post_json("/api/v1/keys", &[cookie], body.clone()).await.expect(403);
    door.post_json("/api/v1/keys", &[cookie, ("X-CSRF-Token", "guess")], body.clone()).await.expect(403);
    let csrf = ("X-CSRF-Token", &*admin.csrf);
    door.post_json("/api/v1/keys", &[cookie, csrf, ("Origin", "http://evil.example")], body.clone()).await.expect(403);
    door.post_json("/api/v1/keys", &[cookie, csrf, ("Origin", "null")], body.clone()).await.expect(403);
    let own = format!("http://{}", door.address);
    door.post_json("/api/v1/keys", &[cookie, csrf, ("Origin", &own)], body).await.expect(201);
    // A form of a foreign page can send neither this type nor learn anything from a login.
    let form = door.call("POST", "/api/v1/login", &[("Content-Type", "text/plain")], b"{\"user\":\"admin\",\"password\":\"x\"}").await;
    form.expect(415);
    let foreign = [("Origin", "http://evil.example")];
    door.post_json("/api/v1/login", &foreign, json!({"user": "admin", "password": door.password})).await.expect(403);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_change_ends_other_sessions_and_tokens_within_a_second() {
    let door = Door::open().await;
    let (here, there) = (door.admin().await, door.admin().await);
    let token = door.token("admin", &door.password).await;
    door.get("/api/v1/me", &[("Authorization", &token)]).await.expect(200);
    let change = |current: &str, new: &str| json!({"current": current, "new": new});
    door.post_json("/api/v1/me/password", &here.headers(), change("wrong", PASSWORD)).await.expect(403);
    door.post_json("/api/v1/me/password", &here.headers(), change(&door.password, "short")).await.expect(400);
    door.post_json("/api/v1/me/password", &here.headers(), change(&door.password, PASSWORD)).await.expect(204);
    door.get("/api/v1/me", &[("Cookie", &here.cookie)]).await.expect(200);
    door.get("/api/v1/me", &[("Cookie", &there.cookie)]).await.expect(401);
    door.get("/api/v1/me", &[("Authorization", &token)]).await.expect(401);
    door.post_json("/api/v1/login", &[], json!({"user": "admin", "password": door.password})).await.expect(401);
    door.login("admin", PASSWORD).await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_and_keys_are_managed_and_the_last_admin_stays() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let put = async |name: &str, body: serde_json::Value| {
        let headers = [("Content-Type", "application/json"), admin.headers()[0], admin.headers()[1]];
        door.call("PUT", &format!("/api/v1/users/{name}"), &headers, body.to_string().as_bytes()).await
    };
    put("bob", json!({"role": "viewer"})).await.expect(400);
    put("bob", json!({"role": "vewer", "password": PASSWORD})).await.expect(400);
    put("bob%0A", json!({"role": "viewer", "password": PASSWORD})).await.expect(400);
    put("bob", json!({"role": "viewer", "password": PASSWORD, "created": 1})).await.expect(400);
    let bob = put("bob", json!({"role": "viewer", "password": PASSWORD})).await;
    assert!(!bob.expect(200).text().contains("argon2"), "no hash leaves the server");
    let token = door.token("bob", PASSWORD).await;
    door.get("/api/v1/users", &[("Authorization", &token)]).await.expect(403);
    put("bob", json!({"role": "analyst"})).await.expect(200);
    door.get("/api/v1/me", &[("Authorization", &token)]).await.expect(401);
    put("admin", json!({"role": "viewer"})).await.expect(409);
    door.call("DELETE", "/api/v1/users/admin", &admin.headers(), b"").await.expect(409);
    door.call("DELETE", "/api/v1/users/bob", &admin.headers(), b"").await.expect(204);
    door.call("DELETE", "/api/v1/users/bob", &admin.headers(), b"").await.expect(404);

    let (key, id) = door.make_key(&admin, "agent-7", &["read"]).await;
    let bearer = format!("Bearer {key}");
    door.get("/api/v1/overview", &[("Authorization", &bearer)]).await.expect(200);
    door.get("/api/v1/overview", &[("X-API-Key", &key)]).await.expect(200);
    let listed = door.get("/api/v1/keys", &admin.headers()).await;
    assert!(listed.expect(200).text().contains(&id) && !listed.text().contains(&key));
    door.call("DELETE", &format!("/api/v1/keys/{id}"), &admin.headers(), b"").await.expect(204);
    door.get("/api/v1/overview", &[("Authorization", &bearer)]).await.expect(401);
    door.post_json("/api/v1/keys", &admin.headers(), json!({"name": "x", "scopes": ["ingets"]})).await.expect(400);
    door.post_json("/api/v1/keys", &admin.headers(), json!({"name": "x", "scopes": []})).await.expect(400);
    door.close().await;
}
