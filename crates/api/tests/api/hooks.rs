//! What proxies ask, as nginx and Envoy ask it.
use crate::door::Door;
use serde_json::json;

const ATTACK: &str = "/items?id=1%27%20or%20%271%27=%271";

async fn protecting(door: &Door) -> String {
    let admin = door.admin().await;
    let body = json!({"name": "p", "profile": {"mode": "protection", "block": {"body": "<h1>no</h1>"}}});
    let id = door.post_json("/api/v1/profiles", &admin.headers(), body).await.expect(201).json()["id"].as_str().unwrap().to_owned();
    let headers = [("Cookie", &*admin.cookie), ("X-CSRF-Token", &*admin.csrf), ("Content-Type", "application/json")];
    door.call("PUT", "/api/v1/applications/shop", &headers, json!({"profile": id}).to_string().as_bytes()).await.expect(204);
    door.make_key(&admin, "proxy", &["inspect"]).await.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_asks_with_its_clients_headers_and_none_of_them_is_a_credential() {
    let door = Door::open().await;
    let key = protecting(&door).await;
    let ask = async |target: &str, extra: &[(&str, &str)]| {
        let mut headers = vec![("X-Original-URI", target), ("X-Original-Method", "GET"), ("X-Real-IP", "203.0.113.5"), ("X-Erne-Application", "shop"), ("User-Agent", "Mozilla/5.0"), ("Accept", "*/*")];
        headers.extend_from_slice(extra);
        door.get("/api/v1/hooks/nginx", &headers).await
    };
    let with_key = [("X-API-Key", key.as_str())];
    assert_eq!(ask("/items?id=1", &with_key).await.status, 204);
    let blocked = ask(ATTACK, &with_key).await;
    assert_eq!((blocked.status, blocked.text().as_str(), blocked.header("x-erne-action")), (403, "<h1>no</h1>", Some("block")));
    // The client's own credentials are the client's.
    let theirs = [("X-API-Key", key.as_str()), ("Authorization", "Basic dTpw"), ("Cookie", "erne_session=stolen")];
    assert_eq!(ask("/items?id=1", &theirs).await.status, 204);
    let cookie = [("X-API-Key", key.as_str()), ("Cookie", "id=1%27%20or%20%271%27=%271")];
    assert_eq!(ask("/items", &cookie).await.status, 403);
    ask("/items?id=1", &[]).await.expect(401);
    ask("/items?id=1", &[("Authorization", "Basic dTpw")]).await.expect(401);
    let silent = door.get("/api/v1/hooks/nginx", &[("X-API-Key", &key)]).await;
    assert!(silent.expect(400).json()["detail"].as_str().unwrap().contains("proxy_set_header"));
    door.close().await;
    let open = Door::with(|config| config.hooks_open_on_loopback = true).await;
    let headers = [("X-Original-URI", ATTACK), ("X-Original-Method", "GET"), ("X-Real-IP", "203.0.113.5")];
    assert_eq!(open.get("/api/v1/hooks/nginx", &headers).await.status, 204, "the default profile watches only");
    open.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_asks_with_any_method_at_the_path_itself() {
    let door = Door::open().await;
    let key = protecting(&door).await;
    let ask = async |verb: &str, target: &str, body: &[u8]| {
        let headers = [("X-API-Key", key.as_str()), ("X-Erne-Application", "shop"), ("X-Forwarded-For", "198.51.100.1, 203.0.113.5"), ("Accept", "*/*"), ("User-Agent", "Mozilla/5.0")];
        door.call(verb, &format!("/api/v1/hooks/envoy{target}"), &headers, body).await
    };
    for verb in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        assert_eq!(ask(verb, "/items?id=1", b"").await.status, 200, "{verb}");
        assert_eq!(ask(verb, ATTACK, b"").await.status, 403, "{verb}");
    }
    assert_eq!(ask("GET", "/", b"").await.status, 200);
    assert_eq!(ask("POST", "/login", b"user=admin'%20or%20'1'='1").await.status, 403);
    assert_eq!(ask("POST", "/login", b"user=ana").await.status, 200);
    door.close().await;
}
