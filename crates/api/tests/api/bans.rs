//! Bans and trusts through the door: what is refused, what follows, and what bouncers and firewalls read.
use crate::door::{Door, PASSWORD, Session};
use serde_json::{Value, json};

async fn ban(door: &Door, who: &Session, body: Value) -> crate::door::Answer {
    door.post_json("/api/v1/bans", &who.headers(), body).await
}

async fn active(door: &Door, who: &Session) -> Vec<String> {
    let page = door.get("/api/v1/bans?state=active", &[("Cookie", &who.cookie)]).await;
    page.expect(200).json()["items"].as_array().unwrap().iter().map(|b| b["cidr"].as_str().unwrap().to_owned()).collect()
}

fn kind(answer: &crate::door::Answer) -> String {
    answer.json()["type"].as_str().unwrap().rsplit(':').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bans_are_made_listed_and_taken_back() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let made = ban(&door, &admin, json!({"cidr": "203.0.113.7", "reason": "guessing", "secs": 3600})).await;
    let made = made.expect(201).json();
    assert_eq!((&made["cidr"], &made["state"], &made["source"], &made["actor"]), (&json!("203.0.113.7/32"), &json!("active"), &json!("manual"), &json!("admin")));
    let again = ban(&door, &admin, json!({"cidr": "203.0.113.7", "reason": "guessing", "secs": 60})).await;
    assert_eq!(kind(again.expect(409)), "banned");
    ban(&door, &admin, json!({"cidr": "203.0.113.7", "reason": "longer"})).await.expect(201);
    ban(&door, &admin, json!({"cidr": "2001:db8::1:2", "reason": "v6"})).await.expect(201);
    assert_eq!(active(&door, &admin).await, ["2001:db8::/64", "203.0.113.7/32", "203.0.113.7/32"]);
    assert_eq!(door.platform.bans().len(), 3);
    assert_eq!(door.platform.kept_out().networks.len(), 2, "two bans of one network are one network");
    assert!(door.platform.ban_of("2001:db8::ffff".parse().unwrap()).is_some());
    assert!(door.platform.ban_of("203.0.113.8".parse().unwrap()).is_none());
    let id = made["id"].as_str().unwrap();
    let undone = door.call("DELETE", &format!("/api/v1/bans/{id}?reason=a+mistake"), &admin.headers(), b"").await;
    assert_eq!(undone.expect(200).json()["undone"][0]["undone"]["reason"], "a mistake");
    door.call("DELETE", &format!("/api/v1/bans/{id}"), &admin.headers(), b"").await.expect(404);
    assert_eq!(door.platform.kept_out().networks.len(), 2, "the longer ban is left");
    let one = door.get(&format!("/api/v1/bans/{id}"), &[("Cookie", &admin.cookie)]).await;
    assert_eq!(one.expect(200).json()["state"], "undone");
    for bad in [
        json!({"cidr": "evil.example", "reason": "r"}),
        json!({"cidr": "0.0.0.0/0", "reason": "r"}),
        json!({"cidr": "198.19.2.1", "reason": " "}),
        json!({"cidr": "198.19.2.1", "reason": "r", "secs": 0}),
        json!({"cidr": "198.19.2.1", "reason": "r", "secs": 5, "until": "2030-01-01T00:00:00Z"}),
        json!({"cidr": "198.19.2.1", "reason": "r", "until": "2020-01-01T00:00:00Z"}),
    ] {
        ban(&door, &admin, bad).await.expect(400);
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_locked_out_who_must_not_be() {
    let door = Door::open().await;
    let admin = door.admin().await;
    // Behind a proxy on this machine the admin comes from there.
    let near = |address: &'static str| [("Cookie".to_owned(), admin.cookie.clone()), ("X-CSRF-Token".to_owned(), admin.csrf.clone()), ("X-Forwarded-For".to_owned(), address.to_owned())];
    let headers = near("198.51.100.20");
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let post = async |path: &str, body: Value| door.post_json(path, &headers, body).await;
    assert_eq!(kind(post("/api/v1/bans", json!({"cidr": "198.51.100.20", "reason": "r"})).await.expect(409)), "own-address");
    assert_eq!(kind(post("/api/v1/bans", json!({"cidr": "198.51.100.0/24", "reason": "r"})).await.expect(409)), "own-address");
    let check = post("/api/v1/bans/check", json!({"cidr": "198.51.100.0/24"})).await.expect(200).json();
    assert_eq!((&check["own_address"], &check["size"], &check["trusted"]), (&json!("198.51.100.20"), &json!(256), &json!(false)));
    assert!(check["spared"].as_array().unwrap().iter().any(|t| t["kind"] == "admin"), "{check}");
    post("/api/v1/bans", json!({"cidr": "198.51.100.0/24", "reason": "r", "spare_own": true})).await.expect(201);
    let out = door.platform.kept_out();
    assert_eq!(out.networks.len(), 8, "the network around one address");
    assert!(door.platform.ban_of("198.51.100.20".parse().unwrap()).is_none());
    assert!(door.platform.ban_of("198.51.100.21".parse().unwrap()).is_some());
    // The admin's address is spared in everybody's bans.
    door.make_user(&admin, "ana", "analyst", PASSWORD).await;
    let ana = door.login("ana", PASSWORD).await;
    assert_eq!(kind(ban(&door, &ana, json!({"cidr": "198.51.100.20", "reason": "r"})).await.expect(409)), "trusted");
    for (cidr, why) in [("127.0.0.1", "loopback"), ("::1", "loopback"), ("169.254.169.254", "link-local"), ("fe80::1", "link-local")] {
        let refused = ban(&door, &ana, json!({"cidr": cidr, "reason": "r"})).await;
        let refused = refused.expect(409);
        assert!(matches!(kind(refused).as_str(), "trusted" | "own-address"), "{cidr}");
        assert!(kind(refused) == "own-address" || refused.json()["detail"].as_str().unwrap().contains(why), "{}", refused.text());
    }
    // Who is no admin does not edit what is trusted.
    door.post_json("/api/v1/trusts", &ana.headers(), json!({"cidr": "203.0.113.0/24", "reason": "r"})).await.expect(403);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trust_that_comes_later_lifts_the_bans_inside_it() {
    let door = Door::open().await;
    let admin = door.admin().await;
    for cidr in ["203.0.113.7", "203.0.113.64/26", "203.0.0.0/16", "198.19.2.1"] {
        ban(&door, &admin, json!({"cidr": cidr, "reason": "r"})).await.expect(201);
    }
    let made = door.post_json("/api/v1/trusts", &admin.headers(), json!({"cidr": "203.0.113.0/24", "reason": "office"})).await;
    let made = made.expect(201).json();
    assert_eq!(made["undone"].as_array().unwrap().len(), 2);
    assert_eq!(active(&door, &admin).await, ["198.19.2.1/32", "203.0.0.0/16"]);
    assert!(door.platform.ban_of("203.0.113.7".parse().unwrap()).is_none(), "the wider ban spares it");
    assert!(door.platform.ban_of("203.0.114.7".parse().unwrap()).is_some());
    assert_eq!(kind(ban(&door, &admin, json!({"cidr": "203.0.113.9", "reason": "r"})).await.expect(409)), "trusted");
    door.post_json("/api/v1/trusts", &admin.headers(), json!({"cidr": "203.0.113.0/24", "reason": "twice"})).await.expect(409);
    let id = made["trust"]["id"].as_str().unwrap();
    door.call("DELETE", &format!("/api/v1/trusts/{id}"), &admin.headers(), b"").await.expect(204);
    assert!(door.platform.ban_of("203.0.113.7".parse().unwrap()).is_some(), "the wider ban holds again");
    let listed = door.get("/api/v1/trusts", &[("Cookie", &admin.cookie)]).await.expect(200).json();
    assert!(listed["items"].as_array().unwrap().iter().all(|t| t["kind"] != "list"));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bouncers_and_web_servers_read_who_is_kept_out() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let (key, _) = door.make_key(&admin, "bouncer", &["bouncer"]).await;
    let ask = async |path: &str| door.get(path, &[("X-Api-Key", &key)]).await;
    assert_eq!(ask("/v1/decisions?ip=198.19.2.1").await.expect(200).text(), "null");
    assert_eq!(ask("/v1/decisions/stream?startup=true").await.expect(200).json(), json!({"new": null, "deleted": null}));
    let first = ban(&door, &admin, json!({"cidr": "198.19.2.1", "reason": "ssh guessing", "secs": 7200})).await.expect(201).json();
    ban(&door, &admin, json!({"cidr": "2001:db8::/48", "reason": "r"})).await.expect(201);
    let found = ask("/v1/decisions?ip=198.19.2.1").await.expect(200).json();
    assert_eq!((&found[0]["value"], &found[0]["scope"], &found[0]["type"], &found[0]["scenario"]), (&json!("198.19.2.1"), &json!("Ip"), &json!("ban"), &json!("ssh guessing")));
    assert!(found[0]["duration"].as_str().unwrap().starts_with("1h59m"), "{found}");
    assert_eq!(ask("/v1/decisions?ip=2001:db8::7").await.expect(200).json()[0]["value"], "2001:db8::/48");
    assert_eq!(ask("/v1/decisions").await.expect(200).json().as_array().unwrap().len(), 2);
    let told = ask("/v1/decisions/stream?startup=false").await.expect(200).json();
    assert_eq!((told["new"].as_array().unwrap().len(), &told["deleted"]), (2, &Value::Null));
    assert_eq!(ask("/v1/decisions/stream").await.expect(200).json(), json!({"new": null, "deleted": null}));

    let list = ask("/api/v1/bans/list?format=nginx").await;
    assert_eq!(list.expect(200).text(), "deny 198.19.2.1/32;\ndeny 2001:db8::/48;\n");
    assert_eq!(ask("/api/v1/bans/list").await.expect(200).text(), "198.19.2.1/32\n2001:db8::/48\n");
    assert!(ask("/api/v1/bans/list?format=ipset").await.expect(200).text().ends_with("add erne4 198.19.2.1/32\nadd erne6 2001:db8::/48\n"));
    let tag = list.header("etag").unwrap().to_owned();
    let same = door.get("/api/v1/bans/list?format=nginx", &[("X-Api-Key", &key), ("If-None-Match", &tag)]).await;
    assert_eq!((same.status, same.body.len()), (304, 0));

    let path = format!("/api/v1/bans/{}", first["id"].as_str().unwrap());
    door.call("DELETE", &path, &admin.headers(), b"").await.expect(200);
    let told = ask("/v1/decisions/stream").await.expect(200).json();
    assert_eq!((&told["new"], &told["deleted"][0]["value"]), (&Value::Null, &json!("198.19.2.1")));
    assert_eq!(door.get("/api/v1/bans/list?format=nginx", &[("X-Api-Key", &key), ("If-None-Match", &tag)]).await.expect(200).text(), "deny 2001:db8::/48;\n");
    ask("/v1/decisions?ip=nonsense").await.expect(400);
    ask("/api/v1/bans").await.expect(403);
    door.get("/v1/decisions", &[]).await.expect(401);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_imported_and_grow_into_networks() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let import = async |query: &str, text: &str| door.call("POST", &format!("/api/v1/bans/import?{query}"), &admin.headers(), text.as_bytes()).await;
    let list: String = (1..=7).map(|n| format!("198.19.2.{n}\n")).collect();
    let done = import("name=block.txt&secs=3600", &format!("# a list\n{list}127.0.0.1\nnonsense\n")).await.expect(200).json();
    assert_eq!((&done["imported"], &done["read"], &done["skipped"]), (&json!(7), &json!(8), &json!(2)), "{done}");
    assert_eq!(door.platform.kept_out().networks.len(), 7);
    // The eighth makes the network.
    let log = "2026-11-20 10:00:00,123 fail2ban.actions        [812]: NOTICE  [sshd] Ban 198.19.2.8\n";
    assert_eq!(import("format=fail2ban&name=fail2ban.log&secs=600", log).await.expect(200).json()["imported"], 1);
    let out = door.platform.kept_out();
    assert_eq!(out.networks.iter().map(|e| e.net.to_string()).collect::<Vec<_>>(), ["198.19.2.0/24"]);
    let page = door.get("/api/v1/bans?state=active", &[("Cookie", &admin.cookie)]).await.expect(200).json();
    let grown = page["items"].as_array().unwrap().iter().find(|b| b["grown_from"] == 8).unwrap().clone();
    assert_eq!((&grown["cidr"], &grown["actor"]), (&json!("198.19.2.0/24"), &json!("erne")));
    // Whoever lets one address in means it: the network is let in too, the other addresses are not.
    let part = page["items"].as_array().unwrap().iter().find(|b| b["cidr"] == "198.19.2.3/32").unwrap()["id"].as_str().unwrap().to_owned();
    let undone = door.call("DELETE", &format!("/api/v1/bans/{part}"), &admin.headers(), b"").await.expect(200).json();
    assert_eq!(undone["undone"].as_array().unwrap().len(), 2);
    assert_eq!(door.platform.kept_out().networks.len(), 7);
    assert!(door.platform.ban_of("198.19.2.3".parse().unwrap()).is_none() && door.platform.ban_of("198.19.2.4".parse().unwrap()).is_some());
    assert_eq!(import("", "198.19.2.4\n198.19.2.5\n").await.expect(200).json()["imported"], 0, "they stand already");
    import("", "nonsense").await.expect(400);
    import("format=xml", "198.19.2.4").await.expect(400);
    let audit = door.platform.control().audit_entries(50, None).await.unwrap().items;
    let said: Vec<&str> = audit.iter().map(|e| e.action.as_str()).filter(|a| a.starts_with("ban.")).collect();
    assert_eq!(said, ["ban.undo", "ban.undo", "ban.create", "ban.import", "ban.import"]);
    door.close().await;
}
